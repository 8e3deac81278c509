//! Where node ports are served.

use tests::lab::{Cluster, Daemon, Manifests};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIP: 10.96.0.50
  clusterIPs: [10.96.0.50, 'fd00:96::50']
  ipFamilies: [IPv4, IPv6]
  ports: [{port: 80, nodePort: 30080}]
";

fn served_at(choice: &[&str]) -> Vec<String> {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", SERVICE);
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), choice);
    daemon.wait_for_log("synced everything");
    let services = node.namespace.exec("ipvsadm", &["-Sn"]);
    let node_ports = services.lines().filter_map(|line| {
        let address = line.split_whitespace().nth(2)?;
        address.strip_suffix(":30080").map(str::to_owned)
    });
    let mut node_ports: Vec<_> = node_ports.collect();
    node_ports.sort();
    node_ports
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn node_ports_are_served_everywhere_or_where_it_is_said() {
    let everywhere = ["10.244.1.1", "192.168.50.11", "[fd00:244:1::1]", "[fd00:50::11]"];
    assert_eq!(served_at(&[]), everywhere);
    let in_networks = ["--nodeport-addresses", "192.168.50.0/24,fd00:50::/64"];
    assert_eq!(served_at(&in_networks), ["192.168.50.11", "[fd00:50::11]"]);
    let in_one_family = ["--nodeport-addresses", "10.244.0.0/16"];
    assert_eq!(served_at(&in_one_family), ["10.244.1.1", "[fd00:244:1::1]", "[fd00:50::11]"]);
    let on_the_primary = ["--nodeport-addresses", "primary"];
    assert_eq!(served_at(&on_the_primary), ["192.168.50.11", "[fd00:50::11]"]);
}
