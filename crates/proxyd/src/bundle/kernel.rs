//! What the kernel of this machine is like, and holds in this network namespace.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use ipvs_backend::ROUTE_PROTOCOL;
use ipvs_backend::kernel::{Kernel as _, Netlink};
use ipvs_backend::netlink::Traffic;
use ipvs_backend::netlink::ipset::Ipset;
use ipvs_backend::netlink::ipvs::Ipvs;
use ipvs_backend::netlink::route::Route;
use proxy_core::Family;
use serde_json::{Value, json};

use super::Collected;

/// Beginnings of the names of modules that matter.
const MODULES: [&str; 12] = [
    "ip_vs",
    "nf_",
    "nfnetlink",
    "nft_",
    "xt_",
    "ip_set",
    "ip_tables",
    "ip6_tables",
    "iptable_",
    "ip6table_",
    "dummy",
    "br_netfilter",
];

/// Settings that matter.
const SETTINGS: [&str; 27] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.vs.conntrack",
    "net.ipv4.vs.conn_reuse_mode",
    "net.ipv4.vs.expire_nodest_conn",
    "net.ipv4.vs.expire_quiescent_template",
    "net.ipv4.vs.sloppy_tcp",
    "net.ipv4.vs.run_estimation",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.all.route_localnet",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_udp_timeout",
    "net.netfilter.nf_conntrack_udp_timeout_stream",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv6.conf.all.disable_ipv6",
    "net.core.rmem_max",
];

/// Collects it, as far as that is possible.
pub(super) fn collect(collected: &mut Collected) {
    collected.put("kernel/facts.json", Ok(format!("{:#}\n", facts())));
    collected.put("kernel/virtual-servers.txt", virtual_servers());
    collected.put("kernel/sets.txt", sets());
    collected.put("kernel/network.txt", network());
    let netlink = Netlink::open(&Arc::default());
    match netlink {
        Ok(mut kernel) => {
            for family in Family::ALL {
                let rules = kernel.saved_rules(family).context("read the rules");
                collected.put(&format!("kernel/rules-{family}.txt"), rules);
            }
        }
        Err(error) => collected.put("kernel/rules", Err(error.into())),
    }
}

/// Versions, modules and settings; null where there is none.
fn facts() -> Value {
    let setting = |name: &&str| (name.to_string(), json!(read(&sysctl(name))));
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    let modules: Vec<_> = modules
        .lines()
        .filter(|line| MODULES.iter().any(|begin| line.starts_with(begin)))
        .collect();
    let ipvs = Ipvs::open(traffic()).ok().and_then(|mut ipvs| ipvs.info().ok());
    json!({
        "release": read("/proc/sys/kernel/osrelease"),
        "version": read("/proc/sys/kernel/version"),
        "ipvsVersion": ipvs.map(|info| {
            let (major, minor, patch) = info.version;
            format!("{major}.{minor}.{patch}")
        }),
        "ipvsConnectionTableSize": ipvs.map(|info| info.connection_table_size),
        "ipsetProtocolSpoken": 6,
        "iptables": version("iptables"),
        "ip6tables": version("ip6tables"),
        "modules": modules,
        "settings": SETTINGS.iter().map(setting).collect::<serde_json::Map<_, _>>(),
    })
}

/// As `ipvsadm -Ln` shows them.
fn virtual_servers() -> anyhow::Result<String> {
    let mut ipvs = Ipvs::open(traffic())?;
    let mut services = ipvs.services().context("read virtual servers")?;
    services.sort_by_key(|status| status.service.id);
    let mut text = String::new();
    for status in services {
        let (service, stats) = (status.service, status.stats);
        let flags = service.flags.bits();
        write!(text, "{} {}", service.id, service.scheduler)?;
        writeln!(
            text,
            " flags {flags:#x} timeout {} connections {} packets {}/{} bytes {}/{}",
            service.timeout,
            stats.connections,
            stats.packets_in,
            stats.packets_out,
            stats.bytes_in,
            stats.bytes_out
        )?;
        let mut found = ipvs.destinations(&service.id).context("read servers")?;
        found.sort_by_key(|status| status.destination.id());
        for status in found {
            let it = status.destination;
            writeln!(
                text,
                "  -> {} {} weight {} active {} inactive {} persistent {} connections {}",
                it.id(),
                it.forward,
                it.weight,
                status.active,
                status.inactive,
                status.persistent,
                status.stats.connections
            )?;
        }
    }
    Ok(text)
}

/// As `ipset save` shows them.
fn sets() -> anyhow::Result<String> {
    let mut sets = Ipset::open(traffic())?.list().context("read sets")?;
    sets.sort_by_key(|set| set.spec.name);
    let mut text = String::new();
    for mut set in sets {
        let spec = set.spec;
        writeln!(
            text,
            "create {} {} hashsize {} maxelem {} references {}",
            spec.name, spec.kind, spec.hash_size, spec.max_elements, set.references
        )?;
        set.members.sort();
        for member in set.members {
            write!(text, "add {} {}", spec.name, member.entry)?;
            if let Some(mark) = member.mark {
                write!(text, " skbmark {mark}")?;
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// Interfaces, their addresses, and our routes.
fn network() -> anyhow::Result<String> {
    let mut route = Route::open(traffic())?;
    let mut text = String::new();
    for link in route.links().context("read interfaces")? {
        let state = if link.up { "up" } else { "down" };
        let kind = link.kind.as_deref().unwrap_or("-");
        writeln!(text, "link {} {} {kind} {state}", link.index, link.name)?;
    }
    for held in route.addresses().context("read addresses")? {
        writeln!(text, "address {}/{} dev {}", held.address, held.prefix_len, held.name)?;
    }
    let mut routes = route.local_routes(ROUTE_PROTOCOL).context("read routes")?;
    routes.sort_by_key(|route| route.address);
    for route in routes {
        write!(text, "local {} dev {} proto {}", route.address, route.device, route.protocol)?;
        if let Some(source) = route.preferred_source {
            write!(text, " src {source}")?;
        }
        text.push('\n');
    }
    Ok(text)
}

fn traffic() -> Arc<Traffic> {
    Arc::default()
}

fn sysctl(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
