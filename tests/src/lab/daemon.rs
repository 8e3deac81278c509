//! The daemon as its users run it: a process of its own, in a node's namespace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Namespace, Node};

/// A running `proxyd run`. Dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

/// The program to test: `$PROXYD`, or the one that was built beside this one.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn proxyd() -> PathBuf {
    if let Some(path) = std::env::var_os("PROXYD") {
        return path.into();
    }
    let this = std::env::current_exe().expect("a process has an executable");
    let built = this.ancestors().map(|directory| directory.join("proxyd"));
    built
        .into_iter()
        .find(|path| path.is_file())
        .expect("proxyd is built: run `cargo build -p proxyd`, or name the program in $PROXYD")
}

/// What every daemon of the laboratory is told of its node, and other commands about it need be.
///
/// # Panics
/// Never: paths of the laboratory are text.
#[must_use]
pub fn told(node_name: &str, manifests: &Path) -> Vec<String> {
    let manifests = manifests.to_str().expect("temporary paths are text");
    let told = [
        "-v=4",
        "--detect-local-mode=NodeCIDR",
        // The tracker's table is of the whole kernel: no namespace can set its size.
        "--conntrack-max-per-core=0",
        "--node-name",
        node_name,
        "--manifests",
        manifests,
    ];
    told.map(str::to_owned).into()
}

/// Where the daemon of a namespace answers `proxyd status`.
#[must_use]
pub fn socket(namespace: &Namespace) -> PathBuf {
    std::env::temp_dir().join(format!("proxyd-{}.sock", namespace.name()))
}

impl Daemon {
    /// Starts on `node`, with the manifests of a directory, and waits until it has programmed
    /// everything once.
    ///
    /// # Panics
    /// When that does not happen; then with what it logged.
    #[must_use]
    pub fn start(node: &Node, manifests: &Path) -> Self {
        let daemon = Self::spawn(&node.namespace, &node.name, manifests, &[]);
        daemon.wait_for_log("synced everything");
        daemon
    }

    /// Starts in `namespace` and does not wait.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn spawn(
        namespace: &Namespace,
        node_name: &str,
        manifests: &Path,
        arguments: &[&str],
    ) -> Self {
        Self::spawn_under(&[], namespace, node_name, manifests, arguments)
    }

    /// Starts under another program, such as `env NAME=VALUE`, and does not wait.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn spawn_under(
        wrapper: &[&str],
        namespace: &Namespace,
        node_name: &str,
        manifests: &Path,
        arguments: &[&str],
    ) -> Self {
        let told = told(node_name, manifests);
        let told = told.iter().map(String::as_str);
        // The namespaces of the laboratory share their files.
        let socket = socket(namespace);
        let socket = ["--socket", socket.to_str().expect("temporary paths are text")];
        let arguments: Vec<_> = told.chain(socket).chain(arguments.iter().copied()).collect();
        Self::run(wrapper, namespace, &arguments)
    }

    /// Starts with these arguments alone, under another program if there is one, and does not wait.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn run(wrapper: &[&str], namespace: &Namespace, arguments: &[&str]) -> Self {
        let log = std::env::temp_dir().join(format!("proxyd-{}.log", namespace.name()));
        let file = File::create(&log).expect("the temporary directory can be written");
        let child = Command::new("ip")
            .args(["netns", "exec", namespace.name()])
            .args(wrapper)
            .arg(proxyd())
            .args(arguments)
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn()
            .expect("ip runs");
        Self { child, log }
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until a line of the log contains `text`.
    ///
    /// # Panics
    /// When that does not happen within a minute; then with what it logged.
    pub fn wait_for_log(&self, text: &str) {
        self.wait_for_log_times(text, 1);
    }

    /// Waits until `times` lines of the log contain `text`.
    ///
    /// # Panics
    /// When that does not happen within a minute; then with what it logged.
    pub fn wait_for_log_times(&self, text: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.log().lines().filter(|line| line.contains(text)).count() < times {
            assert!(Instant::now() < deadline, "no {text:?} in the log:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processor time, in ticks, of processes that it started and that have ended.
    ///
    /// # Panics
    /// When it is not there any more.
    #[must_use]
    pub fn ticks_of_children(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(path).expect("it is our child");
        // The fields `cutime` and `cstime` of proc(5); the second field, in brackets, is its name.
        let fields = stat.rsplit_once(") ").expect("its name is in brackets").1.split(' ');
        fields.skip(13).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a process id"), signal).expect("it is our child");
    }

    /// Sends it a signal and waits until it has gone.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn stop(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("it is our child")
    }

    /// Waits until it goes by itself.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}
