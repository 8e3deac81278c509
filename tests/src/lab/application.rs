//! A Service with its endpoints, written as a cluster would.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use proxy_core::{Family, FrontendKind};

use super::{Node, Pod, Transport};

/// A Service, to be written as YAML and to be called.
#[derive(Clone, Debug)]
pub struct Application {
    name: String,
    cluster_ips: Vec<IpAddr>,
    external_ips: Vec<IpAddr>,
    load_balancer_ips: Vec<IpAddr>,
    node_port: Option<u16>,
    ports: Vec<Port>,
    spec: String,
}

#[derive(Clone, Copy, Debug)]
struct Port {
    transport: Transport,
    number: u16,
    target: u16,
}

/// An endpoint on one of the laboratory's nodes, in both families.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    node: u8,
    host: u8,
    condition: Condition,
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    Ready,
    NotReady,
    Terminating,
}

impl Application {
    /// A Service with an address, or one of each family, and no port yet.
    ///
    /// # Panics
    /// When an address is not one.
    #[must_use]
    pub fn new(name: &str, cluster_ips: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            cluster_ips: addresses(cluster_ips),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            node_port: None,
            ports: Vec::new(),
            spec: String::new(),
        }
    }

    /// A Service with addresses of both families, on port 80 over TCP and UDP, for servers on 8080.
    ///
    /// # Panics
    /// Never: its addresses are well formed.
    #[must_use]
    pub fn web() -> Self {
        let web = Self::new("web", &["10.96.0.9", "fd00:96::9"]);
        web.port(Transport::Tcp, 80, 8080).port(Transport::Udp, 80, 8080)
    }

    /// A Service with a frontend of every kind in both families, on port 80 over every transport,
    /// for servers on 8080. `number` is in all of its addresses, and in its node port:
    ///
    /// | frontend | IPv4 | IPv6 |
    /// |---|---|---|
    /// | cluster IP | 10.96.0.N | `fd00:96::N` |
    /// | external IP | 198.51.100.N | `2001:db8:e::N` |
    /// | load-balancer IP | 192.0.2.N | `2001:db8:b::N` |
    /// | node port | 30000+N | 30000+N |
    ///
    /// # Panics
    /// Never: its addresses are well formed.
    #[must_use]
    pub fn everywhere(name: &str, number: u8) -> Self {
        let of = |[four, six]: [&str; 2]| [format!("{four}{number}"), format!("{six}{number}")];
        let text = |ips: &[String; 2]| addresses(&ips.each_ref().map(String::as_str));
        let cluster_ips = of(["10.96.0.", "fd00:96::"]);
        let everywhere = Self {
            external_ips: text(&of(["198.51.100.", "2001:db8:e::"])),
            load_balancer_ips: text(&of(["192.0.2.", "2001:db8:b::"])),
            node_port: Some(30_000 + u16::from(number)),
            ..Self::new(name, &cluster_ips.each_ref().map(String::as_str))
        };
        let all = Transport::ALL.into_iter();
        all.fold(everywhere, |application, transport| application.port(transport, 80, 8080))
    }

    /// The same with external IPs, instead of those it has.
    ///
    /// # Panics
    /// When an address is not one.
    #[must_use]
    pub fn external_ips(self, external_ips: &[&str]) -> Self {
        Self { external_ips: addresses(external_ips), ..self }
    }

    /// The same with one line more in its `spec`.
    #[must_use]
    pub fn spec(mut self, line: &str) -> Self {
        let _ = writeln!(self.spec, "  {line}");
        self
    }

    /// The same with one port more.
    #[must_use]
    pub fn port(mut self, transport: Transport, number: u16, target: u16) -> Self {
        self.ports.push(Port { transport, number, target });
        self
    }

    /// Where it is called: its first port, in every family.
    pub fn targets(&self) -> impl Iterator<Item = SocketAddr> {
        let port = self.ports.first().map_or(0, |port| port.number);
        self.cluster_ips.iter().map(move |&address| (address, port).into())
    }

    /// Where it is called by a frontend of a kind and family, on the first port; a node port at
    /// the address of `node`.
    ///
    /// # Panics
    /// When it has no such frontend.
    #[must_use]
    pub fn target(&self, kind: FrontendKind, family: Family, node: &Node) -> SocketAddr {
        let first = |addresses: &[IpAddr]| {
            let mut of_family = addresses.iter().filter(|ip| Family::of(**ip) == family);
            *of_family.next().expect("it has a frontend of this family")
        };
        let port = self.ports.first().map_or(0, |port| port.number);
        match kind {
            FrontendKind::ClusterIp => (first(&self.cluster_ips), port).into(),
            FrontendKind::ExternalIp => (first(&self.external_ips), port).into(),
            FrontendKind::LoadBalancer => (first(&self.load_balancer_ips), port).into(),
            FrontendKind::NodePort => {
                let address = node.address_for(first(&self.cluster_ips));
                (address, self.node_port.expect("it has a node port")).into()
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All its objects.
    #[must_use]
    pub fn objects(&self, endpoints: &[Endpoint]) -> String {
        [self.service(), self.slices(endpoints)].join("---\n")
    }

    /// The Service object.
    #[must_use]
    pub fn service(&self) -> String {
        let Self { name, cluster_ips, spec, .. } = self;
        let families: Vec<_> = cluster_ips.iter().copied().map(family).collect();
        let policy = if cluster_ips.len() > 1 { "RequireDualStack" } else { "SingleStack" };
        let first = cluster_ips[0];
        let mut yaml = format!(
            "apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  clusterIP: \"{first}\"
  clusterIPs: {}
  ipFamilies: [{}]
  ipFamilyPolicy: {policy}
{spec}",
            quoted(cluster_ips),
            families.join(", "),
        );
        if let Some(kind) = self.kind() {
            let _ = writeln!(yaml, "  type: {kind}");
        }
        if !self.external_ips.is_empty() {
            let _ = writeln!(yaml, "  externalIPs: {}", quoted(&self.external_ips));
        }
        yaml.push_str("  ports:\n");
        for Port { transport, number, target } in &self.ports {
            let (name, protocol) = (port_name(*transport, *number), protocol(*transport));
            let node_port = self.node_port.map(|port| format!(", nodePort: {port}"));
            let _ = writeln!(
                yaml,
                "    - {{name: {name}, port: {number}, targetPort: {target}, protocol: {protocol}{}}}",
                node_port.unwrap_or_default()
            );
        }
        if !self.load_balancer_ips.is_empty() {
            yaml.push_str("status:\n  loadBalancer:\n    ingress:\n");
        }
        for ip in &self.load_balancer_ips {
            let _ = writeln!(yaml, "      - {{ip: \"{ip}\"}}");
        }
        yaml
    }

    /// Its type, unless it is the one that a Service has by default.
    const fn kind(&self) -> Option<&'static str> {
        match (self.load_balancer_ips.is_empty(), self.node_port) {
            (false, _) => Some("LoadBalancer"),
            (true, Some(_)) => Some("NodePort"),
            (true, None) => None,
        }
    }

    /// Its EndpointSlices, one a family.
    #[must_use]
    pub fn slices(&self, endpoints: &[Endpoint]) -> String {
        let slice = |ip: &IpAddr| self.slice(*ip, endpoints);
        self.cluster_ips.iter().map(slice).collect::<Vec<_>>().join("---\n")
    }

    fn slice(&self, cluster_ip: IpAddr, endpoints: &[Endpoint]) -> String {
        let (name, family) = (&self.name, family(cluster_ip));
        let mut yaml = format!(
            "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-{}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: {family}
ports:
",
            family.to_lowercase()
        );
        for Port { transport, number, target } in &self.ports {
            let (name, protocol) = (port_name(*transport, *number), protocol(*transport));
            let _ = writeln!(yaml, "  - {{name: {name}, port: {target}, protocol: {protocol}}}");
        }
        yaml.push_str(if endpoints.is_empty() { "endpoints: []\n" } else { "endpoints:\n" });
        for endpoint in endpoints {
            let _ = writeln!(
                yaml,
                "  - {{addresses: [\"{}\"], nodeName: node-{}, conditions: {}}}",
                endpoint.address_for(cluster_ip),
                endpoint.node,
                endpoint.conditions()
            );
        }
        yaml
    }
}

impl Endpoint {
    /// A ready one with address .`host` on node `node`.
    #[must_use]
    pub const fn new(node: u8, host: u8) -> Self {
        Self { node, host, condition: Condition::Ready }
    }

    /// The same, ready no more.
    #[must_use]
    pub const fn not_ready(self) -> Self {
        Self { condition: Condition::NotReady, ..self }
    }

    /// The same, on its way out but still serving.
    #[must_use]
    pub const fn terminating(self) -> Self {
        Self { condition: Condition::Terminating, ..self }
    }

    fn address_for(self, cluster_ip: IpAddr) -> String {
        let Self { node, host, .. } = self;
        match cluster_ip {
            IpAddr::V4(_) => format!("10.244.{node}.{host}"),
            IpAddr::V6(_) => format!("fd00:244:{node}::{host}"),
        }
    }

    const fn conditions(self) -> &'static str {
        match self.condition {
            Condition::Ready => "{ready: true, serving: true, terminating: false}",
            Condition::NotReady => "{ready: false, serving: false, terminating: false}",
            Condition::Terminating => "{ready: false, serving: true, terminating: true}",
        }
    }
}

impl From<&Pod> for Endpoint {
    fn from(pod: &Pod) -> Self {
        let [_, _, node, host] = pod.ipv4.octets();
        Self::new(node, host)
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

/// As a list in YAML.
fn quoted(addresses: &[IpAddr]) -> String {
    let all: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", all.join(", "))
}

const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

const fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::Sctp => "SCTP",
    }
}

fn port_name(transport: Transport, number: u16) -> String {
    format!("{}-{number}", protocol(transport).to_lowercase())
}
