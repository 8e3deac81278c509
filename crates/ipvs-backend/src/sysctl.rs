//! Kernel settings without which virtual servers do not work as promised. Written only where they
//! differ.

use std::fs;
use std::path::{Path, PathBuf};

use proxy_core::BackendError;

/// A setting that must have a value.
struct Setting {
    name: &'static str,
    value: &'static str,
}

/// - `conntrack`: IPVS connections are known to the packet filter, or masquerading has no effect.
/// - `expire_nodest_conn`: a connection to a removed server ends at its next packet, and a UDP
///   flow moves to another.
/// - `expire_quiescent_template`: a client with session affinity leaves a draining server.
/// - `ip_forward`: the node forwards.
const SETTINGS: [Setting; 4] = [
    Setting { name: "net.ipv4.vs.conntrack", value: "1" },
    Setting { name: "net.ipv4.vs.expire_nodest_conn", value: "1" },
    Setting { name: "net.ipv4.vs.expire_quiescent_template", value: "1" },
    Setting { name: "net.ipv4.ip_forward", value: "1" },
];

/// Below 5.9 the kernel delays a reused client port by a second; without this it would.
const REUSE_MODE: Setting = Setting { name: "net.ipv4.vs.conn_reuse_mode", value: "0" };

/// Makes every setting what it must be. Returns the names of those that were changed.
///
/// # Errors
/// When one cannot be read or written, with its name and the remedy.
pub fn ensure() -> Result<Vec<&'static str>, BackendError> {
    let release = read(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    let reuse_mode = needs_reuse_mode(&release).then_some(REUSE_MODE);
    let mut changed = Vec::new();
    for Setting { name, value } in SETTINGS.into_iter().chain(reuse_mode) {
        if set(name, value)?.is_some() {
            changed.push(name);
        }
    }
    Ok(changed)
}

/// Makes one setting, named with dots, what it must be. Returns what it was, if that was something
/// else; what is right already is not written, so that `/proc/sys` need not be writable then.
///
/// # Errors
/// When it cannot be read or written, with its name and the remedy.
pub fn set(name: &str, value: &str) -> Result<Option<String>, BackendError> {
    let path = PathBuf::from("/proc/sys").join(name.replace('.', "/"));
    let failed = |verb: &str| {
        let attempt = format!(
            "{verb} sysctl {name} (it must be {value}: set it on the host, or give the process a \
             writable /proc/sys)"
        );
        move |source| BackendError::Io { attempt, source }
    };
    let before = read(&path).map_err(failed("read"))?;
    if before == value {
        return Ok(None);
    }
    fs::write(&path, value).map_err(failed("write"))?;
    Ok(Some(before))
}

fn read(path: &Path) -> std::io::Result<String> {
    fs::read_to_string(path).map(|text| text.trim().to_owned())
}

/// Kernels from 4.1 and before 5.9 (`conn_reuse_mode` 0 has other faults before and is not needed
/// after).
fn needs_reuse_mode(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    ((4, 1)..(5, 9)).contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reuse_mode_depends_on_the_kernel() {
        let needed = ["3.10.0", "4.0.9", "4.1.0", "4.18.0-553.el8", "5.8.18", "5.9.0", "6.1.176"];
        assert_eq!(needed.map(needs_reuse_mode), [false, false, true, true, true, false, false]);
    }
}
