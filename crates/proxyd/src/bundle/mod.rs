//! `proxyd bundle`: everything that somebody needs who looks into this node from elsewhere, in one
//! file; and that file, read.
//!
//! What the daemon says is kept under the paths of its socket, so that commands that ask a daemon
//! ask a bundle as well.

mod archive;
mod kernel;
mod scrub;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::config::DEFAULT_SOCKET;
use crate::health::rfc3339;
use crate::status::{Client, Status};

/// Collect what is needed to look into this node from elsewhere, in one file.
///
/// What the daemon says of itself, its configuration, what it serves, its last lines of log and its
/// metrics; and what the kernel holds: virtual servers with their servers, sets, rules, routes, and
/// the modules and settings that matter. A daemon that does not answer is left out. So are
/// kubeconfigs, and what looks like a token or a key.
///
/// `status`, `why`, `explain`, `plan` and `diff` read it with --bundle FILE, on any machine. The
/// objects in it are a list as `kubectl get -o json` prints them, for --manifests too.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  proxyd bundle node-1.tar.gz")]
pub(crate) struct BundleArgs {
    /// The file to write, readable by its owner only
    #[arg(value_name = "FILE.tar.gz")]
    file: PathBuf,
    /// Where the daemon answers, as its --socket says
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

/// Names and contents of files.
type Files = BTreeMap<String, Vec<u8>>;

/// What the daemon is asked, and where that is kept.
const ANSWERS: [(&str, &str); 7] = [
    ("/v1/status", "daemon/status.json"),
    ("/v1/diff", "daemon/diff.json"),
    ("/v1/desired", "daemon/desired.json"),
    ("/v1/objects", "daemon/objects.json"),
    ("/v1/config", "daemon/config.json"),
    ("/v1/log", "daemon/log.txt"),
    ("/v1/metrics", "daemon/metrics.txt"),
];

/// Services that are asked for one by one, at most.
const SERVICES: usize = 500;

/// What is collected, and what could not be.
#[derive(Debug, Default)]
struct Collected {
    files: Files,
    missing: BTreeMap<String, String>,
}

pub(crate) fn run(args: &BundleArgs) -> anyhow::Result<()> {
    let mut collected = Collected::default();
    let status = ask_daemon(&Client::new(&args.socket), &mut collected);
    kernel::collect(&mut collected);
    let made = SystemTime::now();
    describe(&mut collected, status.as_ref(), made);
    let seconds = made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let bytes = archive::write(&collected.files, seconds).context("put the files together")?;
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&args.file)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("write {}", args.file.display()))?;
    for (name, reason) in &collected.missing {
        eprintln!("proxyd: {name} is left out: {reason}");
    }
    eprintln!("proxyd: {} files are in {}", collected.files.len(), args.file.display());
    Ok(())
}

/// What the daemon says, if it does.
fn ask_daemon(client: &Client, collected: &mut Collected) -> Option<Status> {
    for (path, name) in ANSWERS {
        let text = client.text("GET", path);
        let is_silent = text.is_err() && path == "/v1/status";
        collected.put(name, text);
        if is_silent {
            return None;
        }
    }
    let status: Status = serde_json::from_slice(&collected.files["daemon/status.json"]).ok()?;
    let mut services: Vec<_> = status.frontends.iter().map(|it| it.service.clone()).collect();
    services.dedup();
    if services.len() > SERVICES {
        let words = format!("there are {}, and {SERVICES} of them are here", services.len());
        collected.missing.insert("daemon/services/".to_owned(), words);
    }
    for service in services.into_iter().take(SERVICES) {
        let path = format!("/v1/services/{service}");
        collected.put(&name_of(&path), client.text("GET", &path));
    }
    Some(status)
}

/// Says what the bundle is, and what is missing in it.
fn describe(collected: &mut Collected, status: Option<&Status>, made: SystemTime) {
    let own = fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let own = own.to_string_lossy();
    let daemons = status.map(|status| status.network_namespace.as_str());
    if daemons.is_some_and(|daemons| daemons != own) {
        let words = "it is of another network namespace than the daemon's: run `proxyd bundle` \
                     where the daemon runs, in its pod, say";
        collected.missing.insert("kernel/ of the daemon".to_owned(), words.to_owned());
    }
    let description = json!({
        "format": 1,
        "made": rfc3339(made),
        "madeBy": env!("CARGO_PKG_VERSION"),
        "node": status.map(|status| &status.node),
        "networkNamespace": own,
        "networkNamespaceOfDaemon": daemons,
        "missing": collected.missing,
    });
    collected.put("bundle.json", Ok(format!("{description:#}\n")));
}

impl Collected {
    fn put(&mut self, name: &str, text: anyhow::Result<String>) {
        match text {
            Ok(text) => {
                self.files.insert(name.to_owned(), scrub::scrub(&text).into_bytes());
            }
            Err(error) => {
                self.missing.insert(name.to_owned(), format!("{error:#}"));
            }
        }
    }
}

/// Where the answer to a path is kept.
fn name_of(path: &str) -> String {
    let known = ANSWERS.iter().find(|(asked, _)| *asked == path);
    known.map_or_else(
        || format!("daemon{}.json", path.trim_start_matches("/v1")),
        |(_, name)| (*name).to_owned(),
    )
}

/// A bundle that was written before, maybe elsewhere.
#[derive(Debug)]
pub(crate) struct Bundle {
    name: String,
    files: Files,
}

impl Bundle {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = fs::File::open(path).with_context(|| format!("open {name}"))?;
        let files = archive::read(file)
            .with_context(|| format!("read {name}, which `proxyd bundle` should have written"))?;
        Ok(Self { name, files })
    }

    /// What the daemon answered at a path.
    ///
    /// # Errors
    /// It did not, or it was not asked.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let name = name_of(path);
        let bytes = self.files.get(&name).with_context(|| {
            format!("{} has no {name}; its bundle.json says what is missing and why", self.name)
        })?;
        serde_json::from_slice(bytes).with_context(|| format!("understand {name} of {}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::Scratch;

    #[test]
    fn a_bundle_answers_as_the_daemon_did() {
        let scratch = Scratch::new();
        let mut collected = Collected::default();
        collected.put("daemon/status.json", Ok(r#"{"node": "n1"}"#.to_owned()));
        collected.put(&name_of("/v1/services/a/b"), Ok(r#"{"node": "n2"}"#.to_owned()));
        collected.put("daemon/diff.json", Err(anyhow::anyhow!("nobody answers")));
        describe(&mut collected, None, UNIX_EPOCH);
        let path = scratch.path().join("bundle.tar.gz");
        fs::write(&path, archive::write(&collected.files, 0).unwrap()).unwrap();

        let bundle = Bundle::open(&path).unwrap();
        assert_eq!(bundle.get::<Status>("/v1/status").unwrap().node, "n1");
        assert_eq!(bundle.get::<Status>("/v1/services/a/b").unwrap().node, "n2");
        let error = bundle.get::<Status>("/v1/diff").unwrap_err().to_string();
        assert!(error.contains("has no daemon/diff.json; its bundle.json says"), "{error}");
        let description = String::from_utf8(bundle.files["bundle.json"].clone()).unwrap();
        assert!(description.contains("\"daemon/diff.json\": \"nobody answers\""), "{description}");

        scratch.write("text", "no archive");
        let error = Bundle::open(&scratch.path().join("text")).unwrap_err().to_string();
        assert!(error.contains("which `proxyd bundle` should have written"), "{error}");
    }
}
