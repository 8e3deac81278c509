//! One thing changes: from the write to the API server until somebody else sees it in the kernel, and of
//! that the part from the API server's sending it to the kernel's last acknowledgement, where the proxy
//! says when that was.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use ipvs_backend::netlink::ipvs::ServiceId;
use serde_json::Value;

use super::cold::{Served, serve};
use super::rolling::rolling;
use crate::kernel::{Kernel, give_way};
use crate::percentiles::say_percentiles;
use crate::proxy::{Line, Proxy, between};
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage::{Audits, Stage};
use crate::usage;
use crate::workload::{Condition, Plain, endpoint, server, stranger};

/// How many of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) changes: u32,
}

/// The longest that a change may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between changes, so that each comes to a proxy at rest.
pub(super) const REST: Duration = Duration::from_millis(15);

/// Measures changes of each kind.
///
/// # Errors
/// When one does not come to the kernel.
pub(crate) fn change(program: &Path, size: Size, Change { changes }: Change) -> anyhow::Result<()> {
    let Served { stage, proxy } = serve(program, size, Audits::Rare)?;
    let mut kernel = Kernel::of(&stage.node)?;
    give_way()?;
    // What the first ones need for the first time is not what a change costs.
    measure(&stage, &mut kernel, 0..5)?;
    let (before, processes) = (proxy.usage()?, usage::started());
    let start = Instant::now();
    let kinds = measure(&stage, &mut kernel, 5..5 + changes)?;
    let took = start.elapsed();
    let used = proxy.usage()?.since(before);
    let processes = usage::started() - processes;
    let acknowledged = acknowledged(&proxy);
    for (name, Seen { times, sent }) in NAMES.into_iter().zip(kinds) {
        say_percentiles(name, times);
        let inside = sent.iter().filter_map(|&sent| until(sent, &acknowledged));
        say_percentiles(&format!("{name}, watch to ACK"), inside.collect());
    }
    let count = changes * u32::try_from(NAMES.len()).context("a few kinds")?;
    say_time("cpu user a change", used.user / count);
    say_time("cpu system a change", used.system / count);
    say_time("took", took);
    say("child processes", u64::from(used.children_faults > 0), "");
    say("processes on the machine", processes, "");
    rolling(&stage, &mut kernel)
}

const NAMES: [&str; 5] = [
    "endpoint added",
    "endpoint terminating",
    "endpoint removed",
    "service added",
    "service removed",
];

/// Changes of one kind.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// From each write to the API server until the kernel showed it.
    times: Vec<Duration>,
    /// When the API server began to send each to the proxy.
    sent: Vec<SystemTime>,
}

impl Seen {
    fn note(&mut self, took: Duration, stage: &Stage) {
        self.times.push(took);
        self.sent.push(stage.api.sent_at());
    }
}

/// When the kernel had acknowledged each of its changes, as proxyd says. Nothing of another program.
fn acknowledged(proxy: &Proxy) -> Vec<SystemTime> {
    let done = |line: &Line| line.text.contains("synced") && line.field("changed").is_some();
    proxy.lines().filter(done).map(|line| line.at).collect()
}

/// How long after `sent` the change was acknowledged that was sent then: no other was under way.
fn until(sent: SystemTime, acknowledged: &[SystemTime]) -> Option<Duration> {
    let next = acknowledged.partition_point(|&at| at < sent);
    acknowledged.get(next).map(|&at| between(sent, at))
}

fn measure(
    stage: &Stage,
    kernel: &mut Kernel,
    rounds: std::ops::Range<u32>,
) -> anyhow::Result<[Seen; 5]> {
    let plain: Vec<_> = Plain::all(&stage.population).take(64).collect();
    let mut seen = <[Seen; 5]>::default();
    for (round, plain) in rounds.zip(plain.iter().cycle()) {
        for step in steps(plain, round) {
            let took = step.make(stage, kernel)?;
            if let Some(kind) = step.kind {
                seen[kind].note(took, stage);
            }
            thread::sleep(REST);
        }
        let service = plain.another(round);
        let id = service.id();
        let _ = stage.api.apply(&service.slice);
        thread::sleep(REST);
        let change = || {
            let _ = stage.api.apply(&service.service);
        };
        let took = kernel.after(change, PATIENCE, |kernel| !kernel.active(&id).is_empty());
        seen[3].note(took.context("a new Service does not come")?, stage);
        thread::sleep(REST);
        let (namespace, name) = name(&service.service);
        let change = || assert!(stage.api.delete("services", namespace, name), "it was there");
        let is_gone = |kernel: &mut Kernel| matches!(kernel.ipvs.service(&id), Ok(None));
        let took = kernel.after(change, PATIENCE, is_gone);
        seen[4].note(took.context("a Service that is gone stays")?, stage);
        stage.api.delete("endpointslices", namespace, name);
        thread::sleep(REST);
    }
    Ok(seen)
}

/// What the weight of a server is to become.
#[derive(Clone, Copy, Debug)]
enum Weight {
    Positive,
    /// No new connections; gone is as good.
    Zero,
}

impl Weight {
    fn is(self, weight: Option<u32>) -> bool {
        match self {
            Self::Positive => weight > Some(0),
            Self::Zero => weight.unwrap_or(0) == 0,
        }
    }
}

/// A change of a slice, and where it shows.
pub(super) struct Step {
    slice: Value,
    service: ServiceId,
    server: SocketAddr,
    weight: Weight,
    /// Which of [`NAMES`] it is, if it counts.
    kind: Option<usize>,
}

impl Step {
    /// Makes the change, and waits for it. How long that took.
    ///
    /// # Errors
    /// When it does not come to the kernel.
    pub(super) fn make(&self, stage: &Stage, kernel: &mut Kernel) -> anyhow::Result<Duration> {
        let Self { slice, service, server, weight, .. } = self;
        let change = || {
            let _ = stage.api.apply(slice);
        };
        let took =
            kernel.after(change, PATIENCE, |kernel| weight.is(kernel.weight(service, *server)));
        took.with_context(|| format!("{weight:?} of {server} does not come"))
    }
}

/// An endpoint comes and is about to go; another one comes in its place, and is gone without a word.
pub(super) fn steps(plain: &Plain, round: u32) -> [Step; 4] {
    let [first, second] = [round, round + 500_000].map(|number| server(stranger(number)));
    let with = |server: SocketAddr, condition| {
        let mut slice = plain.slice.clone();
        if let Some(endpoints) = slice["endpoints"].as_array_mut() {
            endpoints.push(endpoint(server.ip(), condition));
        }
        slice
    };
    let service = plain.id();
    let step = |slice, server, weight, kind| Step { slice, service, server, weight, kind };
    let (ready, terminating) = (Condition::Ready, Condition::Terminating);
    [
        step(with(first, ready), first, Weight::Positive, Some(0)),
        step(with(first, terminating), first, Weight::Zero, Some(1)),
        step(with(second, ready), second, Weight::Positive, None),
        step(plain.slice.clone(), second, Weight::Zero, Some(2)),
    ]
}

/// Namespace and name of an object.
pub(crate) fn name(object: &Value) -> (&str, &str) {
    let metadata = &object["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}
