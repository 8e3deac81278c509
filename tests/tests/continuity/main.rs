//! No packet is lost because the proxy works: connections that stay and streams of new ones go on
//! through everything that it, or somebody else, does to the kernel.

mod batch;
mod binding;
mod cleanup;
mod policy;
mod repair;
mod restart;
mod rolling;
mod takeover;
mod traffic;
