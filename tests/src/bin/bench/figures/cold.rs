//! A start on a node that has nothing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use proxy_core::Protocol;
use tests::apiserver::ApiServer;

use crate::floor::expected;
use crate::kernel::{Inventory, Kernel, inventory, service, watch_for};
use crate::proxy::{Line, Proxy, Talk, between};
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage::{Audits, Stage};
use crate::usage;

/// The longest that a start may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// What proxyd says when the API server has told everything, and when the kernel has it.
const LISTED: &str = "everything is listed";
const SYNCED: &str = "synced everything";
/// Of a proxy that says neither: its work is over when nothing changed for so long.
const QUIET: Duration = Duration::from_secs(5);

/// A proxy that has programmed everything.
pub(crate) struct Served {
    pub(crate) stage: Stage,
    pub(crate) proxy: Proxy,
}

/// When it had.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// When it knew the last list, if it says so.
    pub(crate) listed: Option<SystemTime>,
    pub(crate) synced: SystemTime,
    /// What it said then, if it is proxyd.
    pub(crate) said: Option<Line>,
}

/// Measures a start.
///
/// # Errors
/// When it does not come to its end.
pub(crate) fn cold(program: &Path, size: Size) -> anyhow::Result<()> {
    let stage = Stage::new(size, Audits::Rare)?;
    let urgent = [
        ("kubernetes", service(Protocol::Tcp, [10, 32, 0, 1].into(), 443)),
        ("dns", service(Protocol::Udp, [10, 32, 0, 10].into(), 53)),
    ];
    let urgent = urgent.map(|(name, id)| (name, watch_for(&stage.node, id, PATIENCE)));
    let processes = usage::started();
    let mut proxy = Proxy::start(program, &stage, Talk::Usual)?;
    let fed = Fed::watch(&stage.api, || finish(&mut proxy, &stage));
    let done = fed.result?;
    let used = proxy.usage()?;
    let processes = usage::started() - processes;
    let listed = done.listed.unwrap_or(fed.at);
    say_time("start to kernel", between(proxy.started, done.synced));
    say_time("start to lists", between(proxy.started, listed));
    say_time("lists to kernel", between(listed, done.synced));
    for (name, usable) in urgent {
        if let Ok(Some(at)) = usable.join() {
            say_time(&format!("lists to {name}"), between(listed, at));
        }
    }
    say_time("cpu user", used.user);
    say_time("cpu system", used.system);
    say_time("cpu children", used.children);
    say("processes", processes.saturating_sub(used.threads), "");
    say("peak memory", used.peak_kib, "KiB");
    say("memory", used.resident_kib, "KiB");
    say("bytes listed", stage.api.bytes_sent(), "B");
    let found = inventory(&stage.node)?;
    say_inventory(&found);
    let expected = expected(size)?;
    say("services missing", expected.services.saturating_sub(found.services.len()), "");
    say("destinations missing", expected.destinations.saturating_sub(found.destinations()), "");
    Ok(())
}

/// Starts a proxy and waits until it has programmed everything.
///
/// # Errors
/// When that does not happen.
pub(crate) fn serve(program: &Path, size: Size, audits: Audits) -> anyhow::Result<Served> {
    let stage = Stage::new(size, audits)?;
    let mut proxy = Proxy::start(program, &stage, Talk::Usual)?;
    finish(&mut proxy, &stage)?;
    Ok(Served { stage, proxy })
}

/// Waits until a proxy has programmed everything.
///
/// # Errors
/// When that does not happen.
pub(crate) fn finish(proxy: &mut Proxy, stage: &Stage) -> anyhow::Result<Done> {
    if is_proxyd(proxy) {
        let said = proxy.wait_for(SYNCED)?;
        let listed = proxy.lines().find(|line| line.text.contains(LISTED)).map(|line| line.at);
        return Ok(Done { listed, synced: said.at, said: Some(said) });
    }
    let synced = settle(stage)?;
    Ok(Done { listed: None, synced, said: None })
}

/// Whether it says what we wait for. It begins with a word of itself, in a moment.
fn is_proxyd(proxy: &Proxy) -> bool {
    for _ in 0..100 {
        if proxy.lines().next().is_some() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// When the number of services and of servers of the last ones changed for the last time.
fn settle(stage: &Stage) -> anyhow::Result<SystemTime> {
    let mut kernel = Kernel::of(&stage.node)?;
    let mut last = (usize::MAX, 0);
    let mut changed = SystemTime::now();
    loop {
        let services = kernel.ipvs.services()?;
        let sample = services.iter().step_by(services.len() / 50 + 1);
        let mut servers = 0;
        for status in sample {
            servers += kernel.ipvs.destinations(&status.service.id)?.len();
        }
        let now = (services.len(), servers);
        if now != last {
            (last, changed) = (now, SystemTime::now());
        } else if between(changed, SystemTime::now()) > QUIET && last.0 > 0 {
            return Ok(changed);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// When the API server sent its last byte.
struct Fed<T> {
    at: SystemTime,
    result: T,
}

impl<T> Fed<T> {
    fn watch(api: &ApiServer, work: impl FnOnce() -> T) -> Self {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let (mut sent, mut at) = (0, SystemTime::now());
                while !is_over.load(Ordering::Relaxed) {
                    let now = api.bytes_sent();
                    // Bookmarks and Events are no lists.
                    if now > sent + 4096 {
                        (sent, at) = (now, SystemTime::now());
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                at
            });
            let result = work();
            is_over.store(true, Ordering::Relaxed);
            let at = watcher.join().unwrap_or_else(|_| SystemTime::now());
            Self { at, result }
        })
    }
}

/// Says what the kernel has.
pub(crate) fn say_inventory(found: &Inventory) {
    say("services", found.services.len(), "");
    say("destinations", found.destinations(), "");
    say("members", found.members, "");
    say("routes", found.routes, "");
}
