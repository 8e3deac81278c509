//! `proxyd diff`: what should be in the kernel against what is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::config::DEFAULT_SOCKET;
use crate::node_args::NodeArgs;
use crate::output::{Output, print};
use crate::plan::{self, CHANGES};
use crate::status::{Client, Difference, Repaired};

/// Show how this node's kernel differs from what should be in it, and with --repair mend it.
///
/// What should be in it is what the running daemon was last told by the API server or its manifests.
/// With --manifests, --config, --kubeconfig or --master it is what those say, without a daemon, as
/// `proxyd plan` does. One line for each object: + is missing, ~ is another, - is too many; with the
/// likely cause and when it was last right, as far as the daemon knows.
///
/// Exit status 0 when nothing differs, 2 when something does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  proxyd diff
  proxyd diff --repair
  proxyd diff --config /var/lib/kube-proxy/config.conf --hostname-override $(hostname)")]
pub(crate) struct DiffArgs {
    /// Make the daemon compare and mend everything now, wait for it, and show what is left
    #[arg(long)]
    repair: bool,
    /// Show what differed when `proxyd bundle` wrote this file
    #[arg(long, value_name = "FILE", conflicts_with = "repair")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    /// How to print; with --repair, a document is of what is left
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.bundle {
        return show(&args.node.bundle(file)?.get("/v1/diff")?, args.output);
    }
    if args.node.flags.names_a_source() {
        if args.repair {
            bail!(
                "--repair is for a running daemon, which knows what should be there: leave out \
                 --manifests, --config, --kubeconfig and --master"
            );
        }
        return show(&plan::planned(&args.node)?, args.output);
    }
    let socket = args.node.flags.socket().unwrap_or(DEFAULT_SOCKET);
    let client = Client::new(Path::new(socket));
    let difference: Difference = client.get("/v1/diff")?;
    if !args.repair || difference.lines.is_empty() {
        return show(&difference, args.output);
    }
    if args.output == Output::Text {
        print(&difference.explained())?;
    }
    let Repaired { changes, failed, error } = client.post("/v1/repair")?;
    if let Some(error) = error {
        bail!("the daemon could not mend it: {error}");
    }
    failed.iter().for_each(|failure| eprintln!("proxyd: failed: {failure}"));
    eprintln!("proxyd: {changes} objects were mended; what is left:");
    show(&client.get("/v1/diff")?, args.output)
}

fn show(difference: &Difference, output: Output) -> anyhow::Result<ExitCode> {
    print(&output.written(difference, Difference::explained)?)?;
    eprintln!("proxyd: {} objects differ", difference.lines.len());
    if difference.unsettled {
        eprintln!("proxyd: something changed meanwhile, and some may be of that; ask again");
    }
    let is_equal = difference.lines.is_empty();
    Ok(if is_equal { ExitCode::SUCCESS } else { ExitCode::from(CHANGES) })
}
