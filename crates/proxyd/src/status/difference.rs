//! What is asked for against what the kernel holds, by the planner that the driver's backend uses,
//! on sockets of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use ipvs_backend::IpvsBackend;
use ipvs_backend::kernel::Netlink;
use ipvs_backend::netlink::Traffic;
use proxy_core::{DesiredState, Resolution};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::cause::differing;
use super::compose::moment;
use super::document::{Difference, Differing};
use super::inquiry::{Known, Scope};
use super::server::{Desk, incomplete};
use crate::health::Now;

/// How often it is looked again while something changes.
const LOOKS: usize = 4;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// Compares what the driver was last asked for with the kernel. While changes are carried out, a
/// difference may be one of them: then it is compared again.
pub(super) async fn difference(desk: &Desk) -> Result<Difference, (StatusCode, String)> {
    let mut looks = 0;
    loop {
        looks += 1;
        let known = desk.ask(Scope::Everything).await?;
        if !known.is_complete {
            return Err(incomplete());
        }
        let (before, now) = ((known.revision, known.pending.services), Now::read());
        let as_of = moment(known.now.steady, now);
        let objects = spawn_blocking(move || objects(&known, now)).await;
        let objects = objects.map_err(|error| error.to_string()).and_then(|objects| objects);
        let objects = objects.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))?;
        let lines: Vec<_> = objects.iter().map(|it| it.line.clone()).collect();
        let after = desk.ask(Scope::Everything).await?;
        let unsettled = before.1 > 0 || (after.revision, after.pending.services) != before;
        if lines.is_empty() || !unsettled || looks == LOOKS {
            let unsettled = unsettled && !lines.is_empty();
            return Ok(Difference { as_of, lines, objects, unsettled });
        }
        sleep(PAUSE).await;
    }
}

fn objects(known: &Known, now: Now) -> Result<Vec<Differing>, String> {
    let traffic = Arc::new(Traffic::default());
    let kernel = Netlink::open(&traffic).map_err(|error| words(&error))?;
    let mut backend = IpvsBackend::with_kernel(known.config.clone(), kernel, traffic);
    let plan = backend.plan(&desired(known)).map_err(|error| words(&error))?;
    Ok(differing(&plan, known, now))
}

/// The virtual servers as a state of their own.
pub(super) fn desired(known: &Known) -> DesiredState {
    let mut services = BTreeMap::<_, Vec<_>>::new();
    for served in &known.servers {
        services.entry(&served.server.origin.service).or_default().push(served.server.clone());
    }
    let mut desired = DesiredState::new();
    for (service, servers) in services {
        let _ = desired.replace(service, Resolution { servers, ..Resolution::default() });
    }
    desired
}

fn words(error: &proxy_core::BackendError) -> String {
    crate::journal::chain(error)
}
