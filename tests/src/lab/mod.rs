//! A cluster on one kernel: IPVS, ipsets, routes and packet filters belong to a network namespace,
//! so a namespace is a node, a pod, or a client outside; pairs of virtual Ethernet devices join
//! them. Needs root, and a kernel with what the tests are about.

mod client;
mod cluster;
mod daemon;
mod namespace;
mod server;

pub use client::{Answer, Client, Refusal, Stream, Tally, Transport, ask_over};
pub use cluster::{Cluster, Node, Pod};
pub use daemon::{Daemon, proxyd};
pub use namespace::{Namespace, run};
pub use server::Server;
