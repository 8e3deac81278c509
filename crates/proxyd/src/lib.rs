//! The node daemon: reads Services, EndpointSlices and Nodes, and keeps the kernel at what they
//! ask for. A library so that tests and examples can drive its parts; `main.rs` is a few lines.
#![forbid(unsafe_code)]

mod bundle;
mod cleanup;
pub mod cli;
mod cluster;
pub mod config;
mod diff;
mod driver;
mod explain;
mod health;
mod journal;
mod kernel_settings;
mod logging;
mod look;
mod manifest;
mod manual;
mod metrics;
mod network;
mod node_args;
mod node_facts;
mod notice;
mod output;
mod page;
mod plan;
mod reload;
mod resolve;
mod run;
mod serve;
mod source;
mod spare;
mod status;
mod why;
