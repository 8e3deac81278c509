//! What the API says is served.

use rustix::process::Signal;
use tests::apiserver::{Credentials, Options, Streaming};
use tests::lab::{Endpoint, packet_filter, wait_until};

use crate::cluster::{SOON, Scene, service};

/// From start to stop: Services, endpoints and the node follow the API, and nothing is taken away
/// at the end.
fn check_serving(streaming: Streaming) {
    let scene = Scene::new(Options { streaming, ..Options::default() });
    let (one, two) = (service(1), service(2));
    scene.apply(&one, &[Endpoint::from(&scene.pod)]);
    let daemon = scene.serve();
    assert_eq!(scene.ask(&one).expect("it is served").server, scene.pod.name);

    scene.apply(&two, &[Endpoint::from(&scene.pod)]);
    scene.is_soon_served(&two);
    scene.apply(&two, &[]);
    scene.is_soon_refused(&two);
    scene.apply(&two, &[Endpoint::from(&scene.pod)]);
    scene.is_soon_served(&two);
    assert!(scene.api.delete("services", "default", "web-2"));
    scene.is_soon_refused(&two);

    let before = scene.kernel();
    assert!(daemon.stop(Signal::TERM).success());
    assert_eq!(scene.kernel(), before);
    assert!(scene.ask(&one).is_ok(), "traffic flows on without the daemon");
    let daemon = scene.serve();
    assert!(daemon.log().contains("kernel_changes=0 "), "{}", daemon.log());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_node_is_programmed_from_the_api_with_kubeadms_configuration() {
    check_serving(Streaming::Served);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_api_server_that_only_lists_in_pages_will_do() {
    check_serving(Streaming::Refused);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_configuration_file_is_followed_where_that_is_safe() {
    let scene = Scene::new(Options::default());
    let one = service(1);
    scene.apply(&one, &[Endpoint::from(&scene.pod)]);
    let daemon = scene.serve();
    let rules = || scene.lab.node(1).namespace.enter(packet_filter);
    assert!(rules().contains("! -s 10.244.0.0/16 "), "{}", rules());

    scene.configure(&Credentials::Nothing, |text| {
        text.replace("clusterCIDR: 10.244.0.0/16", "clusterCIDR: 10.240.0.0/12")
            .replace("strictARP: false", "strictARP: true")
    });
    daemon.wait_for_log("counts from now on: clusterCIDR");
    daemon.wait_for_log("counts from the next start on: ipvs.strictARP");
    wait_until("the rules follow", SOON, || rules().contains("! -s 10.240.0.0/12 "));
    assert!(!rules().contains("10.244.0.0/16"), "{}", rules());

    scene.configure(&Credentials::Nothing, |text| text.replace("mode: ipvs", "mode: [ipvs"));
    daemon.wait_for_log("cannot be used any more");
    assert!(scene.ask(&one).is_ok());
}
