//! The connection to the API server.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tracing::warn;

use super::counted::Counting;
use crate::config;
use crate::metrics::Requests;

/// Longer nobody waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection on which nothing came for so long is given up. API servers send a bookmark to
/// every watch about once a minute.
const SILENCE: Duration = Duration::from_secs(150);

/// A client as the configuration says. Connects to nobody yet.
pub(super) async fn open(
    settings: &config::Client,
    requests: Requests,
) -> anyhow::Result<kube::Client> {
    let mut config = read(settings).await?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    // Failures are ours to answer.
    config.default_retry = false;
    let authority = config.cluster_url.authority().map(ToString::to_string);
    let counting = Counting { requests, host: authority.unwrap_or_default().into() };
    let client = ClientBuilder::try_from(config).context("prepare the client of the API server")?;
    Ok(client.with_layer(&counting).build())
}

async fn read(settings: &config::Client) -> anyhow::Result<kube::Config> {
    let master = settings.master.as_deref();
    let master = master.map(|url| {
        url.parse::<http::Uri>().with_context(|| {
            format!("--master {url:?}: must be a URL such as https://192.0.2.1:6443")
        })
    });
    let master = master.transpose()?;
    let mut config = match (&settings.kubeconfig, &master) {
        (Some(path), _) => {
            let attempt = || format!("clientConnection.kubeconfig {}", path.display());
            let file = Kubeconfig::read_from(path).with_context(attempt)?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(file, &options).await.with_context(attempt)?
        }
        (None, Some(url)) => kube::Config::new(url.clone()),
        (None, None) => in_cluster()?,
    };
    if let Some(url) = master {
        config.cluster_url = url;
    }
    Ok(config)
}

/// What a pod is told about its API server.
fn in_cluster() -> anyhow::Result<kube::Config> {
    let config = kube::Config::incluster().context(
        "no API server is known: give clientConnection.kubeconfig (--kubeconfig), --master, or \
         --manifests, or run in a pod with a service account",
    )?;
    let host = config.cluster_url.host().unwrap_or_default();
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    warn!(
        server = %config.cluster_url,
        "the API server is reached through {}, which works only once this node serves it: after \
         a reboot there is no way in; give a kubeconfig with an address of the API server itself",
        if is_address { "the address of a Service" } else { "the name of a Service" },
    );
    Ok(config)
}
