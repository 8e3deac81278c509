//! The stand-in for an API server as a program: other programs can use it, and break it.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use tests::apiserver::control::{HELP, serve};
use tests::apiserver::{
    ApiServer, ClientCertificate, Credentials, KINDS, Options, Population, Security, Streaming,
    Token, read_paths,
};

/// A stand-in for a Kubernetes API server: Services, EndpointSlices, Nodes, ServiceCIDRs, Events.
///
/// It serves lists, watches and changes of objects as a real one does, without an etcd, without
/// controllers and without defaults: what is put into it is there as it is. `kubectl` works with
/// it.
///
/// $ apiserver --objects examples/two-tier --kubeconfig /tmp/kubeconfig &
/// $ kubectl --kubeconfig /tmp/kubeconfig get services,endpointslices -A --watch
///
/// It fails when it is told to, at the address of --control:
///
/// $ curl -X POST 'localhost:6444/control/faults/cut-connections'
/// $ curl -X POST --data-binary @service.yaml localhost:6444/control/apply
#[derive(Debug, Parser)]
#[command(name = "apiserver", verbatim_doc_comment, max_term_width = 100, after_long_help = after())]
struct Arguments {
    /// Where the API is served; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Where it is told what to do; `GET /control` lists what there is.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6444")]
    control: SocketAddr,
    /// A file of objects in YAML or JSON, or a directory of such; may be repeated.
    #[arg(long, value_name = "PATH")]
    objects: Vec<PathBuf>,
    /// A cluster of so many Services, with a mix of what clusters have, always the same.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    services: u32,
    /// Endpoints of each Service of --services.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    endpoints: u32,
    /// Nodes of the cluster of --services.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    nodes: u32,
    /// HTTPS instead of HTTP. The certificate of the authority, and a client's with its key, are
    /// written to this directory as ca.crt, client.crt and client.key.
    #[arg(long, value_name = "DIRECTORY")]
    tls: Option<PathBuf>,
    /// A name or address by which clients reach it with TLS, beside the one it listens at.
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Vec<String>,
    /// The bearer token of the node proxy's ServiceAccount. Without one, nobody is asked.
    #[arg(long)]
    token: Option<String>,
    /// Writes a kubeconfig for it, which has the token if there is one.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How many changes of each resource it remembers.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    history: usize,
    /// Seconds between bookmarks of an idle watch.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    bookmark_every: f64,
    /// Refuses watches that begin with what is there, as servers did that did not know them.
    #[arg(long)]
    no_streaming_lists: bool,
}

fn after() -> String {
    format!("What there is at the address of --control:\n\n{HELP}")
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let objects = read_paths(&arguments.objects)?;
    let every = arguments.bookmark_every;
    ensure!(every > 0.0 && every < 1e9, "--bookmark-every {every}: a number of seconds above 0");
    let control = TcpListener::bind(arguments.control);
    let control = control.with_context(|| format!("listen at --control {}", arguments.control))?;
    // The server's own listener is opened on its thread, where failing is a panic.
    let free = TcpListener::bind(arguments.listen);
    drop(free.with_context(|| format!("listen at --listen {}", arguments.listen))?);

    let server = ApiServer::start(Options {
        address: arguments.listen,
        security: match &arguments.tls {
            Some(_) => Security::Tls(arguments.tls_name.clone()),
            None => Security::Plain,
        },
        tokens: arguments.token.iter().map(|token| Token::of_proxy(token)).collect(),
        history: arguments.history,
        bookmark_every: Duration::from_secs_f64(every),
        streaming: match arguments.no_streaming_lists {
            true => Streaming::Refused,
            false => Streaming::Served,
        },
    });
    for object in &objects {
        server
            .try_apply(object)
            .map_err(|refusal| anyhow::anyhow!("{}: {object}", refusal.message))?;
    }
    if arguments.services > 0 {
        let Arguments { services, endpoints, nodes, .. } = arguments;
        server.apply_all(Population::new(services, endpoints, nodes).objects());
    }
    let credentials = credentials(&server, &arguments)?;
    if let Some(path) = &arguments.kubeconfig {
        fs::write(path, server.kubeconfig(&credentials))
            .with_context(|| format!("write {}", path.display()))?;
    }
    let resources: BTreeSet<_> = KINDS.iter().map(|kind| kind.plural).collect();
    let count: usize = resources.into_iter().map(|resource| server.count(resource)).sum();
    let (url, control_at) = (server.url(), control.local_addr()?);
    let mut out = std::io::stdout();
    writeln!(out, "serving {count} objects at {url}, control at http://{control_at}/control")?;
    out.flush()?;
    Ok(serve(&server, control, credentials)?)
}

/// What its own kubeconfig has: the token, or a certificate where there is TLS without a token.
fn credentials(server: &ApiServer, arguments: &Arguments) -> anyhow::Result<Credentials> {
    let token = arguments.token.clone().map(Credentials::Token);
    let Some(directory) = &arguments.tls else {
        return Ok(token.unwrap_or(Credentials::Nothing));
    };
    let client = server.client_certificate("system:kube-proxy");
    write_certificates(server, &client, directory)
        .with_context(|| format!("write certificates to {}", directory.display()))?;
    Ok(token.unwrap_or(Credentials::Certificate(client)))
}

fn write_certificates(
    server: &ApiServer,
    client: &ClientCertificate,
    directory: &Path,
) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("ca.crt"), server.authority().unwrap_or_default())?;
    fs::write(directory.join("client.crt"), &client.certificate)?;
    fs::write(directory.join("client.key"), &client.key)
}
