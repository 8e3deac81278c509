//! Carries out tables of rows and compares.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use proxy_core::Family;
use tests::lab::{Application, Transport};

use crate::table::{FRONTENDS, Row, SILENCE, Who};
use crate::world::World;

/// A client that calls a virtual server, and what it must get.
pub(crate) struct Case {
    pub(crate) client: Who,
    pub(crate) target: SocketAddr,
    pub(crate) transport: Transport,
    wanted: Vec<String>,
    /// What `proxyd explain` says of it; nothing if it was not asked.
    explained: Option<Vec<String>>,
}

/// How many virtual servers are asked at a time. The laboratory may have one processor, and clients
/// do not wait forever.
const AT_A_TIME: usize = 8;

impl World {
    /// Every case of the table comes out as it says, over every transport.
    #[track_caller]
    pub(crate) fn check(&self, application: &Application, table: &str) {
        self.check_over(&Transport::ALL, &[(application, table)]);
    }

    /// The same for some Services at a time.
    #[track_caller]
    pub(crate) fn check_all(&self, tables: &[(&Application, &str)]) {
        self.check_over(&Transport::ALL, tables);
    }

    /// The same over some transports.
    ///
    /// What `proxyd explain` says is asked for before anything is sent.
    ///
    /// The clients of a virtual server ask one after the other, so that nobody takes another's turn.
    /// Those who are to get no answer wait for it all at once.
    #[track_caller]
    pub(crate) fn check_over(&self, transports: &[Transport], tables: &[(&Application, &str)]) {
        let mut groups = self.groups(transports, tables);
        let explained = self.foresee(&groups.iter().flatten().collect::<Vec<_>>());
        for (case, explained) in groups.iter_mut().flatten().zip(explained) {
            case.explained = Some(explained);
        }
        self.try_out(groups);
    }

    /// Every case of the table comes out as it says, because of rules of others, which `explain`
    /// knows nothing of.
    #[track_caller]
    pub(crate) fn check_unexplained(&self, application: &Application, table: &str) {
        self.try_out(self.groups(&Transport::ALL, &[(application, table)]));
    }

    fn groups(&self, transports: &[Transport], tables: &[(&Application, &str)]) -> Vec<Vec<Case>> {
        let of_table = |(service, table): &(&Application, &str)| {
            self.cases(transports, service, &Row::parse_all(table))
        };
        tables.iter().flat_map(of_table).collect()
    }

    #[track_caller]
    fn try_out(&self, groups: Vec<Vec<Case>>) {
        let (mut asking, mut waiting) = (Vec::new(), Vec::new());
        for cases in groups {
            let (silent, served): (Vec<_>, Vec<_>) =
                cases.into_iter().partition(|case| case.wanted == [SILENCE]);
            asking.push(served);
            waiting.extend(silent.into_iter().map(|case| vec![case]));
        }
        let everybody = waiting.len();
        let mut differences = self.differences(asking, AT_A_TIME);
        differences.extend(self.differences(waiting, everybody));
        let report = differences.join("\n");
        assert!(differences.is_empty(), "{} cases differ:\n{report}", differences.len());
    }

    /// The cases of one Service, by virtual server.
    fn cases(
        &self,
        transports: &[Transport],
        service: &Application,
        rows: &[Row],
    ) -> Vec<Vec<Case>> {
        let mut all = Vec::new();
        for kind in FRONTENDS {
            let rows: Vec<_> = rows.iter().filter(|row| row.frontends.contains(&kind)).collect();
            if rows.is_empty() {
                continue;
            }
            for family in Family::ALL {
                let target = service.target(kind, family, self.node());
                all.extend(transports.iter().map(|&transport| {
                    let of_row = |row: &&Row| {
                        let wanted = row.outcome.clone();
                        let case = |client| {
                            let (wanted, explained) = (wanted.clone(), None);
                            Case { client, target, transport, wanted, explained }
                        };
                        row.clients.iter().copied().map(case).collect::<Vec<_>>()
                    };
                    rows.iter().flat_map(of_row).collect()
                }));
            }
        }
        all
    }

    /// Carries out groups of cases, `at_a_time` of them. Returns in words where something else came
    /// out.
    fn differences(&self, groups: Vec<Vec<Case>>, at_a_time: usize) -> Vec<String> {
        let (groups, found) = (Mutex::new(groups.into_iter()), Mutex::new(Vec::new()));
        let next = || groups.lock().expect("nobody panics with it").next();
        thread::scope(|scope| {
            for _ in 0..at_a_time {
                scope.spawn(|| {
                    while let Some(group) = next() {
                        for case in group {
                            let got = self.outcome(case.client, case.target, case.transport);
                            for difference in case.differences(&got) {
                                found.lock().expect("nobody panics with it").push(difference);
                            }
                        }
                    }
                });
            }
        });
        found.into_inner().expect("nobody panicked with it")
    }
}

impl Case {
    /// In words where something else came out than was wanted, or than was explained.
    fn differences(&self, got: &[String]) -> Vec<String> {
        let mut differences = Vec::new();
        if !self.meets(&self.wanted, got) {
            differences.push(format!("{self}; got {}", got.join(", ")));
        }
        if let Some(explained) = self.explained.as_ref().filter(|it| !self.meets(it, got)) {
            let explained = explained.join(", ");
            differences.push(format!("{self}; explained {explained}; got {}", got.join(", ")));
        }
        differences
    }

    fn meets(&self, wanted: &[String], got: &[String]) -> bool {
        // A datagram of the node's own that is dropped on its way out is an error of the call that
        // sends it.
        let is_own_datagram = self.client == Who::Node && self.transport == Transport::Udp;
        let is_dropped = is_own_datagram && wanted == [SILENCE];
        if is_dropped { got == ["refused"] } else { got == wanted }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, target, transport, wanted, .. } = self;
        let wanted = wanted.join(", ");
        write!(f, "{client} -> {target} over {transport:?}: wanted {wanted}")
    }
}
