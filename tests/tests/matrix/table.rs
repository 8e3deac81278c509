//! Rows of the matrix as text.
//!
//! ```text
//! pod, node -> ClusterIP, NodePort: here saw pod, there saw node
//! outside   -> ClusterIP:           no answer
//! ```
//!
//! Before the arrow stand clients, after it frontends of the Service; every pair is a case. After
//! the colon stands what the client gets: every server that answers with the source address that it
//! saw, or `refused`, which must be at once, or `no answer`. The words for clients and addresses are
//! explained by [`crate::world::World`].

use std::fmt;

use proxy_core::FrontendKind;

/// Nothing came back.
pub(crate) const SILENCE: &str = "no answer";

/// A client of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Pod,
    Peer,
    Node,
    Here,
    Outside,
}

impl Who {
    const ALL: [(&'static str, Self); 5] = [
        ("pod", Self::Pod),
        ("peer", Self::Peer),
        ("node", Self::Node),
        ("here", Self::Here),
        ("outside", Self::Outside),
    ];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, who)| who == self).map(|(word, _)| *word);
        f.write_str(word.expect("every client has a word"))
    }
}

/// Frontends of every kind.
pub(crate) const FRONTENDS: [FrontendKind; 4] = [
    FrontendKind::ClusterIp,
    FrontendKind::ExternalIp,
    FrontendKind::LoadBalancer,
    FrontendKind::NodePort,
];

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) clients: Vec<Who>,
    pub(crate) frontends: Vec<FrontendKind>,
    /// Sorted.
    pub(crate) outcome: Vec<String>,
}

impl Row {
    /// The rows of a table.
    #[track_caller]
    pub(crate) fn parse_all(table: &str) -> Vec<Self> {
        let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| Self::parse(line).unwrap_or_else(|| panic!("not a row: {line}"))).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (clients, rest) = line.split_once("->")?;
        let (frontends, outcome) = rest.split_once(':')?;
        let client = |word| Who::ALL.iter().find(|(name, _)| *name == word).map(|(_, who)| *who);
        let frontend = |word: &str| FRONTENDS.into_iter().find(|kind| kind.to_string() == word);
        let mut outcome: Vec<_> = words(outcome).map(str::to_owned).collect();
        outcome.sort_unstable();
        Some(Self {
            clients: words(clients).map(client).collect::<Option<_>>()?,
            frontends: words(frontends).map(frontend).collect::<Option<_>>()?,
            outcome,
        })
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}
