//! A reconciler and the memory backend, with everything that may go wrong: a refused virtual
//! server, and a lost connection. Time is simulated, so it does not take any.
//!
//! `cargo run -p examples --example memory`
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::time::{Duration, Instant};

use anyhow::Context as _;
use examples::{endpoints, service};
use proxy_core::memory::{Fault, MemoryBackend};
use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{Interner, Model, Protocol, VirtualServerKey};

fn main() -> anyhow::Result<()> {
    let mut names = Interner::new();
    let began = Instant::now();
    let mut now = began;
    let model = Model::new("node-1");
    let mut reconciler = Reconciler::new(MemoryBackend::default(), model, Schedule::default());

    reconciler.handle(service("web", 9, &mut names)?, now);
    reconciler.handle(endpoints("web", &["10.244.1.7"], &mut names)?, now);
    reconciler.start();
    run(&mut reconciler, began, &mut now, 0);

    println!("\nAnother Service, which the data plane refuses twice.");
    let api = VirtualServerKey {
        address: [10, 96, 0, 7].into(),
        protocol: Protocol::Tcp,
        port: 80.try_into().context("80 is a port")?,
    };
    reconciler.backend_mut().refuse(api);
    reconciler.handle(service("api", 7, &mut names)?, now);
    run(&mut reconciler, began, &mut now, 200);
    reconciler.backend_mut().accept_all();
    run(&mut reconciler, began, &mut now, 1_000);

    println!("\nThe connection is lost in the middle of a change.");
    reconciler.backend_mut().fail(Fault::Halfway);
    reconciler.handle(endpoints("web", &["10.244.2.3"], &mut names)?, now);
    run(&mut reconciler, began, &mut now, 1_000);

    println!("\nServed in the end:");
    for server in reconciler.backend().servers().values() {
        println!(
            "  {} of {}, {} real servers",
            server.key,
            server.origin,
            server.internal.servers.len()
        );
    }
    Ok(())
}

/// Does what is due in the next `milliseconds`, each at its time.
fn run(
    reconciler: &mut Reconciler<MemoryBackend>,
    began: Instant,
    now: &mut Instant,
    milliseconds: u64,
) {
    let end = *now + Duration::from_millis(milliseconds);
    while let Some(next) = reconciler.next(*now).filter(|next| *next <= end) {
        *now = next.max(*now);
        let after = now.duration_since(began).as_millis();
        match reconciler.step(*now).outcome {
            Outcome::Idle | Outcome::Maintained(_) => {}
            Outcome::Resynced(report) => {
                println!("{after} ms: resynced, {} changes", report.changes)
            }
            Outcome::Audited { report, .. } => {
                println!("{after} ms: audited, {} changes", report.changes)
            }
            Outcome::Applied { delta, report } => {
                let failed = report.failed.len();
                println!("{after} ms: applied {} virtual servers, {failed} failed", delta.len());
            }
            Outcome::Failed(error) => println!("{after} ms: failed: {error}"),
        }
    }
    *now = end;
}
