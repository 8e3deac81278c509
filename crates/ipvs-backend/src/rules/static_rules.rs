//! Which rules there are.

use ipnet::IpNet;
use proxy_core::{Family, Protocol};

use super::config::{Detector, InputPolicy, Masquerade, RuleConfig};
use super::{Chain, Jump, Match, Place, Rule, Rules, Side, Table, Target};
use crate::set::{Purpose, SetId};

const BOTH: &[Side] = &[Side::Destination, Side::Destination];
const WITH_SOURCE: &[Side] = &[Side::Destination, Side::Destination, Side::Source];
const ONE: &[Side] = &[Side::Destination];

/// All the rules of `family`.
#[must_use]
pub fn static_rules(family: Family, config: &RuleConfig) -> Rules {
    let chain = |table, name, rules| Chain { table, name, rules };
    let (mangle, nat, filter) = (Table::Mangle, Table::Nat, Table::Filter);
    Rules {
        family,
        chains: vec![
            chain(mangle, "KUBE-IPVS-PREROUTING", arriving(family, config)),
            chain(mangle, "KUBE-IPVS-OUTPUT", leaving(family)),
            chain(nat, "KUBE-IPVS-REFUSE", refused(family)),
            chain(nat, "KUBE-SERVICES", services(family, config)),
            chain(nat, "KUBE-LOAD-BALANCER", load_balancer(family)),
            chain(nat, "KUBE-NODE-PORT", node_ports(family)),
            chain(nat, "KUBE-MARK-MASQ", mark_for_masquerade(config)),
            chain(nat, "KUBE-POSTROUTING", postrouting(family, config)),
            chain(filter, "KUBE-FORWARD", forward(config)),
            chain(filter, "KUBE-NODE-PORT", health_checks(family)),
            chain(filter, "KUBE-PROXY-FIREWALL", firewall(family)),
            chain(filter, "KUBE-SOURCE-RANGES-FIREWALL", source_ranges(family)),
            chain(filter, "KUBE-IPVS-FILTER", access(family)),
            chain(filter, "KUBE-IPVS-ACCEPT", accepted(family, config)),
        ],
        jumps: vec![
            jump(mangle, "PREROUTING", "KUBE-IPVS-PREROUTING", "proxyd audiences"),
            jump(mangle, "OUTPUT", "KUBE-IPVS-OUTPUT", "proxyd audiences"),
            jump(nat, "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
            jump(nat, "OUTPUT", "KUBE-IPVS-REFUSE", "proxyd services without endpoints"),
            jump(nat, "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
            jump(nat, "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
            jump(filter, "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
            jump(filter, "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
            jump(filter, "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
            jump(filter, "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
            jump(filter, "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
            Jump {
                place: Place::Tail,
                ..jump(filter, "INPUT", "KUBE-IPVS-ACCEPT", "proxyd services despite a policy")
            },
        ],
    }
}

/// At the head of the kernel's chain.
fn jump(table: Table, from: &'static str, to: &'static str, comment: &'static str) -> Jump {
    let rule = Rule { matches: vec![Match::Comment(comment)], target: Target::Jump(to) };
    Jump { table, from, place: Place::Head, rule }
}

fn rule(matches: impl IntoIterator<Item = Match>, target: Target) -> Rule {
    Rule { matches: matches.into_iter().collect(), target }
}

/// A rule about a set, with the set's comment.
fn commented(family: Family, purpose: Purpose, sides: &'static [Side], target: Target) -> Rule {
    rule([Match::Comment(purpose.comment()), in_set(family, purpose, sides)], target)
}

fn in_set(family: Family, purpose: Purpose, sides: &'static [Side]) -> Match {
    Match::InSet(SetId { purpose, family }, sides)
}

/// Packets from pods and from outside, before routing: pods are led to the servers for inside
/// clients where there are such, and new clients that a local traffic policy leaves without a
/// server get no answer.
fn arriving(family: Family, config: &RuleConfig) -> Vec<Rule> {
    let divert = |pod| rule([pod], Target::MarkFromSet(internal_mark(family)));
    let mut rules: Vec<_> = config.detector.a_pod(family).map(divert).into_iter().collect();
    rules.push(rule(
        [
            Match::NotMarked(config.marks.sign()),
            Match::New,
            in_set(family, Purpose::DropExternal, BOTH),
        ],
        Target::Drop,
    ));
    rules.push(nobody(family));
    rules
}

/// The node's own packets, before IPVS sees them. They never pass the chain in which others'
/// sources are judged, so theirs are judged here.
fn leaving(family: Family) -> Vec<Rule> {
    let source = SetId { purpose: Purpose::LoadBalancerSource, family };
    let not_admitted = [
        Match::New,
        in_set(family, Purpose::LoadBalancerFirewall, BOTH),
        Match::NotInSet(source, WITH_SOURCE),
    ];
    vec![
        rule([], Target::MarkFromSet(internal_mark(family))),
        rule(not_admitted, Target::Drop),
        nobody(family),
    ]
}

/// The node's own connections to a frontend without servers. IPVS would answer before any rule
/// that can reset them, so they go to another port of the same address, and are reset there.
fn refused(family: Family) -> Vec<Rule> {
    let matches = [Match::Protocol(Protocol::Tcp), in_set(family, Purpose::Refuse, BOTH)];
    vec![rule(matches, Target::ToPort(UNSERVED_PORT))]
}

/// `tcpmux` (RFC 1078), historic.
const UNSERVED_PORT: u16 = 1;

const fn internal_mark(family: Family) -> SetId {
    SetId { purpose: Purpose::InternalMark, family }
}

fn nobody(family: Family) -> Rule {
    rule([Match::New, in_set(family, Purpose::DropAll, BOTH)], Target::Drop)
}

/// Traffic to any frontend, from outside or from the node, before IPVS sees it. It decides who is
/// masqueraded, and ends here with ACCEPT so that no later rule translates it first.
fn services(family: Family, config: &RuleConfig) -> Vec<Rule> {
    let mark = Target::Jump("KUBE-MARK-MASQ");
    let cluster_ip = |first: Option<Match>| {
        let matches = first.into_iter().chain([
            Match::Comment(Purpose::ClusterIp.comment()),
            in_set(family, Purpose::ClusterIp, BOTH),
        ]);
        rule(matches, mark)
    };
    let masqueraded = match &config.masquerade {
        Masquerade::All => Some(cluster_ip(None)),
        Masquerade::OffCluster => {
            config.detector.not_a_pod(family).map(|not_a_pod| cluster_ip(Some(not_a_pod)))
        }
    };
    let accept = |purpose| rule([in_set(family, purpose, BOTH)], Target::Accept);
    let mut rules = vec![
        rule([Match::Source(loopback(family))], Target::Return),
        commented(family, Purpose::LoadBalancer, BOTH, Target::Jump("KUBE-LOAD-BALANCER")),
    ];
    rules.extend(masqueraded);
    rules.extend([
        commented(family, Purpose::ExternalIp, BOTH, mark),
        commented(family, Purpose::ExternalIp, BOTH, Target::Accept),
        commented(family, Purpose::ExternalIpLocal, BOTH, Target::Accept),
        rule([Match::DestinationIsLocal], Target::Jump("KUBE-NODE-PORT")),
        accept(Purpose::ClusterIp),
        accept(Purpose::LoadBalancer),
    ]);
    rules
}

fn loopback(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => IpNet::new_assert([127, 0, 0, 0].into(), 8),
        Family::Ipv6 => IpNet::new_assert(std::net::Ipv6Addr::LOCALHOST.into(), 128),
    }
}

fn load_balancer(family: Family) -> Vec<Rule> {
    vec![
        commented(family, Purpose::LoadBalancerLocal, BOTH, Target::Return),
        rule([], Target::Jump("KUBE-MARK-MASQ")),
    ]
}

/// For each protocol, ports whose clients keep their address before the others.
fn node_ports(family: Family) -> Vec<Rule> {
    let ports = |protocol| {
        let sides = if protocol == Protocol::Sctp { BOTH } else { ONE };
        let of = move |purpose: Purpose, target| {
            let about_set = [Match::Comment(purpose.comment()), in_set(family, purpose, sides)];
            rule([Match::Protocol(protocol)].into_iter().chain(about_set), target)
        };
        [
            of(Purpose::node_port_local(protocol), Target::Return),
            of(Purpose::node_port(protocol), Target::Jump("KUBE-MARK-MASQ")),
        ]
    };
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().flat_map(ports).collect()
}

fn mark_for_masquerade(config: &RuleConfig) -> Vec<Rule> {
    vec![rule([], Target::Mark(config.mark_bit.mask()))]
}

/// After the choice of a server: hairpin traffic and what was marked leave with this node's
/// address. The mark goes, so that an encapsulated packet is not masqueraded again.
fn postrouting(family: Family, config: &RuleConfig) -> Vec<Rule> {
    let mask = config.mark_bit.mask();
    let snat = Match::Comment("kubernetes service traffic requiring SNAT");
    let mut rules = vec![commented(family, Purpose::LoopBack, WITH_SOURCE, Target::Masquerade)];
    rules.extend(pods_of_other_nodes(family, config));
    rules.extend([
        rule([Match::NotMarked(mask)], Target::Return),
        rule([], Target::FlipMark(mask)),
        rule([snat], Target::MasqueradeRandom),
    ]);
    rules
}

/// A pod of another node at a node port of this one, led to servers of the whole cluster: they
/// would reply to it directly, past this node. Where pods are told by their interface it counts as
/// outside, and where this node's own pods cannot be told, they are masqueraded too.
fn pods_of_other_nodes(family: Family, config: &RuleConfig) -> Option<Rule> {
    let is_foreign = match (&config.detector, &config.own_pods) {
        (Detector::Networks { .. }, own) => own.not_a_pod(family),
        (Detector::Interface(_) | Detector::Unknown, _) => return None,
    };
    let to_node_port = Match::Marked(config.marks.node_port_sign());
    let matches = is_foreign.into_iter().chain([to_node_port, Match::SourceIsNotLocal]);
    Some(rule(matches, Target::MasqueradeRandom))
}

/// Requests and replies pass on a node whose FORWARD policy is DROP.
fn forward(config: &RuleConfig) -> Vec<Rule> {
    let request = Match::Comment("kubernetes forwarding rules");
    let reply = Match::Comment("kubernetes forwarding conntrack rule");
    vec![
        rule([request, Match::Marked(config.mark_bit.mask())], Target::Accept),
        rule([reply, Match::Established], Target::Accept),
    ]
}

/// Load balancers reach the health-check servers of a node whose INPUT policy is DROP.
fn health_checks(family: Family) -> Vec<Rule> {
    vec![commented(family, Purpose::HealthCheckNodePort, ONE, Target::Accept)]
}

fn firewall(family: Family) -> Vec<Rule> {
    let target = Target::Jump("KUBE-SOURCE-RANGES-FIREWALL");
    vec![commented(family, Purpose::LoadBalancerFirewall, BOTH, target)]
}

fn source_ranges(family: Family) -> Vec<Rule> {
    vec![
        commented(family, Purpose::LoadBalancerSource, WITH_SOURCE, Target::Return),
        rule([], Target::Drop),
    ]
}

/// What nobody else decided about, the firewall for source ranges included: connections to every
/// frontend pass, and what comes back to the node's own. A reply shows its server's address here,
/// which is in no set.
fn accepted(family: Family, config: &RuleConfig) -> Vec<Rule> {
    if config.input_policy == InputPolicy::Respect {
        return Vec::new();
    }
    let frontend = |purpose| rule([in_set(family, purpose, BOTH)], Target::Accept);
    let node_port = |protocol| {
        let sides = if protocol == Protocol::Sctp { BOTH } else { ONE };
        let ports = in_set(family, Purpose::node_port(protocol), sides);
        rule([Match::Protocol(protocol), Match::DestinationIsLocal, ports], Target::Accept)
    };
    vec![
        rule([Match::Reply], Target::Accept),
        frontend(Purpose::ClusterIp),
        frontend(Purpose::LoadBalancer),
        frontend(Purpose::ExternalIp),
        frontend(Purpose::ExternalIpLocal),
        node_port(Protocol::Tcp),
        node_port(Protocol::Udp),
        node_port(Protocol::Sctp),
    ]
}

/// A virtual server's address is local to this node, so whatever listens on all addresses would
/// answer there too. Only the ports of Services and ping are let through.
fn access(family: Family) -> Vec<Rule> {
    let served = |purpose| rule([in_set(family, purpose, BOTH)], Target::Return);
    let without_servers =
        [Match::Protocol(Protocol::Tcp), Match::New, in_set(family, Purpose::Refuse, BOTH)];
    vec![
        rule(without_servers, Target::Reset),
        rule([Match::SentToPort(UNSERVED_PORT)], Target::Reset),
        served(Purpose::LoadBalancer),
        served(Purpose::ClusterIp),
        served(Purpose::ExternalIp),
        served(Purpose::ExternalIpLocal),
        rule([in_set(family, Purpose::HealthCheckNodePort, ONE)], Target::Return),
        rule([Match::EchoRequest(family)], Target::Return),
        rule(
            [Match::Protocol(Protocol::Tcp), Match::New, in_set(family, Purpose::IpvsIps, ONE)],
            Target::Reset,
        ),
        rule([Match::New, in_set(family, Purpose::IpvsIps, ONE)], Target::Reject(family)),
    ]
}
