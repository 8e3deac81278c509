//! `proxyd status`: what the daemon of this node serves, and how it is.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use rustix::termios::tcgetwinsize;

use super::client::Client;
use super::column::Column;
use super::detail::detail;
use super::document::Status;
use super::table::{Style, table};
use crate::bundle::Bundle;
use crate::config::DEFAULT_SOCKET;
use crate::output::{json, print, yaml};

/// Show what the daemon of this node serves, with its connections, and what is wrong.
///
/// A row for each address and port of a Service: its scheduler and traffic policy, how many servers
/// it has, how many of them drain and how many endpoints are not used, connections that are active
/// now and new ones a second, and when it was last changed. READY as 0/3 has the servers for clients
/// outside the cluster and those for pods and nodes. Of one Service, each server and the
/// reason why others are none.
///
/// The daemon is asked over its socket, by root only. It has nothing else to do for it than to copy
/// what it knows.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  proxyd status
  proxyd status --watch --sort rate
  proxyd status kube-system/kube-dns
  proxyd status -o json | jq '.frontends[] | select(.servers.ready == 0) | .service'")]
pub(crate) struct StatusArgs {
    /// Show this Service alone, with its servers
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service)]
    service: Option<String>,
    /// Show it again and again, in place
    #[arg(short, long)]
    watch: bool,
    /// Seconds from one to the next, with --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Sort by this column
    #[arg(long, value_name = "COLUMN", default_value = "service")]
    sort: Column,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    /// Where the daemon answers, as its --socket says
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Show what was when `proxyd bundle` wrote this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "watch"])]
    bundle: Option<PathBuf>,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns for people, as many as the terminal has room for
    Table,
    /// All columns
    Wide,
    /// One document for programs; fields are only ever added
    Json,
    /// The same document in YAML
    Yaml,
}

fn service(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((namespace, name)) if ![namespace, name].contains(&"") && !name.contains('/') => {
            Ok(text.to_owned())
        }
        _ => Err("is no Service; write NAMESPACE/NAME".to_owned()),
    }
}

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.socket);
    if args.watch {
        return watch(args, &client);
    }
    let status: Status = match &args.bundle {
        Some(file) => Bundle::open(file)?.get(&args.path())?,
        None => client.get(&args.path())?,
    };
    let text = match args.output {
        Output::Json => json(&status)?,
        Output::Yaml => yaml(&status)?,
        Output::Table | Output::Wide => args.text(&status, None),
    };
    print(&text)
}

/// Shows it in place until somebody ends it. When the daemon does not answer, what it said last
/// stays, and it is said how old that is.
fn watch(args: &StatusArgs, client: &Client) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() || matches!(args.output, Output::Json | Output::Yaml) {
        bail!("--watch needs a terminal; leave it out, or repeat `proxyd status -o json` yourself");
    }
    let mut last: Option<(std::time::Instant, Status)> = None;
    loop {
        let mut note = String::new();
        match client.get(&args.path()) {
            Ok(status) => last = Some((std::time::Instant::now(), status)),
            Err(error) if last.is_none() => return Err(error),
            Err(error) => note = format!("{error:#}"),
        }
        let (asked, status) = last.as_mut().expect("the first answer is there, or an error");
        if !note.is_empty() {
            let age = asked.elapsed().as_secs();
            note = format!("No answer, this is from {age} s ago: {note}\n");
        }
        let height = tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_row));
        let room = height.map(|height| height.saturating_sub(1 + note.lines().count()));
        let text = note + &args.text(status, room.filter(|_| args.service.is_none()));
        io::stdout().lock().write_all(frame(&text, height).as_bytes())?;
        io::stdout().flush()?;
        thread::sleep(Duration::from_secs(args.interval));
    }
}

/// What makes a terminal show `text` and nothing else, without a flicker.
fn frame(text: &str, height: Option<usize>) -> String {
    let lines = text.lines().take(height.unwrap_or(usize::MAX).saturating_sub(1));
    let lines: String = lines.map(|line| format!("{line}\x1b[K\r\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

impl StatusArgs {
    /// What is asked of the daemon.
    fn path(&self) -> String {
        match &self.service {
            None => "/v1/status".to_owned(),
            Some(service) => format!("/v1/services/{service}"),
        }
    }

    fn text(&self, status: &Status, height: Option<usize>) -> String {
        let is_terminal = io::stdout().is_terminal();
        let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0);
        let style = Style {
            width: size.filter(|_| is_terminal).map(|size| usize::from(size.ws_col)),
            height,
            colours: is_terminal && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
            wide: self.output == Output::Wide,
            sort: self.sort,
        };
        match &self.service {
            Some(service) => detail(status, service, style),
            None => table(status, style),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_in_place_and_never_scrolls() {
        assert_eq!(frame("a\nb\nc\n", None), "\x1b[Ha\x1b[K\r\nb\x1b[K\r\nc\x1b[K\r\n\x1b[J");
        assert_eq!(frame("a\nb\nc\n", Some(3)), "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J");
    }
}
