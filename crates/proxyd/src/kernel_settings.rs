//! Settings of the kernel that the configuration asks for, besides those without which the backend
//! does not work: the connection tracker's, ARP, idle times of IPVS, and the process's own standing
//! when memory runs out.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ipvs_backend::netlink::Traffic;
use ipvs_backend::netlink::ipvs::{self, Ipvs};
use ipvs_backend::sysctl;
use tracing::{info, warn};

use crate::config::{Arp, Conntrack, IpvsTimeouts, Settings, TcpWindow};

/// More connections are not asked for, however many CPUs there are.
const MAX_CONNECTIONS: u32 = 1 << 20;

/// Makes them. What cannot be set and is only good to have is logged: a node that forwards with a
/// smaller table is better than one that does not forward.
///
/// # Errors
/// `strictARP` cannot be had: the node would answer for addresses of others.
pub(crate) fn apply(settings: &Settings) -> anyhow::Result<()> {
    if settings.arp == Arp::Strict {
        set("net.ipv4.conf.all.arp_ignore", "1")?;
        set("net.ipv4.conf.all.arp_announce", "2")?;
    }
    let cpus = cpus();
    for (name, value) in conntrack_sysctls(&settings.conntrack, cpus) {
        if let Err(error) = set(name, &value) {
            warn!("{error:#}");
        }
    }
    let buckets = max_connections(&settings.conntrack, cpus).map(|max| max / 4);
    if let Some(Err(error)) = buckets.map(grow_table) {
        warn!("{error:#}");
    }
    if let Err(error) = set_timeouts(settings.timeouts) {
        warn!("the idle times of IPVS connections stay what they are: {error:#}");
    }
    let score = settings.oom_score_adj.to_string();
    if let Err(error) = fs::write("/proc/self/oom_score_adj", &score) {
        warn!("oomScoreAdj: {score} cannot be set: {error}");
    }
    Ok(())
}

fn set(name: &str, value: &str) -> anyhow::Result<()> {
    if let Some(before) = sysctl::set(name, value)? {
        info!("sysctl {name}: {before} is now {value}");
    }
    Ok(())
}

/// The connection tracker's sysctls. Pure.
fn conntrack_sysctls(conntrack: &Conntrack, cpus: u32) -> Vec<(&'static str, String)> {
    let seconds = |time: Duration| time.as_secs().to_string();
    let mut sysctls = Vec::new();
    let mut set = |name, value: Option<String>| sysctls.extend(value.map(|value| (name, value)));
    let max = max_connections(conntrack, cpus);
    set("net.netfilter.nf_conntrack_max", max.map(|it| it.to_string()));
    let established = "net.netfilter.nf_conntrack_tcp_timeout_established";
    set(established, conntrack.tcp_established.map(seconds));
    let close_wait = "net.netfilter.nf_conntrack_tcp_timeout_close_wait";
    set(close_wait, conntrack.tcp_close_wait.map(seconds));
    let is_liberal = conntrack.tcp_window == TcpWindow::Liberal;
    set("net.netfilter.nf_conntrack_tcp_be_liberal", is_liberal.then(|| "1".to_owned()));
    set("net.netfilter.nf_conntrack_udp_timeout", conntrack.udp.map(seconds));
    set("net.netfilter.nf_conntrack_udp_timeout_stream", conntrack.udp_stream.map(seconds));
    sysctls
}

/// How many connections the tracker is to hold; `None` leaves that alone.
fn max_connections(conntrack: &Conntrack, cpus: u32) -> Option<u32> {
    let scaled = conntrack.max_per_core.map(NonZeroU32::get)?.saturating_mul(cpus);
    Some(scaled.min(MAX_CONNECTIONS).max(conntrack.min))
}

/// CPUs of the machine, whatever share of them this process may use.
fn cpus() -> u32 {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    count_cpus(&online).unwrap_or(1)
}

/// Counts a list such as `0-3,8`.
fn count_cpus(online: &str) -> Option<u32> {
    let mut count = 0;
    for part in online.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

/// Makes the tracker's hash table at least so large.
fn grow_table(buckets: u32) -> anyhow::Result<()> {
    let path = Path::new("/sys/module/nf_conntrack/parameters/hashsize");
    let read = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    if read.trim().parse::<u32>().is_ok_and(|there_are| there_are >= buckets) {
        return Ok(());
    }
    if let Err(error) = fs::write(path, buckets.to_string()) {
        bail!(
            "write {buckets} to {} ({error}): make it so on the host, run with --init-only where \
             /sys can be written, or set conntrack.maxPerCore: 0",
            path.display()
        );
    }
    Ok(())
}

/// Sets the idle times that are asked for. They count for the network namespace.
fn set_timeouts(timeouts: IpvsTimeouts) -> anyhow::Result<()> {
    if timeouts == IpvsTimeouts::default() {
        return Ok(());
    }
    // Zero leaves what there is.
    let seconds = |time: Option<Duration>| {
        time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
    };
    let config = ipvs::Config {
        tcp: seconds(timeouts.tcp),
        tcp_fin: seconds(timeouts.tcp_fin),
        udp: seconds(timeouts.udp),
    };
    let mut ipvs = Ipvs::open(Arc::new(Traffic::default()))?;
    for answer in ipvs.run(&[ipvs::Request::SetConfig(config)])? {
        answer?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_counted() {
        for (online, expected) in
            [("0", Some(1)), ("0-3\n", Some(4)), ("0-3,8,10-11", Some(7)), ("", None)]
        {
            assert_eq!(count_cpus(online), expected, "{online:?}");
        }
    }

    #[test]
    fn connections_follow_the_cpus() {
        let check = |max_per_core, min, cpus, expected| {
            let max_per_core = NonZeroU32::new(max_per_core);
            let conntrack = Conntrack { max_per_core, min, ..Conntrack::default() };
            assert_eq!(max_connections(&conntrack, cpus), expected);
        };
        check(32_768, 131_072, 2, Some(131_072));
        check(32_768, 131_072, 8, Some(262_144));
        check(32_768, 131_072, 64, Some(1_048_576));
        check(0, 131_072, 8, None);
    }
}
