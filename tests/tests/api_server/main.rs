//! The daemon with kube-proxy's configuration and an API server: what the API says is what the
//! kernel does, through everything that can happen between the two.

mod chaos;
mod cluster;
mod commands;
mod credentials;
mod events;
mod health;
mod metrics;
mod node;
mod outages;
mod role;
mod serving;
