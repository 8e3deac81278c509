//! `cargo xtask test`: everything that says whether the project is in order, one summary line per group.
//!
//! Groups run one after another, in the order of [`Group`]; a group that fails does not stop the next. The
//! last line is the sum. This module knows the groups and the summary; how a group works is below it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::guest::Kernel;

pub(crate) mod artifacts;
mod book;
mod browser;
mod cargo;
mod deploy;
mod in_guest;
mod kernel;
mod libtest;
mod outcome;
mod process;
mod shards;

use outcome::Outcome;

/// Run every test there is, kernel tests included
///
/// Prints one line per group as it ends, a group's output if it failed, and as the very last line
/// `N passed, M failed`. Formatting, lints and documentation count as one test each. Kernel tests run in
/// guests that are booted for them, so this works on a machine whose own kernel has no IPVS.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test --only unit --only kernel
  cargo xtask test --only kernel --filter netlink --verbose
  cargo xtask test --only nftables
  cargo xtask test --kernel host          where the running kernel has ip_vs
  cargo xtask test --list")]
pub(crate) struct Args {
    /// Which kernel runs the kernel tests; the nftables ones need QEMU unless this is the host's
    #[arg(long, value_enum, default_value = "auto")]
    kernel: Kernel,
    /// Run this group only; may be repeated
    #[arg(long, value_enum, value_name = "GROUP")]
    only: Vec<Group>,
    /// Run only tests whose name contains this; groups that do not run tests are left out
    #[arg(long, value_name = "SUBSTR")]
    filter: Option<String>,
    /// List the groups and the kernel tests, and run nothing
    #[arg(long)]
    list: bool,
    /// Show output as it comes, also of groups that pass
    #[arg(long, short)]
    verbose: bool,
}

/// What can be checked; cheap and telling things come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// The code is formatted
    Fmt,
    /// No lint warns
    Clippy,
    /// The documentation builds without warnings
    Docs,
    /// Tests that need nothing but this machine
    Unit,
    /// Examples in the documentation
    Doc,
    /// Manifests, chart, image, alerts and the migration guide
    Deploy,
    /// The book, and every link in a page of Markdown
    Book,
    /// The page for browsers, in one
    Page,
    /// Tests that need a kernel with IPVS
    Kernel,
    /// Tests that need a kernel with IPVS and nf_tables
    Nftables,
}

const ALL: [Group; 10] = [
    Group::Fmt,
    Group::Clippy,
    Group::Docs,
    Group::Unit,
    Group::Doc,
    Group::Deploy,
    Group::Book,
    Group::Page,
    Group::Kernel,
    Group::Nftables,
];

/// Runs the chosen groups; fails if one of them did.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let groups = ALL.into_iter().filter(|group| args.chooses(*group));
    if args.list {
        return list(groups, args);
    }
    let mut sum = Outcome::default();
    for group in groups {
        let begin = Instant::now();
        let outcome = group.check(args).unwrap_or_else(|error| Outcome::broken(&error));
        print(&outcome.report(args.verbose))?;
        print(&outcome.line(group.name(), begin.elapsed()))?;
        sum.add(&outcome);
    }
    print(&format!("{} passed, {} failed", sum.passed, sum.failed))?;
    Ok(ExitCode::from(u8::from(sum.failed > 0)))
}

impl Args {
    fn chooses(&self, group: Group) -> bool {
        let named = self.only.is_empty() || self.only.contains(&group);
        named && (self.filter.is_none() || group.runs_tests())
    }
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Unit => "unit",
            Self::Doc => "doc",
            Self::Deploy => "deploy",
            Self::Book => "book",
            Self::Page => "page",
            Self::Kernel => "kernel",
            Self::Nftables => "nftables",
        }
    }

    fn runs_tests(self) -> bool {
        matches!(self, Self::Unit | Self::Doc | Self::Kernel | Self::Nftables)
    }

    fn check(self, args: &Args) -> Result<Outcome> {
        let filter = args.filter.as_deref();
        match self {
            Self::Fmt => cargo::fmt(args.verbose),
            Self::Clippy => cargo::clippy(args.verbose),
            Self::Docs => cargo::docs(args.verbose),
            Self::Unit => cargo::unit(filter, args.verbose),
            Self::Doc => cargo::doc(filter, args.verbose),
            Self::Deploy => deploy::run(args.verbose),
            Self::Book => book::run(args.verbose),
            Self::Page => browser::run(args.verbose),
            Self::Kernel => kernel::run(kernel::Subset::Plain, args.kernel, filter, args.verbose),
            Self::Nftables => {
                kernel::run(kernel::Subset::Nftables, args.kernel, filter, args.verbose)
            }
        }
    }

    fn kernel_subset(self) -> Option<kernel::Subset> {
        match self {
            Self::Kernel => Some(kernel::Subset::Plain),
            Self::Nftables => Some(kernel::Subset::Nftables),
            _ => None,
        }
    }
}

fn list(groups: impl Iterator<Item = Group>, args: &Args) -> Result<ExitCode> {
    for group in groups {
        print(group.name())?;
        if let Some(subset) = group.kernel_subset() {
            for test in kernel::list(subset, args.filter.as_deref())? {
                print(&format!("  {test}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a text that is not empty, ending its last line.
fn print(text: &str) -> Result<()> {
    let text = text.trim_end();
    if !text.is_empty() {
        writeln!(io::stdout(), "{text}")?;
    }
    Ok(())
}
