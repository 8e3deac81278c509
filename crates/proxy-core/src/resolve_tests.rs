use super::*;
use crate::test_support::{
    address, model, node, number, service, service_event, show_pool, show_server, slice_event,
};
use crate::{Event, Model};

/// Every virtual server of default/web, one a line.
fn servers(model: &Model) -> Vec<String> {
    let resolution = model.resolve(&key());
    resolution.servers.iter().map(|server| show_server(server)).collect()
}

/// A row of a table: what each kind of client gets at each kind of frontend, as letters or the
/// answer of an empty pool. `outside` and `inside` hold at external IP, load-balancer IP and node
/// port alike.
#[track_caller]
fn check(policies: &str, endpoints: &str, cluster_ip: &str, outside: &str, inside: &str) {
    let kind = if outside == "n/a" { "int" } else { "lb x v p" };
    let events = [service_event(&format!("{kind} {policies}")), slice_event("web-1", endpoints)];
    let resolution = model(events).resolve(&key());
    for server in &resolution.servers {
        let found = (show_pool(&server.external), show_pool(&server.internal));
        let expected = match server.kind {
            FrontendKind::ClusterIp => (cluster_ip, cluster_ip),
            _ => (outside, inside),
        };
        assert_eq!(found, (expected.0.to_owned(), expected.1.to_owned()), "{server:?}");
    }
    let kinds = resolution.servers.len();
    assert_eq!(kinds, if outside == "n/a" { 1 } else { 4 }, "a server for each frontend");
}

/// The numbers are those of the worked examples; expected is what the Service API promises.
#[test]
fn each_audience_of_each_frontend_gets_its_list() {
    check("", "A@n1 R, B@n2 R", "A,B", "A,B", "A,B"); // 70
    check("eTP=Local", "A@n1 R, B@n2 R", "A,B", "A", "A,B"); // 71
    check("eTP=Local", "B@n2 R", "B", "drop", "B"); // 72
    check("iTP=Local", "A@n1 R, B@n2 R", "A", "A,B", "A,B"); // 73
    check("iTP=Local", "B@n2 R", "drop", "B", "B"); // 74
    check("iTP=Local", "B@n2 R", "drop", "n/a", "n/a"); // 75
    check("iTP=Local eTP=Local", "A@n1 T+, B@n2 R", "A", "A", "B"); // 76
    check("eTP=Local", "A@n1 T+, B@n2 R", "B", "A", "B"); // 77
    check("eTP=Local", "A@n1 T+, B@n2 T+", "A,B", "A", "A,B"); // 78
    for policies in ["", "iTP=Local", "eTP=Local", "iTP=Local eTP=Local"] {
        check(policies, "", "reject", "reject", "reject"); // 79
        check(policies, "A@n1 U, B@n2 T-", "reject", "reject", "reject");
    }
    check("eTP=Local", "A@n1 R z:zb, B@n2 R z:za", "B", "A", "B"); // 80
}

#[test]
fn only_where_lists_differ_is_a_server_split() {
    let split = |endpoints: &str| {
        let events = [service_event("np eTP=Local"), slice_event("web-1", endpoints)];
        let resolution = model(events).resolve(&key());
        let node_port = resolution.servers.iter().find(|one| one.kind == FrontendKind::NodePort);
        node_port.unwrap().split()
    };
    assert!(split("A@n1 R, B@n2 R"));
    assert!(split("B@n2 R"), "outside clients get no answer, inside clients get B");
    assert!(!split("B@n2 U"), "every client is refused");
    assert!(!split("A@n1 R, B@n1 R"), "everyone is served by both");
}

#[test]
fn a_dual_stack_service_has_frontends_in_both_families() {
    // 90, 91; the IPv6 ingress is ipMode Proxy, so it never gets here
    let web = "lb p ip=10.96.0.9 ip=fd00:96::9 x=203.0.113.5 x=2001:db8::5 v=198.51.100.7 \
               ranges=10.0.0.0/8";
    let model =
        model([service_event(web), slice_event("web-4", "A R"), slice_event("web-6 v6", "B R")]);
    let expected = [
        "TCP 10.96.0.9:80 ClusterIP default/web A",
        "TCP 192.0.2.1:30080 NodePort default/web A",
        "TCP 198.51.100.7:80 LoadBalancer default/web A",
        "TCP 203.0.113.5:80 ExternalIP default/web A",
        "TCP [2001:db8::5]:80 ExternalIP default/web B",
        "TCP [2001:db8:1::1]:30080 NodePort default/web B",
        "TCP [fd00:96::9]:80 ClusterIP default/web B",
    ];
    assert_eq!(servers(&model), expected);
    for server in model.resolve(&key()).servers {
        let is_limited = server.admission != Admission::Anyone;
        assert_eq!(is_limited, server.kind == FrontendKind::LoadBalancer, "{server:?}");
    }
}

#[test]
fn a_family_without_cluster_ip_has_no_frontends() {
    let model = model([
        service_event("np x=2001:db8::5"), // 92
        slice_event("web-6 v6", "B R"),
    ]);
    let expected = [
        "TCP 10.96.0.9:80 ClusterIP default/web reject",
        "TCP 192.0.2.1:30080 NodePort default/web reject",
    ];
    assert_eq!(servers(&model), expected);
    let model = self::model([service_event("np ip=fd00::1 x=203.0.113.5")]); // 93, 94
    let expected = [
        "TCP [2001:db8:1::1]:30080 NodePort default/web reject",
        "TCP [fd00::1]:80 ClusterIP default/web reject",
    ];
    assert_eq!(servers(&model), expected);
}

/// A row of a table: ports of the Service, slices as `HEADER | ENDPOINTS`, and the pool of each
/// port of the cluster IP. Each row must hold whatever order the slices come in.
#[track_caller]
fn check_ports(ports: &str, slices: &[&str], expected: &[&str]) {
    let mut slices: Vec<_> = slices.iter().map(|text| text.split_once(" | ").unwrap()).collect();
    for _ in 0..2 {
        let delivered = slices.iter().map(|(header, endpoints)| slice_event(header, endpoints));
        let events = std::iter::once(service_event(&format!("int {ports}"))).chain(delivered);
        let resolution = model(events).resolve(&key());
        let name = |server: &VirtualServer| server.origin.port.clone();
        let shown: Vec<_> = resolution
            .servers
            .iter()
            .map(|server| format!("{}: {}", name(server), show_pool(&server.internal)))
            .collect();
        assert_eq!(shown, expected);
        slices.reverse();
    }
}

#[test]
fn a_port_is_served_by_slice_ports_of_its_name_and_protocol() {
    check_ports("port=:TCP:80", &["s1 port=:TCP:8080 | A R"], &[": A"]); // 100
    check_ports(
        "port=http:TCP:80 port=https:TCP:443",
        &["s1 port=http:TCP:8080 | A R", "s2 port=http:TCP:9090 port=https:TCP:8443 | B R"],
        &["http: A,10.1.0.2:9090", "https: 10.1.0.2:8443"], // 102
    );
    check_ports(
        "port=dns:UDP:53 port=dns-tcp:TCP:53",
        &["s1 port=dns:UDP:53 port=dns-tcp:TCP:53 | A R"],
        &["dns-tcp: 10.1.0.1:53", "dns: 10.1.0.1:53"], // 103
    );
    check_ports("port=dns:TCP:53", &["s1 port=dns:UDP:53 | A R"], &["dns: reject"]); // 104
    check_ports("port=web:TCP:80", &["s1 port=http:TCP:8080 | A R"], &["web: reject"]); // 114
}

#[test]
fn of_one_address_in_several_slices_the_better_entry_counts() {
    check_ports("", &["s1 | A R", "s2 | A T+"], &[": A"]); // 106
    check_ports("", &["s1 | A T+", "s2 | A R"], &[": A"]);
    check_ports("", &["s1 | A U", "s2 | A R"], &[": A"]);
    check_ports("", &["s1 | A R", "s2 | A R"], &[": A"]); // 109
    check_ports("", &["s1 | A U", "s2 | A T+"], &[": reject"]); // not terminating goes first
    check_ports("", &["s1 | A U, A R"], &[": A"]);
    check_ports("", &["s1 v6 | A R"], &[": reject"]);
}

#[test]
fn a_replaced_entry_takes_its_locality_and_hints_with_it() {
    check_local(&["s1 | A@n1 R", "s2 | A@n2 R"], "drop");
    check_local(&["s1 | A@n2 R", "s2 | A@n1 R"], "A");
    check_local(&["s1 | A@n1 R", "s2 | A@n2 T+"], "A");
}

#[track_caller]
fn check_local(slices: &[&str], expected: &str) {
    check_ports("iTP=Local", slices, &[&format!(": {expected}")]);
}

/// A row of a table: what the health-check node port counts, per family.
#[track_caller]
fn check_health(service: &str, slices: &[&str], expected: &[usize]) {
    let slices = slices.iter().map(|text| {
        let (header, endpoints) = text.split_once(" | ").unwrap();
        slice_event(header, endpoints)
    });
    let service = service_event(&format!("lb v p eTP=Local hc=32000 {service}"));
    let resolution = model(std::iter::once(service).chain(slices)).resolve(&key());
    let counts: Vec<_> =
        resolution.health_checks.iter().map(|check| check.local_endpoints).collect();
    assert_eq!(counts, expected);
    assert!(resolution.health_checks.iter().all(|check| check.port == number(32000)));
}

#[test]
fn health_checks_count_addresses_of_ready_local_endpoints() {
    let two = "port=http:TCP:80 port=https:TCP:443";
    check_health(two, &["s1 port=http:TCP:80 port=https:TCP:443 | A@n1 R"], &[1]); // 120
    check_health("", &["s1 | A@n1 T+"], &[0]); // 121
    check_health("", &["s1 | A@n2 R"], &[0]); // 122
    check_health("", &["s1 | A@n1 R, B@n1 R, C@n1 U"], &[2]); // 123
    let dual = "ip=10.96.0.9 ip=fd00:96::9";
    check_health(dual, &["s4 | A@n1 R, B@n1 R", "s6 v6 | A@n1 R"], &[2, 1]);
    check_health("", &["s1 port=other:TCP:80 | A@n1 R"], &[0]); // no port of the Service
}

#[test]
fn only_services_with_a_health_check_port_have_a_health_check() {
    let model = model([service_event("np eTP=Local"), slice_event("s1", "A@n1 R")]);
    assert_eq!(model.resolve(&key()).health_checks, []);
}

#[test]
fn one_address_of_one_service_is_one_frontend_of_the_first_kind() {
    let model = model([service_event("lb v=203.0.113.5 x=203.0.113.5")]);
    let expected = [
        "TCP 10.96.0.9:80 ClusterIP default/web reject",
        "TCP 203.0.113.5:80 LoadBalancer default/web reject",
    ];
    assert_eq!(servers(&model), expected);
}

#[test]
fn a_port_at_a_nodes_address_goes_before_another_ports_node_port() {
    let model = model([service_event("np x=192.0.2.1 port=a:TCP:80:30080 port=b:TCP:30080:30081")]);
    let expected = [
        "TCP 10.96.0.9:80 ClusterIP default/web:a reject",
        "TCP 10.96.0.9:30080 ClusterIP default/web:b reject",
        "TCP 192.0.2.1:80 ExternalIP default/web:a reject",
        "TCP 192.0.2.1:30080 ExternalIP default/web:b reject",
        "TCP 192.0.2.1:30081 NodePort default/web:b reject",
    ];
    assert_eq!(servers(&model), expected);
}

#[test]
fn frontends_of_one_port_share_one_pool() {
    let model = model([service_event("lb x v p"), slice_event("s1", "A R, B R")]);
    let servers = model.resolve(&key()).servers;
    let first = &servers[0].external.servers;
    for server in &servers {
        assert!(Arc::ptr_eq(first, &server.external.servers));
        assert!(Arc::ptr_eq(first, &server.internal.servers));
        assert!(Arc::ptr_eq(&servers[0].unchosen, &server.unchosen));
    }
}

#[test]
fn another_nodes_address_is_served_without_being_bound() {
    let other = Event::Node(Arc::new(node("n2 ip=203.0.113.5")));
    let resolution =
        model([other, service_event("int x=203.0.113.5 x=203.0.113.6")]).resolve(&key());
    let vip = |text: &str| {
        resolution.servers.iter().find(|one| one.key.address == address(text)).unwrap().vip
    };
    assert_eq!(vip("203.0.113.5"), Vip::Leave);
    assert_eq!(vip("203.0.113.6"), Vip::Bind);
    assert_eq!(vip("10.96.0.9"), Vip::Bind);
    let warnings: Vec<_> = resolution.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("Service default/web: 203.0.113.5 is an address of Node n2"));
}

#[test]
fn node_addresses_are_never_bound_and_a_service_can_opt_out() {
    let mut service = service("np");
    let vips = |service: &Service| {
        let model = model([Event::Service(Arc::new(service.clone()))]);
        let vips: Vec<_> = model.resolve(&key()).servers.iter().map(|one| one.vip).collect();
        vips
    };
    assert_eq!(vips(&service), [Vip::Bind, Vip::Leave]);
    service.tuning.vip = VipChoice::Leave;
    assert_eq!(vips(&service), [Vip::Leave, Vip::Leave]);
}

#[test]
fn the_first_matching_weight_rule_counts() {
    let mut service = service("int");
    let rule = |selector, weight| WeightRule { selector, weight: number(weight) };
    service.tuning.weights = vec![
        rule(WeightSelector::Address(address("10.1.0.1")), 7),
        rule(WeightSelector::Local, 5),
        rule(WeightSelector::Node("n2".into()), 3),
    ];
    let slice = slice_event("s1", "A@n1 R, B@n1 R, C@n2 R, D@n3 R");
    let model = model([Event::Service(Arc::new(service)), slice]);
    let servers = &model.resolve(&key()).servers[0].internal.servers;
    let weights: Vec<_> = servers.iter().map(|real| real.weight.get()).collect();
    assert_eq!(weights, [7, 5, 3, 1]);
}

#[test]
fn the_api_server_and_cluster_dns_are_urgent() {
    let urgent = |text: &str| {
        let service = service(text);
        let resolution = model([service_event(text)]).resolve(&service.key);
        resolution.servers[0].priority == Priority::Urgent
    };
    assert!(urgent("default/kubernetes port=https:TCP:443"));
    assert!(urgent("kube-system/coredns port=dns:UDP:53"));
    assert!(!urgent("kube-system/metrics port=https:TCP:443"));
    assert!(!urgent("default/web port=dns:UDP:53"));
}

fn key() -> ServiceKey {
    crate::test_support::key("web")
}
