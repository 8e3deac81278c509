//! Texts and numbers of the API that become addresses, ranges, ports and times.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use ipnet::IpNet;

use crate::{Family, Protocol};

/// An address in canonical form. IPv4 octets may have leading zeros and are decimal all the same;
/// an IPv4-mapped IPv6 address is the IPv4 address.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical());
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = decimal(parts.next()?)?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// Digits only: no sign, as `u8::from_str` would allow.
fn decimal(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A range with its host bits cleared; addresses are read as [`ip`] reads them.
pub(super) fn cidr(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (ip(address)?, decimal(length)?);
    if address.is_ipv4() && text.contains(':') {
        let length = length.checked_sub(96)?;
        return IpNet::new(address, length).ok().map(|range| range.trunc());
    }
    IpNet::new(address, length).ok().map(|range| range.trunc())
}

/// The family that a text was probably meant for, even if it does not parse.
pub(super) fn intended_family(text: &str) -> Option<Family> {
    let decimal = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'/';
    if text.contains(':') {
        Some(Family::Ipv6)
    } else if text.contains('.') && text.bytes().all(decimal) {
        Some(Family::Ipv4)
    } else {
        None
    }
}

/// The whole of a family.
pub(super) fn is_everything(range: &IpNet) -> bool {
    range.prefix_len() == 0
}

/// A port from 1 to 65,535.
pub(super) fn port(number: i64) -> Option<NonZeroU16> {
    u16::try_from(number).ok().and_then(NonZeroU16::new)
}

/// A protocol by the API's name; TCP if there is none.
pub(super) fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("" | "TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

/// Why no Service can be served at this address and no endpoint be reached there, if so.
/// The API server refuses the same addresses for endpoints and external IPs.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    match never_a_host(address) {
        None if link_local => Some("a link-local address"),
        what => what,
    }
}

/// Why this is not the address of any one host on a network, if so.
pub(super) fn never_a_host(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("the broadcast address")
    } else {
        None
    }
}

/// A duration as Go writes it, which is how Kubernetes writes it: `90s`, `1h30m`, `1.5h`, `0`. Never
/// with a sign, at most 292 years; `None` for anything else. Fractions of a nanosecond are cut off.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let (unit, tail) = duration_unit(tail)?;
        total = total.checked_add(scaled(number, unit)?)?;
        if tail.is_empty() {
            let nanoseconds = u64::try_from(total).ok()?;
            return (nanoseconds <= i64::MAX as u64).then(|| Duration::from_nanos(nanoseconds));
        }
        rest = tail;
    }
}

/// The leading unit of `text`, in nanoseconds, and what follows it.
fn duration_unit(text: &str) -> Option<(u128, &str)> {
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60 * 1_000_000_000),
        ("h", 3_600 * 1_000_000_000),
    ];
    UNITS.iter().find_map(|(name, unit)| Some((*unit, text.strip_prefix(name)?)))
}

/// A decimal number times `unit`, fractions of a nanosecond cut off.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() }
    };
    // Digits beyond these are less than a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(15)];
    let scale = fraction.chars().fold(1_u128, |scale, _| scale * 10);
    let part = digits(fraction)?.checked_mul(unit)? / scale;
    digits(whole)?.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_ip(text: &str, expected: Option<&str>) {
        assert_eq!(ip(text).map(|address| address.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn addresses_are_read_tolerantly_and_kept_canonical() {
        check_ip("10.0.0.1", Some("10.0.0.1"));
        check_ip("010.000.000.001", Some("10.0.0.1"));
        check_ip("::ffff:1.2.3.4", Some("1.2.3.4"));
        check_ip("FD00:0::9", Some("fd00::9"));
        check_ip("10.0.0", None);
        check_ip("10.0.0.1.2", None);
        check_ip("10.0.0.+1", None);
        check_ip("10.0.0.256", None);
        check_ip("10.0.0.", None);
        check_ip(" 10.0.0.1", None);
        check_ip("fe80::1%eth0", None);
        check_ip("", None);
    }

    #[track_caller]
    fn check_cidr(text: &str, expected: Option<&str>) {
        assert_eq!(cidr(text).map(|range| range.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn ranges_lose_their_host_bits() {
        check_cidr("10.1.2.3/8", Some("10.0.0.0/8"));
        check_cidr("010.0.0.0/08", Some("10.0.0.0/8"));
        check_cidr("fd00::1/64", Some("fd00::/64"));
        check_cidr("::ffff:10.1.2.3/104", Some("10.0.0.0/8"));
        check_cidr("::ffff:10.1.2.3/24", None);
        check_cidr("0.0.0.0/0", Some("0.0.0.0/0"));
        check_cidr("10.0.0.0/33", None);
        check_cidr("10.0.0.0/-1", None);
        check_cidr("10.0.0.0", None);
        check_cidr("bogus/8", None);
    }

    #[track_caller]
    fn check_duration(text: &str, expected: Option<Duration>) {
        assert_eq!(parse_duration(text), expected, "{text:?}");
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        check_duration("90s", Some(Duration::from_secs(90)));
        check_duration("5m", Some(Duration::from_secs(300)));
        check_duration("1h30m", Some(Duration::from_secs(5_400)));
        check_duration("1.5h", Some(Duration::from_secs(5_400)));
        check_duration(".5s", Some(Duration::from_millis(500)));
        check_duration("250ms", Some(Duration::from_millis(250)));
        check_duration("3µs", Some(Duration::from_micros(3)));
        check_duration("0s", Some(Duration::ZERO));
        check_duration("0", Some(Duration::ZERO));
        check_duration("90", None);
        check_duration("", None);
        check_duration("s", None);
        check_duration(".s", None);
        check_duration("1.2.3s", None);
        check_duration("-5s", None);
        check_duration("5 s", None);
        check_duration("5d", None);
        check_duration("9999999h", None);
        check_duration("99999999999999999999999999999999999999999999s", None);
    }
}
