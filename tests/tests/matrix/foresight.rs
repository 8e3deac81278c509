//! What `proxyd explain` says will become of a case, in the words of the table: one call for all
//! cases on a node.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use proxy_core::Family;
use serde::Deserialize;
use tests::lab::{Transport, proxyd, told};

use crate::check::Case;
use crate::table::{SILENCE, Who};
use crate::world::World;

/// As `docs/explain.md` has it.
#[derive(Deserialize)]
struct Document {
    packets: Vec<Packet>,
}

#[derive(Deserialize)]
struct Packet {
    verdict: String,
    servers: Vec<Server>,
    seen: Option<Seen>,
}

#[derive(Deserialize)]
struct Server {
    server: SocketAddr,
    outcome: String,
    seen: Option<Seen>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    address: Option<IpAddr>,
    is_masqueraded: bool,
}

impl World {
    /// What the cases will come to. A pod of node 2 comes by its own node first, where that has a
    /// daemon.
    #[track_caller]
    pub(crate) fn foresee(&self, cases: &[&Case]) -> Vec<Vec<String>> {
        let is_first_on_2 = |case: &&&Case| case.client == Who::Peer && self.told(2).is_some();
        let on_2: Vec<&Case> = cases.iter().filter(is_first_on_2).copied().collect();
        let mut by_2 = self.explain(2, &on_2).into_iter();
        let passes = |packet: &Packet| {
            let is_kept = |seen: &Seen| !seen.is_masqueraded && seen.address.is_some();
            packet.verdict == "routed" && packet.seen.as_ref().is_some_and(is_kept)
        };
        let mut outcomes = Vec::new();
        let mut on_1 = Vec::new();
        for case in cases {
            let first = is_first_on_2(&case).then(|| by_2.next().expect("an answer for each"));
            match first.filter(|packet| !passes(packet)) {
                Some(packet) => outcomes.push(Some(self.in_words(2, &packet))),
                None => {
                    outcomes.push(None);
                    on_1.push(*case);
                }
            }
        }
        let mut by_1 = self.explain(1, &on_1).into_iter();
        let mut of_1 = || self.in_words(1, &by_1.next().expect("an answer for each"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(&mut of_1)).collect()
    }

    /// What `proxyd explain` says on a node.
    #[track_caller]
    fn explain(&self, number: u8, cases: &[&Case]) -> Vec<Packet> {
        if cases.is_empty() {
            return Vec::new();
        }
        let node = self.cluster.node(number);
        let pairs = cases.iter().flat_map(|case| {
            let protocol = match case.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
                Transport::Sctp => "sctp",
            };
            let source = self.source(number, case.client, Family::of(case.target.ip()));
            [source, format!("{}/{protocol}", case.target)]
        });
        let output = Command::new("ip")
            .args(["netns", "exec", node.namespace.name()])
            .arg(proxyd())
            .args(["explain", "-o", "json"])
            .args(told(&node.name, self.manifests.path()))
            .args(self.told(number).unwrap_or_default())
            .args(pairs)
            .output()
            .expect("ip runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let document = serde_saphyr::from_str::<Document>(&text);
        let document = document.unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(document.packets.len(), cases.len(), "one answer for each packet");
        document.packets
    }

    /// Who a client is for the node, and by which interface it comes there.
    fn source(&self, number: u8, client: Who, family: Family) -> String {
        let is_ipv4 = family == Family::Ipv4;
        let pod = |pod: &tests::lab::Pod| {
            if is_ipv4 { pod.ipv4.to_string() } else { pod.ipv6.to_string() }
        };
        let outside = if is_ipv4 { "203.0.113.9" } else { "2001:db8:9::9" };
        match (client, number) {
            (Who::Node, _) => "node".to_owned(),
            (Who::Outside, _) => format!("{outside}%eth0"),
            (Who::Here, _) => format!("{}%pod10", pod(&self.here)),
            (Who::Pod, _) => format!("{}%pod20", pod(&self.pod)),
            (Who::Peer, 2) => format!("{}%pod20", pod(&self.peer)),
            (Who::Peer, _) => format!("{}%eth0", pod(&self.peer)),
        }
    }

    /// What a client will get, sorted.
    fn in_words(&self, number: u8, packet: &Packet) -> Vec<String> {
        let of_server = |server: &Server| match &server.seen {
            Some(seen) => {
                let address = server.server.ip();
                let source = seen.address.unwrap_or_else(|| self.source_towards(number, address));
                format!("{} saw {}", self.word(address), self.word(source))
            }
            None => format!("{} {}", self.word(server.server.ip()), server.outcome),
        };
        let mut words: Vec<_> = match packet.verdict.as_str() {
            "served" => packet.servers.iter().map(of_server).collect(),
            "dropped" => vec![SILENCE.to_owned()],
            verdict => vec![verdict.to_owned()],
        };
        words.sort_unstable();
        words
    }

    /// The address of a node on its way to a server: that of its links to its pods, or the other.
    fn source_towards(&self, number: u8, server: IpAddr) -> IpAddr {
        let node = self.cluster.node(number);
        let own = if number == 1 { [&self.here, &self.pod] } else { [&self.there, &self.peer] };
        if own.iter().any(|pod| pod.address_for(server) == server) {
            node.gateway_for(server)
        } else {
            node.address_for(server)
        }
    }
}
