//! What the book shows of `proxyd` is what `proxyd` prints.
//!
//! A block of a console that begins with a command of ours is run in the repository's root, and its output compared;
//! `UPDATE_EXPECT=1 cargo test -p proxyd --test book` writes it. Standard error is not looked at: it depends on the
//! machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const PAGES: [&str; 2] = ["docs/concepts.md", "docs/troubleshooting.md"];
const BEGIN: &str = "```console\n";
const END: &str = "```\n";

#[test]
fn the_book_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in PAGES {
        let path = root.join(name);
        let page = std::fs::read_to_string(&path).unwrap();
        let mut ran = 0;
        let expected = rewritten(&page, |command| {
            ran += 1;
            output(&root, command)
        });
        assert!(ran > 3, "{name} shows only {ran} commands");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &expected).unwrap();
            continue;
        }
        let line = page.lines().zip(expected.lines()).position(|(one, other)| one != other);
        let line = line.map(|it| it + 1);
        assert!(page == expected, "{name}, line {line:?}; UPDATE_EXPECT=1 rewrites it");
    }
}

/// The page, with the output of each of our commands as `run` has it.
fn rewritten(page: &str, mut run: impl FnMut(&str) -> String) -> String {
    let mut rest = page;
    let mut written = String::new();
    while let Some((before, block)) = rest.split_once(BEGIN) {
        let (shown, after) = block.split_once(END).expect("every block ends");
        let (command, _) = shown.split_once('\n').expect("a block has a line");
        let shown = match command.strip_prefix("$ ").filter(|it| it.starts_with("proxyd ")) {
            Some(ours) => format!("{command}\n{}", run(ours)),
            None => shown.to_owned(),
        };
        write!(written, "{before}{BEGIN}{shown}{END}").expect("a String takes all");
        rest = after;
    }
    written + rest
}

/// What a command prints. One that ends by a signal, or with the status of a wrong command line, is not worth showing.
fn output(root: &Path, command: &str) -> String {
    let arguments = command.split(' ').skip(1);
    let output = Command::new(env!("CARGO_BIN_EXE_proxyd"))
        .args(arguments)
        .current_dir(root)
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!matches!(output.status.code(), None | Some(2)), "{command}: {said}");
    assert!(!output.stdout.is_empty(), "{command} prints nothing: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_blocks_with_our_commands_are_rewritten() {
    let page = "a\n```console\n$ proxyd x\nold\n```\nb\n```console\n# ipvsadm\nkept\n```\n```text\n$ proxyd y\n```\n";
    let expected = "a\n```console\n$ proxyd x\nnew of proxyd x\n```\nb\n```console\n# ipvsadm\nkept\n```\n```text\n$ proxyd y\n```\n";
    assert_eq!(rewritten(page, |command| format!("new of {command}\n")), expected);
}
