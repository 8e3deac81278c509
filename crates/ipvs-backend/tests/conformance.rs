//! The suite of `proxy-core` for any backend, against the kernel. Each check has a network
//! namespace of its own.

mod namespace;

use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::Inspect;
use proxy_core::conformance::{Lab, node_addresses};

/// The network namespace of the thread.
struct Namespace;

impl Lab for Namespace {
    fn open(&mut self) -> Box<dyn Inspect + '_> {
        let backend = IpvsBackend::open(IpvsConfig::default());
        Box::new(backend.unwrap_or_else(|error| panic!("{error}")))
    }

    fn reset(&mut self) {
        namespace::leave();
        for address in node_addresses() {
            namespace::tool(&format!("ip address add {address} dev lo"));
        }
    }
}

proxy_core::conformance_tests!(
    Namespace,
    #[ignore = "needs root and a kernel with ip_vs"]
);
