//! A cluster on one kernel: IPVS, ipsets, routes and packet filters belong to a network namespace,
//! so a namespace is a node, a pod, or a client outside; pairs of virtual Ethernet devices join
//! them. Needs root, and a kernel with what the tests are about.

mod application;
mod client;
mod cluster;
mod conversation;
mod daemon;
mod in_process;
mod kernel_state;
mod manifests;
mod metrics;
mod namespace;
mod patience;
mod plan;
mod sctp;
mod server;
mod strangers;
mod two_tier;

pub use application::{Application, Endpoint};
pub use client::{Answer, Client, Refusal, Stream, Tally, Transport, ask_over};
pub use cluster::{Cluster, Node, Pod};
pub use conversation::Conversation;
pub use daemon::{Daemon, proxyd, socket, told};
pub use in_process::{InProcess, Work};
pub use kernel_state::{KernelState, iptables, load_packet_filter, packet_filter};
pub use manifests::{Manifests, example};
pub use metrics::Metrics;
pub use namespace::{Namespace, feed, run};
pub use patience::wait_until;
pub use plan::{plan, plan_document};
pub use server::Server;
pub use strangers::{assert_strangers_untouched, plant_strangers};
pub use two_tier::two_tier_state;
