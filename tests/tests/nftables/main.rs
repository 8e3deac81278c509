//! The whole path on a kernel whose packet filter is `nf_tables`: real connections, a restart, and
//! nothing left in the end.

mod nftables {
    use std::net::IpAddr;
    use std::thread;
    use std::time::Duration;

    use ipvs_backend::{IpvsBackend, IpvsConfig};
    use proxy_core::{Backend as _, Family};
    use rustix::process::Signal;
    use tests::lab::{
        Application, Client, Cluster, Daemon, Endpoint, KernelState, Manifests, Namespace, Pod,
        Server, Transport, feed, iptables, packet_filter, plan, run, wait_until,
    };

    /// What kube-proxy's mode for `nf_tables` leaves, as far as it harms: a Service of its own
    /// time, refused. And a table that is none of anybody's business.
    const LEFTOVERS: &str = "
        table ip kube-proxy {
            map no-endpoint-services {
                type ipv4_addr . inet_proto . inet_service : verdict
                elements = { 10.96.0.9 . tcp . 80 : goto reject-chain }
            }
            chain reject-chain { reject; }
            chain filter-input {
                type filter hook input priority 0;
                ip daddr . meta l4proto . th dport vmap @no-endpoint-services
            }
        }
        table ip6 kube-proxy {
            chain filter-input {
                type filter hook input priority 0;
                ip6 daddr fd00:96::9 reject
            }
        }
        table inet kube-proxy {
            chain filter-input { type filter hook input priority 0; }
        }
        table ip strangers {
            chain filter-input { type filter hook input priority 0; }
        }
        ";

    /// One node, a pod of its that serves, and what the node is to read.
    struct Stage {
        web: Application,
        manifests: Manifests,
        _server: Server,
        pod: Pod,
        cluster: Cluster,
    }

    impl Stage {
        fn new() -> Self {
            let web = Application::web();
            let cluster = Cluster::new(1);
            let pod = cluster.node(1).pod("pod", 10);
            let server = Server::start(&pod.namespace, &pod.name, 8080);
            let manifests = Manifests::of_nodes();
            manifests.write("web.yaml", &web.objects(&[Endpoint::from(&pod)]));
            Self { web, manifests, _server: server, pod, cluster }
        }
    }

    fn tables() -> Vec<String> {
        let listed = run("nft", &["list", "tables"]);
        let ours = |line: &&str| line.ends_with(" kube-proxy") || line.ends_with(" strangers");
        listed.lines().filter(ours).map(str::to_owned).collect()
    }

    #[test]
    #[ignore = "needs root and a kernel with ip_vs and nf_tables"]
    fn tables_that_kube_proxy_left_are_removed_and_its_services_are_served() {
        let Stage { web, cluster, pod, manifests, _server } = Stage::new();
        let node = cluster.node(1);
        let client = Client::in_namespace(&cluster.client);
        let leave = || {
            node.namespace.enter(|| {
                feed("nft", &["-f", "-"], LEFTOVERS);
                assert_eq!(tables().len(), 4);
            });
        };
        Daemon::start(node, manifests.path()).stop(Signal::TERM);
        leave();
        for target in web.targets() {
            let answer = client.ask(target, Transport::Tcp);
            assert!(answer.is_err(), "{target} is refused, not {answer:?}");
        }

        let lines = ["IPv4", "IPv6"].map(|it| format!("- {it} table kube-proxy of nf_tables"));
        assert_eq!(plan(node, manifests.path()), (lines.to_vec(), Some(2)));
        assert_eq!(node.namespace.enter(tables).len(), 4, "a plan changes nothing");

        let daemon = Daemon::start(node, manifests.path());
        for target in web.targets() {
            assert_eq!(client.ask(target, Transport::Tcp).unwrap().server, pod.name);
        }
        let others = ["table inet kube-proxy", "table ip strangers"];
        assert_eq!(node.namespace.enter(tables), others);
        let log = daemon.log();
        assert!(log.contains("synced everything kernel_changes=2 failed=0"), "{log}");
        assert_eq!(plan(node, manifests.path()), (Vec::new(), Some(0)));
        daemon.stop(Signal::TERM);

        node.namespace.enter(|| run("nft", &["delete", "table", "ip", "strangers"]));
        node.namespace.enter(|| run("nft", &["delete", "table", "inet", "kube-proxy"]));
        leave();
        node.namespace.enter(move || {
            let report = IpvsBackend::open(IpvsConfig::default()).unwrap().cleanup().unwrap();
            assert!(report.failed.is_empty(), "{:?}", report.failed);
            assert_eq!(tables(), others);
        });
    }

    #[test]
    #[ignore = "needs root and a kernel with ip_vs and nf_tables"]
    fn a_comparison_starts_no_process_unless_rules_changed() {
        const SOON: Duration = Duration::from_secs(60);
        const QUIET: Duration = Duration::from_secs(4);
        let Stage { cluster, manifests, .. } = Stage::new();
        let node = cluster.node(1);
        let arguments = ["--ipvs-sync-period=1s"];
        let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &arguments);
        daemon.wait_for_log("synced everything");
        // The first comparison afterwards still looks: the rules were changed, by us.
        let quiet = || {
            let before = daemon.ticks_of_children();
            thread::sleep(QUIET);
            daemon.ticks_of_children() == before
        };
        wait_until("no process is started any more", SOON, quiet);

        // What is added is not announced as removed rules are: only a comparison finds it.
        let meddle = "-t nat -I KUBE-MARK-MASQ -j RETURN";
        iptables(&node.namespace, Family::Ipv4, meddle);
        let rules = || node.namespace.enter(|| run("iptables-nft-save", &["-t", "nat"]));
        wait_until("the rule is gone", SOON, || !rules().contains("KUBE-MARK-MASQ -j RETURN"));
        daemon.wait_for_log("KUBE-MARK-MASQ");
        assert!(daemon.log().contains("drift"), "{}", daemon.log());
        wait_until("no process is started any more", SOON, quiet);
    }

    #[test]
    #[ignore = "needs root and a kernel with ip_vs and nf_tables"]
    fn services_work_a_restart_changes_nothing_and_cleanup_leaves_nothing() {
        let Stage { web, cluster, pod, manifests, _server } = Stage::new();
        let node = cluster.node(1);
        let daemon = Daemon::start(node, manifests.path());

        let saved = node.namespace.enter(|| run("iptables-nft-save", &["-t", "nat"]));
        for rule in ["-A PREROUTING ", ":KUBE-SERVICES ", "--match-set KUBE-LOOP-BACK "] {
            assert!(saved.contains(rule), "{rule:?} is not in\n{saved}");
        }
        for target in web.targets() {
            for transport in [Transport::Tcp, Transport::Udp] {
                let source = |namespace: &Namespace| -> IpAddr {
                    Client::in_namespace(namespace).ask(target, transport).unwrap().source
                };
                // Hairpin, the node itself, and masquerade for a client that is no pod.
                for namespace in [&pod.namespace, &node.namespace, &cluster.client] {
                    assert_eq!(source(namespace), node.gateway_for(target.ip()));
                }
            }
        }

        let state = || node.namespace.enter(|| (KernelState::here(), packet_filter()));
        let before = state();
        daemon.stop(Signal::TERM);
        let again = Daemon::start(node, manifests.path());
        let log = again.log();
        assert!(log.contains("synced everything kernel_changes=0 failed=0"), "{log}");
        assert_eq!(state(), before);
        again.stop(Signal::KILL);

        let (left, rules) = node.namespace.enter(|| {
            let mut backend = IpvsBackend::open(IpvsConfig::default()).unwrap();
            let report = backend.cleanup().unwrap();
            assert!(report.failed.is_empty(), "{:?}", report.failed);
            (KernelState::here(), packet_filter())
        });
        let KernelState { services, members, routes } = left;
        assert_eq!([services, members, routes].concat(), Vec::<String>::new());
        assert!(!rules.contains("KUBE-"), "{rules}");
    }
}
