//! The connection to the API server.

use std::iter;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::{BoxError, ServiceBuilder};
use tracing::warn;

use super::counted::Counting;
use crate::config;
use crate::metrics::Requests;

/// Longer nobody waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection that nobody used for so long is closed: when the other side died without a word, the
/// next request would go nowhere for as long as it takes to notice.
const IDLE: Duration = Duration::from_secs(1);

/// A connection on which nothing came for so long is probed.
const QUIET: Duration = Duration::from_secs(15);
/// Between two probes.
const PROBE: Duration = Duration::from_secs(5);
/// So many without an answer, and the other side is dead.
const PROBES: u32 = 3;

/// The way to the API server, as the configuration says.
pub(super) struct ApiServer {
    settings: config::Client,
    /// Addresses of API servers, of those that are not given by name.
    addresses: Vec<IpAddr>,
    requests: Requests,
    current: Mutex<Current>,
}

/// What is asked now.
struct Current {
    client: kube::Client,
    /// How often another API server was turned to.
    turn: usize,
}

impl ApiServer {
    /// With what the files say. Connects to nobody yet.
    ///
    /// # Errors
    /// The files cannot be used.
    pub(super) async fn new(settings: &config::Client) -> anyhow::Result<Self> {
        let requests = Requests::default();
        let (client, first) = open(settings, 0, &requests).await?;
        let others = settings.other_servers.iter().filter_map(|url| url.parse().ok());
        let addresses = iter::once(first).chain(others).filter_map(|url| address(&url)).collect();
        let current = Mutex::new(Current { client, turn: 0 });
        Ok(Self { settings: settings.clone(), addresses, requests, current })
    }

    /// With a client that is there.
    #[cfg(test)]
    pub(super) fn with_client(client: kube::Client) -> Self {
        let current = Mutex::new(Current { client, turn: 0 });
        let settings = config::Client::default();
        Self { settings, addresses: Vec::new(), requests: Requests::default(), current }
    }

    /// Addresses of API servers, of those that are not given by name.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// What to ask with.
    pub(super) fn client(&self) -> kube::Client {
        self.lock().client.clone()
    }

    /// What it was asked.
    pub(super) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// From now on it is asked with what the files say now, if that can be used.
    pub(super) async fn renew(&self) {
        let turn = self.lock().turn;
        if let Ok((client, _)) = open(&self.settings, turn, &self.requests).await {
            self.lock().client = client;
        }
    }

    /// Turns to the next API server, if there are several and nobody else has done so since the
    /// turn in which the one that asks was failed. Returns whose turn it is.
    pub(super) async fn fail_over(&self, failed: usize) -> usize {
        {
            let mut current = self.lock();
            if self.settings.other_servers.is_empty() || current.turn != failed {
                return current.turn;
            }
            current.turn += 1;
        }
        self.renew().await;
        self.lock().turn
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client of the API server whose turn it is, and that server.
async fn open(
    settings: &config::Client,
    turn: usize,
    requests: &Requests,
) -> anyhow::Result<(kube::Client, http::Uri)> {
    let mut config = read(settings).await?;
    if let Some(other) = in_turn(&settings.other_servers, turn) {
        config.cluster_url = other.parse().context("it was checked")?;
    }
    config.connect_timeout = Some(CONNECT);
    // How long to wait, and what to do about failures, is decided for each request.
    (config.read_timeout, config.write_timeout) = (None, None);
    config.default_retry = false;
    let server = config.cluster_url.clone();
    let host = server.authority().map(ToString::to_string).unwrap_or_default();
    let counting = Counting { requests: requests.clone(), host: host.into() };
    let client = match config.proxy_url {
        Some(_) => ClientBuilder::try_from(config).map(|it| it.with_layer(&counting).build()),
        None => direct(&config, &counting),
    };
    Ok((client.context("prepare the client of the API server")?, server))
}

/// A client whose connections notice that the other side is dead, which `kube` does not make.
fn direct(config: &kube::Config, counting: &Counting) -> kube::Result<kube::Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(QUIET));
    tcp.set_keepalive_interval(Some(PROBE));
    tcp.set_keepalive_retries(Some(PROBES));
    tcp.set_tcp_user_timeout(Some(QUIET + PROBE * PROBES));
    let connector = config.rustls_https_connector_with_connector(tcp)?;
    let http = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, &config.default_namespace).with_layer(counting).build())
}

/// The API server whose turn it is; `None` for the first, which the files name.
fn in_turn(others: &[String], turn: usize) -> Option<&String> {
    (turn % (others.len() + 1)).checked_sub(1).and_then(|index| others.get(index))
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
    SAID.call_once(|| say_circular(&config.cluster_url));
    Ok(config)
}

/// Whether it was said that the API server is reached through a Service.
static SAID: Once = Once::new();

fn say_circular(server: &http::Uri) {
    let is_address = address(server).is_some();
    warn!(
        %server,
        "the API server is reached through {}, which works only once this node serves it: after \
         a reboot there is no way in; give a kubeconfig with an address of the API server itself",
        if is_address { "the address of a Service" } else { "the name of a Service" },
    );
}

/// Where a server is, unless it is given by name.
fn address(server: &http::Uri) -> Option<IpAddr> {
    server.host()?.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_and_names_are_not() {
        let of = |url: &str| address(&url.parse().unwrap()).map(|ip| ip.to_string());
        assert_eq!(of("https://192.0.2.1:6443").as_deref(), Some("192.0.2.1"));
        assert_eq!(of("https://[2001:db8::1]:6443/path").as_deref(), Some("2001:db8::1"));
        assert_eq!(of("https://api.example:6443"), None);
    }

    #[test]
    fn api_servers_take_turns() {
        let others = ["https://192.0.2.2:6443", "https://192.0.2.3:6443"].map(str::to_owned);
        let turns: Vec<_> =
            (0..5).map(|turn| in_turn(&others, turn).map_or("first", |url| &url[8..17])).collect();
        assert_eq!(turns, ["first", "192.0.2.2", "192.0.2.3", "first", "192.0.2.2"]);
        assert_eq!(in_turn(&[], 7), None);
    }
}
