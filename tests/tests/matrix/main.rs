//! The traffic matrix: who calls whom by which address, who answers, and whom the server saw.
//!
//! Each test is a cluster of two nodes with a daemon, one or a few Services, and a table of rows
//! ([`table`]). A row holds in both families, and over TCP, UDP and SCTP, unless the test says
//! otherwise. Before a row is tried, `proxyd explain` is asked what will come of it.

mod affinity;
mod check;
mod cluster_policy;
mod foresight;
mod host;
mod host_firewall;
mod host_network;
mod internal_policy;
mod local_policy;
mod nobody_home;
mod other_rules;
mod source_ranges;
mod table;
mod world;
