//! A Service with its endpoints, written as a cluster would.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::{Pod, Transport};

/// A Service, to be written as YAML and to be called.
#[derive(Clone, Debug)]
pub struct Application {
    name: String,
    cluster_ips: Vec<IpAddr>,
    ports: Vec<Port>,
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
        let cluster_ips = cluster_ips.iter().map(|ip| ip.parse().expect("an address")).collect();
        Self { name: name.to_owned(), cluster_ips, ports: Vec::new() }
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

    /// All its objects.
    #[must_use]
    pub fn objects(&self, endpoints: &[Endpoint]) -> String {
        [self.service(), self.slices(endpoints)].join("---\n")
    }

    /// The Service object.
    #[must_use]
    pub fn service(&self) -> String {
        let Self { name, cluster_ips, .. } = self;
        let families: Vec<_> = cluster_ips.iter().copied().map(family).collect();
        let policy = if cluster_ips.len() > 1 { "RequireDualStack" } else { "SingleStack" };
        let first = cluster_ips[0];
        let ips: Vec<_> = cluster_ips.iter().map(|ip| format!("\"{ip}\"")).collect();
        let mut yaml = format!(
            "apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  clusterIP: \"{first}\"
  clusterIPs: [{}]
  ipFamilies: [{}]
  ipFamilyPolicy: {policy}
  ports:
",
            ips.join(", "),
            families.join(", ")
        );
        for Port { transport, number, target } in &self.ports {
            let (name, protocol) = (port_name(*transport, *number), protocol(*transport));
            let _ = writeln!(
                yaml,
                "    - {{name: {name}, port: {number}, targetPort: {target}, protocol: {protocol}}}"
            );
        }
        yaml
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
    }
}

fn port_name(transport: Transport, number: u16) -> String {
    format!("{}-{number}", protocol(transport).to_lowercase())
}
