//! The netlink clients against a real kernel, with the usual tools as second opinion.
//!
//! Each test has a network namespace of its own. They need root, the `ip_vs` and ipset modules,
//! and `ipvsadm`, `ipset`, `conntrack` and `ip`: `cargo test -p ipvs-backend --test netlink -- --ignored`.

mod conntrack;
mod ipset;
mod ipvs;
mod monitor;
#[path = "../namespace/mod.rs"]
mod namespace;
mod route;
mod support;
