//! Where `/healthz` and `/livez` are answered, as it is said on the command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where, if anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindAddress {
    /// Nowhere.
    Off,
    /// At this address; an unspecified one stands for all addresses of both families.
    At(SocketAddr),
}

/// What kube-proxy has, and load balancers of clouds ask at.
const DEFAULT_PORT: u16 = 10256;

impl FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::Off);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::At((ip, DEFAULT_PORT).into()));
        }
        let port = text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
        let everywhere = port.map(|port| (Ipv4Addr::UNSPECIFIED, port).into());
        everywhere
            .or_else(|| text.parse().ok())
            .filter(|address: &SocketAddr| address.port() != 0)
            .map(Self::At)
            .ok_or_else(|| "not an IP address with a port, such as 0.0.0.0:10256".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_said_with_or_without_a_port() {
        let at = |text: &str| Ok(BindAddress::At(text.parse().unwrap()));
        assert_eq!("".parse(), Ok(BindAddress::Off));
        assert_eq!("0.0.0.0:10256".parse(), at("0.0.0.0:10256"));
        assert_eq!("127.0.0.1".parse(), at("127.0.0.1:10256"));
        assert_eq!("::".parse(), at("[::]:10256"));
        assert_eq!("[::1]".parse(), at("[::1]:10256"));
        assert_eq!("[::1]:9".parse(), at("[::1]:9"));
        assert_eq!(":9".parse(), at("0.0.0.0:9"));
        for wrong in ["localhost:10256", "0.0.0.0:0", "10256", "1.2.3.4:", "1.2.3.4:70000"] {
            assert!(wrong.parse::<BindAddress>().is_err(), "{wrong}");
        }
    }
}
