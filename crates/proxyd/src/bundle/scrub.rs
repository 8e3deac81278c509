//! Takes secrets out of text. Nothing that is collected should have any; this is for what somebody
//! put where it does not belong. Pure.

/// What stands in place of a secret.
const GONE: &str = "[left out]";

/// Words after which a secret follows, in lower case.
const LABELS: [&str; 6] = ["bearer", "token", "password", "client-key-data", "passwd", "secret"];

/// `text` without what looks like a token, a password or a key.
pub(super) fn scrub(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut is_key = false;
    for line in text.split_inclusive('\n') {
        // A key in JSON has its line ends written as \n, and is in one line.
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
        let ends = line.contains("-----END ") && line.contains("PRIVATE KEY-----");
        if begins || is_key {
            if begins {
                scrubbed.push_str(GONE);
                scrubbed.push('\n');
            }
            is_key = (begins || is_key) && !ends;
            continue;
        }
        scrub_line(line, &mut scrubbed);
    }
    scrubbed
}

/// Takes out JSON web tokens wherever they are, and what follows a label.
fn scrub_line(line: &str, scrubbed: &mut String) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.+/=".contains(c);
    let mut follows_label = false;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        if !is_word(first) {
            // Only what can stand between a label and its secret.
            follows_label &= piece.chars().all(|c| " :\"'\\\t".contains(c));
            scrubbed.push_str(piece);
            continue;
        }
        if let Some((label, _)) = piece.split_once('=')
            && LABELS.contains(&label.to_ascii_lowercase().as_str())
        {
            scrubbed.push_str(label);
            scrubbed.push('=');
            scrubbed.push_str(GONE);
        } else if is_web_token(piece) || (follows_label && piece.len() >= 8) {
            scrubbed.push_str(GONE);
        } else {
            scrubbed.push_str(piece);
        }
        follows_label = LABELS.contains(&piece.to_ascii_lowercase().as_str());
    }
}

/// Its head is JSON, `{"` in base64.
fn is_web_token(word: &str) -> bool {
    word.find("eyJ").is_some_and(|at| word.len() - at >= 20 && word[at..].contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(scrub(text), expected);
    }

    #[test]
    fn secrets_are_left_out() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
        check(&format!("got {token}, ok\n"), "got [left out], ok\n");
        check("Authorization: Bearer abcdef0123456789\n", "Authorization: Bearer [left out]\n");
        check("{\"token\": \"abcdef012345\"}", "{\"token\": \"[left out]\"}");
        check("token=abcdef012345 x", "token=[left out] x");
        check("password: hunter2hunter2", "password: [left out]");
        check(
            "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb\n",
            "a\n[left out]\nb\n",
        );
    }

    #[test]
    fn all_else_stays() {
        for text in [
            "",
            "\n\n",
            "Service default/token: has no endpoints\n",
            "-A KUBE-SERVICES -m comment --comment \"a secret of none\" -j RETURN\n",
            "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token\n",
            "{\"service\":\"default/web\",\"portName\":\"http\"}",
            "{\"kind\":\"Service\",\"metadata\":{\"namespace\":\"password\",\"name\":\"token\"},\"x\":1}",
            "{\"metadata\":{\"name\":\"secret\",\"labels\":{\"kubernetes.io/service-name\":\"passwords\"}}}",
            "no line end: ü 10.96.0.1:443",
        ] {
            check(text, text);
        }
    }
}
