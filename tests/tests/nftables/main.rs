//! The whole path on a kernel whose packet filter is `nf_tables`: real connections, a restart, and
//! nothing left in the end.

mod nftables {
    use std::net::IpAddr;

    use ipvs_backend::{IpvsBackend, IpvsConfig};
    use proxy_core::Backend as _;
    use rustix::process::Signal;
    use tests::lab::{
        Application, Client, Cluster, Daemon, Endpoint, KernelState, Manifests, Namespace, Server,
        Transport, packet_filter, run,
    };

    #[test]
    #[ignore = "needs root and a kernel with ip_vs and nf_tables"]
    fn services_work_a_restart_changes_nothing_and_cleanup_leaves_nothing() {
        let web = Application::web();
        let cluster = Cluster::new(1);
        let node = cluster.node(1);
        let pod = node.pod("pod", 10);
        let _server = Server::start(&pod.namespace, &pod.name, 8080);
        let manifests = Manifests::of_nodes();
        manifests.write("web.yaml", &web.objects(&[Endpoint::from(&pod)]));
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
