//! Routes, links and addresses as this crate uses them.

use std::net::IpAddr;

/// A route of type `local` to one address, in table `local`: packets to it are delivered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalRoute {
    /// The address; the route is to its full length, /32 or /128.
    pub address: IpAddr,
    /// Index of the device, `lo` as a rule.
    pub device: u32,
    /// The source this host uses for its own connections to the address.
    pub preferred_source: Option<IpAddr>,
    /// Who made the route (`RTPROT_*` of `include/uapi/linux/rtnetlink.h`): the owner mark.
    pub protocol: u8,
}

/// An address on an interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Index of the interface.
    pub index: u32,
    /// Name of the interface; empty if it went away between two dumps.
    pub name: String,
    /// The address on this side.
    pub address: IpAddr,
    /// Length of the subnet's prefix in bits.
    pub prefix_len: u8,
    /// Where the address is valid (`RT_SCOPE_*`): 0 everywhere, 253 on the link, 254 on this host.
    pub scope: u8,
    /// It cannot be used yet: somebody else may have it (RFC 4862, duplicate address detection).
    pub is_tentative: bool,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind (`IFLA_INFO_KIND`), such as `dummy` or `veth`; none for `lo` and hardware.
    pub kind: Option<String>,
    /// True if it was set up (`IFF_UP`).
    pub up: bool,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Add a route ahead of any other to the same address. `EEXIST` if the very same is there.
    ///
    /// IPv4: as `ip route prepend`: it wins the lookup at once against the kernel's and
    /// kube-proxy's route to the address, which both stay.
    /// IPv6: the kernel's own route to an address of this host has the smaller metric and keeps
    /// winning while it is there; ours takes over in the moment it goes. The preferred source is
    /// not part of a route's identity: `EEXIST` also if it differs; use [`Request::Replace`].
    Add(LocalRoute),
    /// Give `old` the preferred source and device of `new` without a moment in which neither is
    /// there. Both must have the same address and protocol. No other route is touched.
    Replace {
        /// The route as it is.
        old: LocalRoute,
        /// The route as it shall be.
        new: LocalRoute,
    },
    /// Delete this route and no one else's; `ESRCH` if it is missing. The preferred source, if any,
    /// must be the route's in IPv4 and is not looked at in IPv6.
    Delete(LocalRoute),
    /// Put an address, as /32 or /128, on a link, without duplicate address detection.
    /// `EEXIST` if it is there.
    AddAddress {
        /// Index of the link.
        device: u32,
        /// The address.
        address: IpAddr,
    },
    /// Take an address, put there as /32 or /128, off a link. `EADDRNOTAVAIL` if it is missing.
    DeleteAddress {
        /// Index of the link.
        device: u32,
        /// The address.
        address: IpAddr,
    },
}
