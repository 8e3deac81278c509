//! What is measured at which sizes. Pure.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};

/// Services, and endpoints of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size {
    pub(crate) services: u32,
    pub(crate) endpoints: u32,
}

const fn size(services: u32, endpoints: u32) -> Size {
    Size { services, endpoints }
}

/// From a small cluster to the largest that Kubernetes promises to bear, by one dimension or another.
const LADDER: [Size; 7] = [
    size(100, 10),
    size(1_000, 10),
    size(10_000, 5),
    size(10_000, 10),
    size(44_000, 1),
    size(5_000, 50),
    size(50_000, 2),
];

/// A large cluster, as clusters are.
const TYPICAL: Size = size(10_000, 10);

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Figure {
    /// A start on an empty node
    Cold,
    /// A start where everything is right already
    Adopt,
    /// One thing changes
    Change,
    /// 100 and 1000 changes a second
    Churn,
    /// Nothing changes
    Idle,
    /// Memory after a start, after churn, and when everything is gone
    Memory,
    /// Connections through a Service, and without
    Path,
    /// How long others wait for the kernel during a start
    Lock,
    /// System calls and netlink messages of a start and of a change
    Calls,
    /// The libraries alone, without a kernel
    Library,
}

const ALL: [Figure; 10] = [
    Figure::Cold,
    Figure::Adopt,
    Figure::Change,
    Figure::Churn,
    Figure::Idle,
    Figure::Memory,
    Figure::Path,
    Figure::Lock,
    Figure::Calls,
    Figure::Library,
];

/// One figure at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) figure: Figure,
    pub(crate) size: Size,
    /// Changes a second, where that is asked.
    pub(crate) rate: Option<u32>,
}

/// All figures, or some, each at its sizes, or at those given.
pub(crate) fn runs(only: &[Figure], sizes: &[Size]) -> Vec<Run> {
    let figures = ALL.into_iter().filter(|figure| only.is_empty() || only.contains(figure));
    figures
        .flat_map(|figure| {
            let sizes = match figure {
                Figure::Library => vec![TYPICAL],
                _ if sizes.is_empty() => figure.sizes(),
                _ => sizes.to_vec(),
            };
            sizes.into_iter().flat_map(move |size| {
                figure.rates().iter().map(move |&rate| Run { figure, size, rate })
            })
        })
        .collect()
}

impl Figure {
    /// As the command line has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Adopt => "adopt",
            Self::Change => "change",
            Self::Churn => "churn",
            Self::Idle => "idle",
            Self::Memory => "memory",
            Self::Path => "path",
            Self::Lock => "lock",
            Self::Calls => "calls",
            Self::Library => "library",
        }
    }

    /// Whether the floor has it too.
    pub(crate) const fn has_floor(self) -> bool {
        matches!(self, Self::Cold | Self::Change | Self::Path)
    }

    fn sizes(self) -> Vec<Size> {
        match self {
            Self::Cold => LADDER.to_vec(),
            Self::Change => vec![LADDER[0], TYPICAL, size(50_000, 2)],
            Self::Memory => vec![TYPICAL, size(5_000, 50)],
            Self::Path => vec![size(10, 10), TYPICAL],
            Self::Adopt | Self::Churn | Self::Idle | Self::Lock | Self::Calls | Self::Library => {
                vec![TYPICAL]
            }
        }
    }

    const fn rates(self) -> &'static [Option<u32>] {
        match self {
            Self::Churn => &[Some(100), Some(1_000)],
            _ => &[None],
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.services, self.endpoints)
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (services, endpoints) = text.split_once('x').context("write it as 10000x10")?;
        let number = |text: &str| text.parse().context("write it as 10000x10");
        Ok(Self { services: number(services)?, endpoints: number(endpoints)? })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.figure.name(), self.size)?;
        self.rate.map_or(Ok(()), |rate| write!(f, " {rate}/s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(only: &[Figure], sizes: &[Size]) -> Vec<String> {
        runs(only, sizes).iter().map(Run::to_string).collect()
    }

    #[test]
    fn sizes_are_those_given_or_the_figures_own() {
        assert_eq!(shown(&[Figure::Path], &[]), ["path 10x10", "path 10000x10"]);
        assert_eq!(
            shown(&[Figure::Churn, Figure::Adopt], &[size(7, 3)]),
            ["adopt 7x3", "churn 7x3 100/s", "churn 7x3 1000/s"]
        );
        assert_eq!(shown(&[Figure::Library], &[size(7, 3), size(8, 3)]).len(), 1);
        assert!(shown(&[], &[]).len() > 15);
    }

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!("44000x1".parse::<Size>().ok(), Some(size(44_000, 1)));
        assert!("44000".parse::<Size>().is_err() && "ax1".parse::<Size>().is_err());
    }
}
