//! A client of the crate `kube`, with a runtime for it.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Config, ResourceExt as _};
use serde_json::{Value, json};
use tests::apiserver::{ApiServer, Credentials};

/// Runs a future to its end, but not forever.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(60), future).await };
    runtime.block_on(limited).expect("it ends within a minute")
}

/// A client that read the server's kubeconfig.
pub(crate) async fn client(server: &ApiServer, credentials: &Credentials) -> Client {
    let text = server.kubeconfig(credentials);
    let config = Kubeconfig::from_yaml(&text).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
}

/// A Service with a name and an address.
pub(crate) fn service(name: &str, cluster_ip: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "shop", "labels": { "app": name } },
        "spec": { "clusterIP": cluster_ip, "ports": [{ "port": 80, "protocol": "TCP" }] },
    })
}

/// What a watcher said, in short.
pub(crate) fn said(event: &Result<Event<Service>, watcher::Error>) -> String {
    match event {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(object)) => format!("there {}", object.name_any()),
        Ok(Event::InitDone) => "done".to_owned(),
        Ok(Event::Apply(object)) => format!("apply {}", object.name_any()),
        Ok(Event::Delete(object)) => format!("delete {}", object.name_any()),
        Err(error) => format!("error {error}"),
    }
}
