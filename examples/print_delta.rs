//! Takes in events one by one and prints what each changes: the decisions alone, without a
//! reconciler and without a data plane.
//!
//! `cargo run -p examples --example print_delta`
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use examples::{endpoints, service};
use proxy_core::{DesiredState, Event, Interner, Model, ServiceKey};

fn main() -> anyhow::Result<()> {
    let mut names = Interner::new();
    let web = ServiceKey::new("default", "web");
    let events = [
        ("a Service without endpoints", service("web", 9, &mut names)?),
        ("two endpoints", endpoints("web", &["10.244.1.7", "10.244.2.3"], &mut names)?),
        ("another Service", service("api", 7, &mut names)?),
        ("the same endpoints again", endpoints("web", &["10.244.1.7", "10.244.2.3"], &mut names)?),
        ("one endpoint less", endpoints("web", &["10.244.2.3"], &mut names)?),
        ("the Service is gone", Event::ServiceRemoved(web)),
    ];

    let mut model = Model::new("node-1");
    let mut state = DesiredState::new();
    for (what, event) in events {
        println!("{what}");
        for key in model.apply(event) {
            let delta = state.replace(&key, model.resolve(&key));
            for server in &delta.upserts {
                let servers: Vec<_> =
                    server.internal.servers.iter().map(ToString::to_string).collect();
                println!("  + {} of {}: [{}]", server.key, server.origin, servers.join(" "));
            }
            for key in &delta.removals {
                println!("  - {key}");
            }
        }
    }
    Ok(())
}
