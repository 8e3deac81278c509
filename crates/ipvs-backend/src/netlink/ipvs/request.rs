//! What can be asked of IPVS, and the few values that belong to no service.

use super::{Destination, DestinationId, Service, ServiceId};

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// `IPVS_CMD_NEW_SERVICE`; `EEXIST` if the service is there, `ENOENT` if no module brings the
    /// scheduler.
    AddService(Service),
    /// `IPVS_CMD_SET_SERVICE`: scheduler, flags and timeout in place; connections stay.
    /// `ESRCH` if the service is missing.
    SetService(Service),
    /// `IPVS_CMD_DEL_SERVICE`, its destinations included; `ESRCH` if the service is missing.
    DeleteService(ServiceId),
    /// `IPVS_CMD_NEW_DEST`; `EEXIST` if it is there, `ESRCH` if the service is missing. `EINVAL`
    /// for an IPv4 address that is neither local nor unicast, which all addresses are in a
    /// namespace whose `lo` was never up.
    AddDestination(ServiceId, Destination),
    /// `IPVS_CMD_SET_DEST`: weight, method and thresholds in place; connections stay.
    /// `ENOENT` if it is missing, `ESRCH` if the service is.
    SetDestination(ServiceId, Destination),
    /// `IPVS_CMD_DEL_DEST`; `ENOENT` if it is missing, `ESRCH` if the service is.
    DeleteDestination(ServiceId, DestinationId),
    /// `IPVS_CMD_ZERO`: statistics of one service, or of everything, back to 0.
    Zero(Option<ServiceId>),
    /// `IPVS_CMD_SET_CONFIG`.
    SetConfig(Config),
}

/// Idle timeouts of connections, one set for the namespace (`IPVS_CMD_ATTR_TIMEOUT_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Config {
    /// Established TCP, in seconds; 0 in a request leaves it alone.
    pub tcp: u32,
    /// TCP after a FIN, in seconds; 0 in a request leaves it alone.
    pub tcp_fin: u32,
    /// UDP, in seconds; 0 in a request leaves it alone.
    pub udp: u32,
}

/// What `IPVS_CMD_GET_INFO` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Info {
    /// Version of IPVS as (major, minor, patch).
    pub version: (u8, u8, u8),
    /// Buckets of the connection table.
    pub connection_table_size: u32,
}
