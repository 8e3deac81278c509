//! What the API says is served.

use rustix::process::Signal;
use tests::apiserver::{Options, Streaming};
use tests::lab::{Endpoint, KernelState};

use crate::cluster::{Scene, service};

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

    let before = KernelState::of(&scene.lab.node(1).namespace);
    assert!(daemon.stop(Signal::TERM).success());
    assert_eq!(KernelState::of(&scene.lab.node(1).namespace), before);
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
