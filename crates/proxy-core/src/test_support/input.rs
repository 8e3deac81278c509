//! From the notation of the tests to values of the model.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use super::key;
use crate::{
    Admission, ClusterIps, Conditions, DesiredState, Endpoint, EndpointSlice, Family, FrontendKind,
    Hints, Locality, Name, Node, Pool, Priority, Protocol, RealServer, Resolution, Scheduler,
    SchedulerFlags, Service, ServiceKind, ServicePort, ServicePortName, SessionAffinity, SlicePort,
    SourceAddress, SourceRanges, Tenure, TrafficPolicy, Tuning, Vip, VirtualServer,
    VirtualServerKey, WhenEmpty,
};

/// A Service. The first word with a slash is its key; then, in any order:
/// `int`, `np`, `lb`: its type, `np` with node port 30080; `p`: node port 30080;
/// `x`, `v`: one external or load-balancer IP, or with `=ADDRESS` that one; `ip=ADDRESS`;
/// `iTP=Local`, `eTP=Local`; `port=NAME:PROTOCOL:PORT[:NODEPORT]`; `hc=PORT`; `created=TEXT`;
/// `affinity=SECONDS`; `ranges=CIDR`.
#[track_caller]
pub(crate) fn service(text: &str) -> Service {
    let mut service = bare_service();
    let mut node_port = None;
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let or = |default| address(if value.is_empty() { default } else { value });
        match name {
            "int" => service.kind = ServiceKind::ClusterIp,
            "np" => {
                service.kind = ServiceKind::NodePort;
                node_port = Some(number(30080));
            }
            "lb" => service.kind = ServiceKind::LoadBalancer,
            "p" => node_port = Some(number(30080)),
            "x" => service.external_ips.push(or("203.0.113.5")),
            "v" => service.load_balancer_ips.push(or("198.51.100.7")),
            "ip" => service.cluster_ips.set(address(value)),
            "iTP" => service.internal_traffic_policy = policy(value),
            "eTP" => service.external_traffic_policy = policy(value),
            "port" => service.ports.push(service_port(value)),
            "hc" => service.health_check_node_port = Some(value.parse().unwrap()),
            "created" => service.created = Some(value.into()),
            "affinity" => {
                let timeout_seconds: NonZeroU32 = value.parse().unwrap();
                service.session_affinity = Some(SessionAffinity { timeout_seconds });
            }
            "ranges" => {
                let range: ipnet::IpNet = value.parse().unwrap();
                let family = Family::of(range.addr());
                service.source_ranges.set(family, Admission::Only(Arc::new([range])));
            }
            _ if name.contains('/') => service.key = key(name),
            _ => panic!("{word:?} is no word for a Service"),
        }
    }
    if service.cluster_ips == ClusterIps::default() {
        service.cluster_ips.set(address("10.96.0.9"));
    }
    if service.ports.is_empty() {
        service.ports.push(service_port(":TCP:80"));
    }
    for port in &mut service.ports {
        port.node_port = port.node_port.or(node_port);
    }
    service.external_ips.sort_unstable();
    service.load_balancer_ips.sort_unstable();
    service
}

fn bare_service() -> Service {
    Service {
        key: key("web"),
        created: None,
        kind: ServiceKind::ClusterIp,
        cluster_ips: ClusterIps::default(),
        external_ips: Vec::new(),
        load_balancer_ips: Vec::new(),
        source_ranges: SourceRanges::default(),
        ports: Vec::new(),
        external_traffic_policy: TrafficPolicy::Cluster,
        internal_traffic_policy: TrafficPolicy::Cluster,
        session_affinity: None,
        health_check_node_port: None,
        tuning: Tuning::default(),
    }
}

fn policy(text: &str) -> TrafficPolicy {
    match text {
        "Local" => TrafficPolicy::Local,
        "Cluster" => TrafficPolicy::Cluster,
        _ => panic!("{text:?} is no traffic policy"),
    }
}

fn protocol(text: &str) -> Protocol {
    match text {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => panic!("{text:?} is no protocol"),
    }
}

fn service_port(text: &str) -> ServicePort {
    let fields: Vec<_> = text.split(':').collect();
    ServicePort {
        name: fields[0].into(),
        protocol: protocol(fields[1]),
        port: fields[2].parse().unwrap(),
        node_port: fields.get(3).map(|text| text.parse().unwrap()),
    }
}

/// A slice: its name, then in any order `of=SERVICE` (`web`), `port=NAME:PROTOCOL:PORT`
/// (`:TCP:8080`), `v6`; and its endpoints, as [`endpoints`] reads them.
#[track_caller]
pub(crate) fn slice(header: &str, text: &str) -> EndpointSlice {
    let mut words = header.split_whitespace();
    let mut slice = EndpointSlice {
        key: key(words.next().unwrap_or("web-1")),
        service: "web".into(),
        family: Family::Ipv4,
        ports: Vec::new(),
        endpoints: Box::new([]),
        triggered: None,
    };
    for word in words {
        match word.split_once('=') {
            Some(("of", name)) => slice.service = name.into(),
            Some(("port", port)) => {
                let ServicePort { name, protocol, port, .. } = service_port(port);
                slice.ports.push(SlicePort { name, protocol, port });
            }
            None if word == "v6" => slice.family = Family::Ipv6,
            _ => panic!("{word:?} is no word for a slice"),
        }
    }
    if slice.ports.is_empty() {
        let (name, port) = ("".into(), number(8080));
        slice.ports.push(SlicePort { name, protocol: Protocol::Tcp, port });
    }
    slice.endpoints = endpoints(text, slice.family).into();
    slice
}

/// Endpoints with a comma and a space between them: `ADDRESS[@NODE] CONDITIONS [z:ZONES] [n:NODES]`.
#[track_caller]
pub(crate) fn endpoints(text: &str, family: Family) -> Vec<Endpoint> {
    text.split(", ").filter(|text| !text.is_empty()).map(|text| endpoint(text, family)).collect()
}

fn endpoint(text: &str, family: Family) -> Endpoint {
    let mut words = text.split_whitespace();
    let name = words.next().expect("an endpoint has an address");
    let (name, node) = name.split_once('@').map_or((name, None), |(name, node)| (name, Some(node)));
    let (mut ready, mut serving, mut terminating) = (None, None, None);
    let mut hints: Option<Hints> = None;
    for word in words {
        let (word, value) = word.split_once(['=', ':']).unwrap_or((word, ""));
        match word {
            "R" => (ready, serving, terminating) = (Some(true), Some(true), Some(false)),
            "U" => (ready, serving, terminating) = (Some(false), Some(false), Some(false)),
            "T+" => (ready, serving, terminating) = (Some(false), Some(true), Some(true)),
            "T-" => (ready, serving, terminating) = (Some(false), Some(false), Some(true)),
            "ready" => ready = value.parse().ok(),
            "serving" => serving = value.parse().ok(),
            "terminating" => terminating = value.parse().ok(),
            "z" => hints.get_or_insert_default().zones = names(value),
            "n" => hints.get_or_insert_default().nodes = names(value),
            _ => panic!("{word:?} is no word for an endpoint"),
        }
    }
    Endpoint {
        address: endpoint_address(name, family),
        conditions: Conditions::from_api(ready, serving, terminating),
        node: node.map(Name::from),
        zone: None,
        hints: hints.map(Arc::new),
    }
}

fn names(text: &str) -> Vec<Name> {
    text.split(',').filter(|name| !name.is_empty()).map(Name::from).collect()
}

fn endpoint_address(name: &str, family: Family) -> IpAddr {
    let &[letter @ b'A'..=b'Z'] = name.as_bytes() else {
        return address(name);
    };
    let last = letter - b'A' + 1;
    match family {
        Family::Ipv4 => address(&format!("10.1.0.{last}")),
        Family::Ipv6 => address(&format!("fd00:1::{last:x}")),
    }
}

/// A node: its name, then `zone=NAME` and any number of `ip=ADDRESS`.
#[track_caller]
pub(crate) fn node(text: &str) -> Node {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap().into();
    let mut node = Node {
        name,
        zone: None,
        addresses: Vec::new(),
        pod_cidrs: Vec::new(),
        tenure: Tenure::default(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("zone", zone)) => node.zone = Some(zone.into()),
            Some(("ip", text)) => node.addresses.push(address(text)),
            _ => panic!("{word:?} is no word for a node"),
        }
    }
    node
}

/// A virtual server of kind `kind` with the cluster-wide pool `servers` (`A,B`), for tests that
/// need no Service to make it.
#[track_caller]
pub(crate) fn server(origin: &str, kind: FrontendKind, at: &str, servers: &str) -> VirtualServer {
    let endpoints = endpoints(&servers.replace(',', ", "), Family::Ipv4);
    let real = |endpoint: &Endpoint| RealServer {
        address: endpoint.address,
        port: number(8080),
        weight: NonZeroU16::MIN,
        locality: Locality::Remote,
    };
    let pool =
        Pool { servers: endpoints.iter().map(real).collect(), when_empty: WhenEmpty::Reject };
    let socket: std::net::SocketAddr = at.parse().unwrap();
    VirtualServer {
        key: VirtualServerKey {
            address: socket.ip(),
            protocol: Protocol::Tcp,
            port: number(socket.port()),
        },
        origin: ServicePortName { service: key(origin), port: "".into() },
        kind,
        scheduler: Scheduler::RoundRobin,
        scheduler_flags: SchedulerFlags::default(),
        session_affinity: None,
        admission: Admission::Anyone,
        external: pool.clone(),
        internal: pool,
        unchosen: Arc::new([]),
        vip: Vip::Bind,
        source_address: SourceAddress::MasqueradeOffCluster,
        health_check_port: None,
        drain_limit: None,
        priority: Priority::Normal,
    }
}

/// What a Service contributes when these are its virtual servers.
pub(crate) fn resolution(servers: impl IntoIterator<Item = VirtualServer>) -> Resolution {
    let mut servers: Vec<_> = servers.into_iter().map(Arc::new).collect();
    servers.sort_by_key(|server| server.key);
    Resolution { servers, ..Resolution::default() }
}

/// A state with these virtual servers, one Service for each.
pub(crate) fn desired(servers: impl IntoIterator<Item = VirtualServer>) -> DesiredState {
    let mut state = DesiredState::new();
    for server in servers {
        let service = server.origin.service.clone();
        let _ = state.replace(&service, resolution([server]));
    }
    state
}

#[track_caller]
pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no address"))
}

#[track_caller]
pub(crate) fn number(port: u16) -> NonZeroU16 {
    NonZeroU16::new(port).expect("no port is 0")
}
