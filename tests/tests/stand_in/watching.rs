//! The client's watcher follows, in both of its ways to begin.

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::runtime::watcher::{Config, Error, Event, watcher};
use tests::apiserver::{ApiServer, Credentials, Options};

use crate::client::{client, run, said, service};

/// The next things that a watcher says, up to one of them.
async fn up_to(
    stream: &mut (impl Stream<Item = Result<Event<Service>, Error>> + Unpin),
    last: &str,
) -> Vec<String> {
    let mut all = Vec::new();
    while all.last().is_none_or(|said| said != last) {
        all.push(said(&stream.next().await.expect("watchers do not end")));
    }
    all
}

fn follows(config: Config) {
    let server = ApiServer::start(Options::default());
    server.apply(&service("a", "10.96.0.1"));
    server.apply(&service("headless", "None"));
    run(async {
        let client = client(&server, &Credentials::Nothing).await;
        let api: Api<Service> = Api::all(client);
        let config = config.fields("spec.clusterIP!=None");
        let mut stream = Box::pin(watcher(api, config));
        assert_eq!(up_to(&mut stream, "done").await, ["init", "there a", "done"]);
        server.apply(&service("b", "10.96.0.2"));
        assert_eq!(up_to(&mut stream, "apply b").await, ["apply b"]);
        server.delete("services", "shop", "a");
        assert_eq!(up_to(&mut stream, "delete a").await, ["delete a"]);
        // What is no longer selected is gone.
        server.apply(&service("b", "None"));
        assert_eq!(up_to(&mut stream, "delete b").await, ["delete b"]);
    });
}

#[test]
fn a_watcher_that_lists_first_follows() {
    follows(Config::default());
    follows(Config::default().page_size(1));
}

#[test]
fn a_watcher_that_begins_with_what_is_there_follows() {
    follows(Config::default().streaming_lists());
}

#[test]
fn a_watcher_goes_on_after_its_connection_was_reset() {
    let server = ApiServer::start(Options::default());
    run(async {
        let api: Api<Service> = Api::all(client(&server, &Credentials::Nothing).await);
        let mut stream = Box::pin(watcher(api, Config::default()));
        assert_eq!(up_to(&mut stream, "done").await, ["init", "done"]);
        server.apply(&service("a", "10.96.0.1"));
        assert_eq!(up_to(&mut stream, "apply a").await, ["apply a"]);
        server.cut_connections();
        server.apply(&service("b", "10.96.0.2"));
        let after = up_to(&mut stream, "apply b").await;
        assert_eq!(after.last().unwrap(), "apply b");
        assert!(!after.contains(&"init".to_owned()), "it lists anew: {after:?}");
    });
}
