//! Makes the Linux kernel's IPVS load balancer hold a set of virtual servers.
//!
//! It knows nothing of Kubernetes: [`proxy_core`]'s virtual servers go in, kernel objects come
//! out. One virtual server becomes
//!
//! | object | what for |
//! |---|---|
//! | an IPVS service and its destinations | the balancing itself |
//! | members of ipsets | they decide in a few static rules who is masqueraded, admitted, refused |
//! | a `local` route to its address | packets to the address end here, where IPVS sees them |
//!
//! Everything goes over netlink, many requests in a send; the static rules alone are loaded by
//! `iptables-restore`, once. What is ours in the kernel is written down in [`ownership`]. UDP flows
//! that a change leaves leading nowhere are forgotten by the connection tracker ([`stale`]).
//!
//! [`plan::plan`] turns what is wanted and what is observed into ordered ops; [`exec::Round`]
//! carries them out and is the only way to the kernel.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "a simulated clock begins at some real instant")
)]

mod backend;
pub mod drain;
pub mod exec;
pub mod explain;
pub mod iptables;
pub mod kernel;
pub mod ledger;
pub mod marks;
pub mod netlink;
pub mod object;
pub mod observe;
pub mod op;
pub mod ownership;
pub mod plan;
pub mod rules;
pub mod set;
pub mod stale;
pub mod sysctl;
mod tally;

pub use backend::{AuditPace, IpvsBackend, IpvsConfig, Plan};
pub use observe::NodeIps;
pub use plan::{Binding, Device, NodePlan};
pub use tally::{FamilyTally, Tally};

/// Marks our routes: the protocol number they carry (`ip route show table local proto 153`).
/// Numbers from 5 to 255 are for users (`include/uapi/linux/rtnetlink.h`); none of the routing
/// daemons in iproute2's list has this one.
pub const ROUTE_PROTOCOL: u8 = 153;

/// kube-proxy's device for the addresses of virtual servers. Others look for it to tell that a
/// node uses IPVS.
pub const DUMMY_DEVICE: &str = "kube-ipvs0";
