//! The story, one module a chapter.

use crate::stage::Stage;
use crate::verdict::Shown;

mod api_server;
mod drift;
mod entrance;
mod first_call;
mod no_backends;
mod node_drain;
mod port_name;
mod replacement;
mod restart;
mod scaling;
mod sources;
mod stream;
mod typo;

/// A step of the story.
pub(crate) struct Step {
    /// What it is about.
    pub(crate) title: &'static str,
    /// Does it, shows it, and says what was shown.
    pub(crate) run: fn(&mut Stage) -> Shown,
}

/// All steps. Each takes over the cluster as the one before left it.
pub(crate) const ALL: &[Step] = &[
    Step { title: "A frontend pod calls a Service with one backend", run: first_call::run },
    Step { title: "The Service is scaled to three backends", run: scaling::run },
    Step { title: "A backend pod calls its own Service (hairpin)", run: sources::hairpin },
    Step { title: "A node calls the Service", run: sources::node },
    Step {
        title: "A client outside the cluster calls the Services, through node-1",
        run: sources::outside,
    },
    Step {
        title: "The frontend gets a node port: outside clients come in through any node",
        run: entrance::node_port,
    },
    Step {
        title: "externalTrafficPolicy: Local keeps the client's address, and needs the right node",
        run: entrance::local_policy,
    },
    Step {
        title: "A load balancer's address lets in some clients only",
        run: entrance::source_ranges,
    },
    Step {
        title: "A load balancer asks the nodes for their health, and one of them is drained",
        run: node_drain::run,
    },
    Step { title: "All endpoints of the Service go away, and come back", run: no_backends::run },
    Step { title: "A backend pod is replaced under a stream of requests", run: replacement::run },
    Step {
        title: "A Service's port and its endpoints' port have different names",
        run: port_name::run,
    },
    Step { title: "A manifest is broken by a typo, then mended", run: typo::run },
    Step {
        title: "proxyd is killed under a stream of requests, and started again",
        run: restart::run,
    },
    Step {
        title: "Somebody damages the kernel's state by hand under a stream of requests",
        run: drift::run,
    },
    Step {
        title: "The same from an API server, which goes away under a stream of requests",
        run: api_server::run,
    },
];
