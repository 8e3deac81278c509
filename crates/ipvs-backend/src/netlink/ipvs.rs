//! IPVS, the kernel's transport-layer load balancer, over generic netlink
//! (family `IPVS`, version 1; `include/uapi/linux/ip_vs.h`).
//!
//! Everything is per network namespace: a client speaks to the namespace its thread was in when
//! it was opened. All requests need `CAP_NET_ADMIN` there.
//!
//! Two habits of the kernel to know when deciding what to send:
//! - A deleted destination stays in a list for about three minutes, and each
//!   [`Request::AddDestination`] in the namespace walks it. Change a weight with
//!   [`Request::SetDestination`], never by deleting and adding.
//! - Destinations are dumped one service at a time, so a full reading costs some system calls
//!   for each service.

mod client;
mod codec;
mod destination;
mod family;
mod request;
mod service;

pub use client::{Ipvs, OpenError};
pub use destination::{Destination, DestinationId, DestinationStatus, ForwardMethod};
pub use request::{Config, Info, Request};
pub use service::{
    InvalidSchedulerName, SchedulerName, Service, ServiceFlags, ServiceId, ServiceStatus, Stats64,
};

/// Reads `bytes` as each kind of answer there is.
#[cfg(feature = "fuzzing")]
pub(super) fn parse_anything(bytes: &[u8]) {
    use proxy_core::Family;
    let _ = (codec::parse_service(bytes), codec::parse_config(bytes), codec::parse_info(bytes));
    let _ = Family::ALL.map(|family| codec::parse_destination(bytes, family));
}
