//! Words for `/bin/sh`: quoting, so that any text stays one word.

/// One word that the shell reads back as exactly `text`.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command line that the shell reads back as exactly `words`.
pub(crate) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[track_caller]
    fn check(text: &str) {
        let script = format!("printf %s {}", quote(text));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }

    #[test]
    fn the_shell_reads_back_what_was_quoted() {
        for text in [
            "plain",
            "two words",
            "",
            "it's",
            "$HOME `id` \\ \"x\"",
            "a\nb",
            "*",
            "ü",
            "~root",
            "a;b",
        ] {
            check(text);
        }
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(line(["ip", "-6", "addr", "a b"]), "ip -6 addr 'a b'");
    }
}
