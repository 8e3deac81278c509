//! Clients that must not notice anything.

use std::net::SocketAddr;
use std::time::Duration;

use tests::lab::{Application, Client, Conversation, Namespace, Stream, Tally};

/// Between two new connections of one client.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// 200 a second, or as many as can be.
    Full,
    /// 20 a second, where many clients share one processor with what is tested.
    Shared,
}

impl Pace {
    const fn interval(self) -> Duration {
        match self {
            Self::Full => Duration::from_millis(5),
            Self::Shared => Duration::from_millis(50),
        }
    }
}

/// A client with a connection that stays and a stream of new ones.
pub(crate) struct Traffic<'a> {
    client: Client<'a>,
    namespace: &'a Namespace,
    target: SocketAddr,
    conversation: Conversation,
    stream: Stream,
    repeated: u64,
}

impl<'a> Traffic<'a> {
    #[track_caller]
    pub(crate) fn begin(namespace: &'a Namespace, target: SocketAddr, pace: Pace) -> Self {
        let client = Client::in_namespace(namespace);
        let conversation = converse(client, target);
        let repeated = repeated_segments(namespace);
        let stream = client.stream(target, pace.interval());
        Self { client, namespace, target, conversation, stream, repeated }
    }

    /// The first client over IPv4, the second over IPv6.
    #[track_caller]
    pub(crate) fn begin_both(
        clients: [&'a Namespace; 2],
        application: &Application,
        pace: Pace,
    ) -> Vec<Self> {
        let each = clients.into_iter().zip(application.targets());
        each.map(|(namespace, target)| Self::begin(namespace, target, pace)).collect()
    }

    /// Who answers on the connection that stays.
    pub(crate) fn partner(&self) -> &str {
        &self.conversation.partner().server
    }

    #[track_caller]
    pub(crate) fn assert_going_on(&self) {
        assert!(self.conversation.is_going_on(), "with {} by {}", self.partner(), self.target);
    }

    /// The server of the connection that stayed has ended it: there is another from here on.
    #[track_caller]
    pub(crate) fn converse_anew(&mut self) {
        self.conversation = converse(self.client, self.target);
    }

    /// Ends it. Nothing was refused, cut or sent twice.
    #[track_caller]
    pub(crate) fn assert_unharmed(self) -> Tally {
        let Self { namespace, target, conversation, stream, repeated, .. } = self;
        let tally = stream.stop();
        let who = namespace.name();
        assert_eq!(tally.lost, [], "{who} to {target}: {tally:?}");
        let exchanges = conversation.stop();
        assert!(exchanges.is_ok(), "{who} to {target}: {exchanges:?}");
        eprintln!("{who} to {target}: {} new connections, {exchanges:?} lines", tally.requests());
        let repeated = repeated_segments(namespace) - repeated;
        assert_eq!(repeated, 0, "{who} had to send segments again");
        tally
    }
}

/// A connection that stays.
#[track_caller]
pub(crate) fn converse(client: Client<'_>, target: SocketAddr) -> Conversation {
    Conversation::begin(client, target).unwrap_or_else(|refusal| panic!("{target}: {refusal}"))
}

/// How many segments TCP sent again in a namespace: a lost one does not show otherwise.
fn repeated_segments(namespace: &Namespace) -> u64 {
    let counters = namespace.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
    let counters = counters.expect("the kernel counts");
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let names = lines.next().into_iter().flat_map(str::split_whitespace);
    let values = lines.next().into_iter().flat_map(str::split_whitespace);
    let of = names.zip(values).find(|(name, _)| *name == "RetransSegs");
    of.and_then(|(_, value)| value.parse().ok()).expect("it counts what TCP sends again")
}
