//! A node with the daemon on it, started as a kube-proxy's DaemonSet starts it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use tests::apiserver::{ApiServer, Credentials, Options};
use tests::lab::{
    Answer, Application, Client, Cluster, Daemon, Endpoint, KernelState, Node, Pod, Refusal,
    Server, Transport, example, proxyd, wait_until,
};

/// How soon a change is in the kernel, on a slow machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Two nodes, an API server that the first one reaches, and a pod with a server on the second.
pub(crate) struct Scene {
    pub(crate) lab: Cluster,
    pub(crate) api: ApiServer,
    pub(crate) pod: Pod,
    _server: Server,
    files: PathBuf,
}

/// What kubeadm writes, with IPVS.
const CONFIGURATION: &str = include_str!("../../../crates/proxyd/src/config/tests/kubeadm.yaml");

impl Scene {
    pub(crate) fn new(options: Options) -> Self {
        Self::with_server_on(1, options)
    }

    /// The same with the API server on a node of that number, at the address of `options`.
    pub(crate) fn with_server_on(number: u8, options: Options) -> Self {
        let lab = Cluster::new(2);
        let pod = lab.node(2).pod("server", 10);
        let server = Server::start(&pod.namespace, &pod.name, 8080);
        let api = ApiServer::start_in(&lab.node(number).namespace, options);
        api.apply_yaml(&example("nodes.yaml"));
        let files = std::env::temp_dir().join(format!("config-{}", lab.node(1).namespace.name()));
        fs::create_dir_all(&files).expect("the temporary directory can be written");
        Self { lab, api, pod, _server: server, files }
    }

    /// Writes the files of the ConfigMap, with `change` made to kubeadm's.
    pub(crate) fn configure(&self, credentials: &Credentials, change: impl Fn(&str) -> String) {
        let kubeconfig = self.files.join("kubeconfig.conf");
        fs::write(&kubeconfig, self.api.kubeconfig(credentials)).expect("it can be written");
        let kubeconfig = kubeconfig.to_str().expect("temporary paths are text");
        let text = CONFIGURATION.replace("/var/lib/kube-proxy/kubeconfig.conf", kubeconfig);
        fs::write(self.config(), change(&text)).expect("it can be written");
    }

    /// The node that the daemon is on.
    pub(crate) fn node(&self) -> &Node {
        self.lab.node(1)
    }

    /// What its kernel holds.
    pub(crate) fn kernel(&self) -> KernelState {
        KernelState::of(&self.node().namespace)
    }

    /// Where a file of the test is, that is gone with the scene.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.file("config.conf")
    }

    /// Starts the daemon with kubeadm's command line, and does not wait.
    pub(crate) fn start(&self) -> Daemon {
        let [config, name] = self.arguments();
        Daemon::run(&[], &self.node().namespace, &[&config, &name, "-v=4"])
    }

    /// Runs the program to its end: a command, if there is one, with kubeadm's command line and
    /// more flags.
    pub(crate) fn run(&self, command: &[&str], flags: &[&str]) -> Output {
        Command::new("ip")
            .args(["netns", "exec", self.node().namespace.name()])
            .arg(proxyd())
            .args(command)
            .args(self.arguments())
            .args(flags)
            .output()
            .expect("ip runs")
    }

    fn arguments(&self) -> [String; 2] {
        let config = format!("--config={}", self.config().display());
        [config, "--hostname-override=node-1".to_owned()]
    }

    /// The same with the configuration as kubeadm writes it, and waits until all is programmed.
    pub(crate) fn serve(&self) -> Daemon {
        self.configure(&Credentials::Nothing, str::to_owned);
        let daemon = self.start();
        daemon.wait_for_log("synced everything");
        daemon
    }

    /// Puts a Service and its slices into the API.
    pub(crate) fn apply(&self, application: &Application, endpoints: &[Endpoint]) {
        self.api.apply_yaml(&application.service());
        self.api.apply_yaml(&application.slices(endpoints));
    }

    /// What the server answers a client on the first node.
    pub(crate) fn ask(&self, application: &Application) -> Result<Answer, Refusal> {
        let client = Client::in_namespace(&self.lab.node(1).namespace);
        let target = application.targets().next().expect("it has an address");
        client.ask(target, Transport::Tcp)
    }

    #[track_caller]
    pub(crate) fn is_soon_served(&self, application: &Application) {
        wait_until("the Service is served", SOON, || self.ask(application).is_ok());
    }

    #[track_caller]
    pub(crate) fn is_soon_refused(&self, application: &Application) {
        wait_until("the Service is not served", SOON, || self.ask(application).is_err());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.files);
    }
}

/// How many warnings and errors of a log contain `text`.
pub(crate) fn complaints(daemon: &Daemon, text: &str) -> usize {
    let log = daemon.log();
    let complains = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
    log.lines().filter(complains).filter(|line| line.contains(text)).count()
}

/// A Service with a number in its name and address.
pub(crate) fn service(number: u8) -> Application {
    let addresses = [format!("10.96.0.{number}"), format!("fd00:96::{number}")];
    Application::new(&format!("web-{number}"), &addresses.each_ref().map(String::as_str)).port(
        Transport::Tcp,
        80,
        8080,
    )
}
