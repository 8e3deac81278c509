//! The daemon with kube-proxy's configuration and an API server: what the API says is what the
//! kernel does, through everything that can happen between the two.

mod cluster;
mod events;
mod metrics;
mod role;
mod serving;
