//! What a running daemon tells those who look at its node.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, Manifests, Namespace, Node, Server, proxyd,
    socket, told, wait_until,
};

/// The kernel sums its counts up every two seconds.
const SOON: Duration = Duration::from_secs(20);

fn run(namespace: &Namespace, arguments: &[&str]) -> Output {
    Command::new("ip")
        .args(["netns", "exec", namespace.name()])
        .arg(proxyd())
        .args(arguments)
        .arg("--socket")
        .arg(socket(namespace))
        .output()
        .expect("ip runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn document(namespace: &Namespace, arguments: &[&str]) -> Value {
    let arguments = [&["status", "-o", "json"], arguments].concat();
    let output = run(namespace, &arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Starts a daemon that mends nothing by itself as long as a test takes.
fn start_unhurried(node: &Node, manifests: &Manifests) -> Daemon {
    let arguments = ["--ipvs-sync-period=1h"];
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &arguments);
    daemon.wait_for_log("synced everything");
    daemon
}

/// The frontend at an address.
fn frontend<'a>(document: &'a Value, address: &str) -> &'a Value {
    let frontends = document["frontends"].as_array().expect("a list");
    let found = frontends.iter().find(|it| it["address"] == address && it["protocol"] == "TCP");
    found.unwrap_or_else(|| panic!("{address} is in {document:#}"))
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_service_is_shown_with_its_servers_and_the_connections_they_have() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (server, client) = (node.pod("server", 10), node.pod("client", 20));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    let web = Application::web();
    let ready = Endpoint::from(&server);
    manifests.write("web.yaml", &web.objects(&[ready, Endpoint::new(1, 11).terminating()]));
    let _daemon = Daemon::start(node, manifests.path());
    let target = web.targets().next().unwrap();
    let address = target.to_string();
    let open = Client::in_namespace(&client.namespace).connect(target).unwrap();
    wait_until("the connection is counted", SOON, || {
        let document = document(&node.namespace, &[]);
        let traffic = &frontend(&document, &address)["traffic"];
        (&traffic["active"], &traffic["total"]) == (&Value::from(1), &Value::from(1))
    });

    let all = document(&node.namespace, &[]);
    assert_eq!((&all["state"], &all["node"]), (&"inStep".into(), &"node-1".into()), "{all:#}");
    let web = frontend(&all, &address);
    assert_eq!((&web["service"], &web["kind"]), (&"default/web".into(), &"ClusterIP".into()));
    assert_eq!(web["servers"]["ready"], 1, "{web:#}");
    assert_eq!(web["servers"]["unused"], 1, "{web:#}");
    let one = document(&node.namespace, &["default/web"]);
    let destinations = &frontend(&one, &address)["destinations"];
    assert_eq!(destinations[0]["address"], "10.244.1.10:8080", "{one:#}");
    assert_eq!((&destinations[0]["active"], &destinations[0]["weight"]), (&1.into(), &1.into()));
    let endpoints = one["endpoints"].as_array().expect("a list");
    let reason = endpoints.iter().find_map(|it| it["unused"].as_str()).expect("one is not used");
    assert!(reason.contains("terminates"), "{reason}");

    let table = text(&run(&node.namespace, &["status"]));
    let line = table.lines().find(|line| line.contains(&format!("TCP {address}"))).expect("a row");
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[5..10], ["Cluster", "1", "0", "1", "1"], "{table}");
    assert!(table.contains("In step: last change"), "{table}");
    let detail = text(&run(&node.namespace, &["status", "default/web"]));
    assert!(detail.contains("Endpoints that are not used"), "{detail}");
    keep(&format!("$ proxyd status\n{table}\n$ proxyd status default/web\n{detail}"), "status.txt");
    drop(open);
}

/// What the metrics server of a node answers on the node itself, with its head.
fn fetch(node: &Node, path: &str, host: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    node.namespace.enter(move || {
        let mut stream = TcpStream::connect("127.0.0.1:10249").expect("somebody listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
        stream.write_all(request.as_bytes()).expect("it is heard");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        answer
    })
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_browser_is_shown_the_same_if_that_is_wanted() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (server, client) = (node.pod("server", 10), node.pod("client", 20));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    let web = Application::web();
    manifests.write("web.yaml", &web.objects(&[Endpoint::from(&server)]));
    let daemon = Daemon::start(node, manifests.path());
    let fetch = |path, host| fetch(node, path, host);
    assert!(fetch("/page", "localhost").starts_with("HTTP/1.1 404 "), "it is off by default");
    drop(daemon);

    let arguments = ["--page=loopback"];
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &arguments);
    daemon.wait_for_log("synced everything");
    let target = web.targets().next().unwrap();
    let open = Client::in_namespace(&client.namespace).connect(target).unwrap();
    wait_until("the connection is shown", SOON, || {
        fetch("/page", "localhost:10249").contains("<p class=\"traffic\">1 connections, ")
    });
    let page = fetch("/page?q=clusterip", "127.0.0.1:10249");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("\r\nContent-Security-Policy: default-src 'none'; "), "{page}");
    assert!(page.contains(">default/web:"), "{page}");
    let service = fetch("/page?service=default/web", "[::1]:10249");
    assert!(service.contains("<td>10.244.1.10:8080</td>"), "{service}");
    let other = fetch("/page", "somewhere.example");
    assert!(other.starts_with("HTTP/1.1 421 Misdirected Request\r\n"), "{other}");
    drop(open);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn looks_at_the_same_time_do_not_wait_for_one_another() {
    const LOOKS: usize = 24;
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::two_tier();
    let arguments = ["--page=loopback"];
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &arguments);
    daemon.wait_for_log("synced everything");
    let paths = ["/page?service=default/backend-service", "/page?service=default/frontend-service"];
    let answers: Vec<_> = thread::scope(|scope| {
        let look = |path| scope.spawn(move || fetch(node, path, "localhost"));
        let looks: Vec<_> = paths.into_iter().cycle().take(LOOKS).map(look).collect();
        looks.into_iter().map(|look| look.join().expect("it is answered or cut off")).collect()
    });
    // The server cuts off who was not answered in 10 s.
    let good = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(good.count(), LOOKS, "{answers:#?}");
    for answer in &answers {
        assert!(answer.contains(" new a second, "), "connections are counted: {answer}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_somebody_changed_is_shown_and_mended() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::two_tier();
    let _daemon = start_unhurried(node, &manifests);
    let diff = |arguments: &[&str]| {
        let output = run(&node.namespace, &[&["diff"], arguments].concat());
        (text(&output), output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (lines, status, words) = diff(&[]);
    assert_eq!((&*lines, status), ("", Some(0)), "{words}");

    let server = ["-d", "-t", "10.96.0.100:3000", "-r", "10.244.2.10:8080"];
    let _ = node.namespace.exec("ipvsadm", &server);
    let expected = "+ server TCP 10.96.0.100:3000 -> 10.244.2.10:8080 weight 1";
    let explained = format!("{expected}  (somebody removed it; it was right ");
    let (lines, status, words) = diff(&[]);
    assert_eq!((lines.starts_with(&explained), status), (true, Some(2)), "{lines} {words}");
    assert!(lines.ends_with(" ago)\n") && lines.lines().count() == 1, "{lines}");
    let held = node.namespace.exec("ipvsadm", &["-Sn"]);
    assert!(!held.contains("-t 10.96.0.100:3000 -r"), "a look mends nothing: {held}");

    let (lines, status, words) = diff(&["--repair"]);
    assert_eq!((lines.starts_with(&explained), status), (true, Some(0)), "{lines} {words}");
    assert!(words.contains("1 objects were mended"), "{words}");
    let held = node.namespace.exec("ipvsadm", &["-Sn"]);
    assert!(held.contains("-a -t 10.96.0.100:3000 -r 10.244.2.10:8080 -m -w 1"), "{held}");
    // Without a daemon's word, from the same manifests.
    let path = manifests.path().to_str().unwrap();
    let node_arguments =
        ["--manifests", path, "--node-name", "node-1", "--detect-local-mode=NodeCIDR"];
    let (lines, status, words) = diff(&node_arguments);
    assert_eq!((&*lines, status), ("", Some(0)), "{words}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_bundle_has_what_it_takes_to_look_into_the_node_and_no_secrets() {
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2RlLTEifQ.c2lnbmF0dXJlLW9mLWl0";
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::two_tier();
    // Somebody put a token where it does not belong; it is in the log, and in a problem.
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: odd, namespace: default}}\nspec:\n  \
         clusterIP: 10.96.0.77\n  externalIPs: [{TOKEN}]\n  ports: [{{port: 80}}]\n"
    );
    manifests.write("odd.yaml", &service);
    let daemon = start_unhurried(node, &manifests);
    assert!(daemon.log().contains(TOKEN), "{}", daemon.log());
    let server = ["-d", "-t", "10.96.0.100:3000", "-r", "10.244.2.10:8080"];
    let _ = node.namespace.exec("ipvsadm", &server);

    let path = std::env::temp_dir().join(format!("bundle-{}.tar.gz", std::process::id()));
    let file = path.to_str().unwrap();
    let output = run(&node.namespace, &["bundle", file]);
    assert!(output.status.success(), "{output:?}");
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar").args(arguments).output().expect("tar runs");
        text(&output)
    };
    let names = tar(&["-tzf", file]);
    for name in [
        "bundle.json",
        "daemon/config.json",
        "daemon/desired.json",
        "daemon/diff.json",
        "daemon/log.txt",
        "daemon/metrics.txt",
        "daemon/objects.json",
        "daemon/services/default/odd.json",
        "daemon/status.json",
        "kernel/facts.json",
        "kernel/network.txt",
        "kernel/rules-IPv4.txt",
        "kernel/rules-IPv6.txt",
        "kernel/sets.txt",
        "kernel/virtual-servers.txt",
    ] {
        assert!(names.lines().any(|it| it == name), "{name} is in {names}");
    }
    let all = tar(&["-xzOf", file]);
    for part in [
        "TCP 10.96.0.100:3000 rr",
        "add KUBE-CLUSTER-IP 10.96.0.100,tcp:3000",
        "-A KUBE-SERVICES",
        "local 10.96.0.100 dev",
        "net.ipv4.vs.conntrack",
        "synced everything",
        "proxyd_build_info",
        "\"drainLimit\": \"15m0s\"",
    ] {
        assert!(all.contains(part), "{part} is in {all}");
    }
    assert!(all.contains("[left out]") && !all.contains(TOKEN), "{all}");

    // The daemon says the same of Services as a look at what it was told.
    let questions: [&[&str]; 3] = [
        &["why", "default/frontend-service"],
        &[
            "explain",
            "-o",
            "json",
            "pod",
            "svc/default/backend-service",
            "outside",
            "10.96.0.77:80",
        ],
        &["explain", "remote-pod", "svc/default/frontend-service"],
    ];
    let told = told(&node.name, manifests.path());
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    let answers = questions.map(|question| {
        let answer = run(&node.namespace, question);
        let other = run(&node.namespace, &[question, &told].concat());
        assert_eq!((text(&answer), answer.status), (text(&other), other.status), "{question:?}");
        assert!(answer.stdout.len() > 200, "{answer:?}");
        answer
    });

    // It is read without the daemon, and without its node.
    drop(daemon);
    let offline = |arguments: &[&str]| {
        let output = Command::new(proxyd()).args(arguments).args(["--bundle", file]).output();
        output.expect("it runs")
    };
    let output = offline(&["diff"]);
    let expected = "+ server TCP 10.96.0.100:3000 -> 10.244.2.10:8080 weight 1";
    let explained = format!("{expected}  (somebody removed it; it was right ");
    assert!(text(&output).starts_with(&explained), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
    let output = offline(&["plan"]);
    assert_eq!((text(&output).trim_end(), output.status.code()), (expected, Some(2)));
    for (question, answer) in questions.iter().zip(&answers) {
        let output = offline(question);
        assert_eq!((text(&output), output.status), (text(answer), answer.status), "{question:?}");
    }
    let output = offline(&["why", "default/odd"]);
    assert!(text(&output).contains("spec.externalIPs[0]  [left out]"), "{output:?}");
    let output = offline(&["status"]);
    assert!(text(&output).contains("default/odd"), "{output:?}");
    let output = offline(&["status", "default/odd"]);
    assert!(text(&output).contains("externalIPs"), "{output:?}");
    let _ = std::fs::remove_file(&path);

    let output = run(&node.namespace, &["status"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("the one that did is gone"), "{words}");
    assert_eq!(output.status.code(), Some(1));
    let alone = run(&node.namespace, &["bundle", file]);
    let words = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(words.contains("daemon/status.json is left out"), "{words}");
    assert!(Path::new(file).exists());
    let _ = std::fs::remove_file(&path);
}

/// Puts the text where whoever runs the test can look at it.
fn keep(text: &str, name: &str) {
    if let Some(results) = std::env::var_os("GUEST_RESULTS") {
        std::fs::write(Path::new(&results).join(name), text).expect("results can be written");
    }
}
