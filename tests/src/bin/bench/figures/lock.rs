//! How long somebody else who changes routes waits while a proxy starts: the kernel has one lock for
//! devices, addresses and routes of all namespaces.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ipvs_backend::netlink::Traffic;
use ipvs_backend::netlink::route::{LocalRoute, Request, Route};
use tests::lab::Namespace;

use super::cold::finish;
use crate::percentiles::say_percentiles;
use crate::proxy::{Proxy, Talk};
use crate::size::Size;
use crate::stage::{Audits, Stage};

/// `RTPROT_STATIC`.
const BY_AN_ADMINISTRATOR: u8 = 4;
/// Between two changes.
const REST: Duration = Duration::from_millis(3);
/// How long it is watched before the start.
const QUIET: Duration = Duration::from_secs(3);

/// Measures it, with nothing else going on and during a start.
///
/// # Errors
/// When the proxy does not come to its end.
pub(crate) fn lock(program: &Path, size: Size) -> anyhow::Result<()> {
    let stage = Stage::new(size, Audits::Rare)?;
    let others = Namespace::new("others");
    let (_, quiet) = while_waiting(&others, || thread::sleep(QUIET))?;
    say_percentiles("alone", quiet);
    let (started, times) = while_waiting(&others, || -> anyhow::Result<_> {
        let mut proxy = Proxy::start(program, &stage, Talk::Usual)?;
        finish(&mut proxy, &stage)?;
        Ok(proxy)
    })?;
    let _proxy = started?;
    say_percentiles("during a start", times);
    Ok(())
}

/// Adds and removes a route in a namespace for as long as `work` takes.
fn while_waiting<T>(
    others: &Namespace,
    work: impl FnOnce() -> T,
) -> anyhow::Result<(T, Vec<Duration>)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let watched = Arc::clone(&is_over);
    let waiting = others.spawn(move || -> anyhow::Result<_> {
        let mut routes = Route::open(Arc::new(Traffic::default()))?;
        let address: IpAddr = Ipv4Addr::new(192, 0, 2, 1).into();
        let route = LocalRoute {
            address,
            device: 1,
            preferred_source: None,
            protocol: BY_AN_ADMINISTRATOR,
        };
        let mut times = Vec::new();
        while !watched.load(Ordering::Relaxed) {
            let start = Instant::now();
            let _ = routes.run(&[Request::Add(route)])?;
            times.push(start.elapsed());
            let _ = routes.run(&[Request::Delete(route)])?;
            thread::sleep(REST);
        }
        Ok(times)
    });
    let result = work();
    is_over.store(true, Ordering::Relaxed);
    let times = waiting.join().ok().context("the others do not panic")??;
    Ok((result, times))
}
