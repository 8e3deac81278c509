//! The guest's first process: a shell script, the same for every kernel up to its mounts.
//!
//! It mounts what a command expects, says `started`, runs the command with its output going to the channel,
//! and writes the exit status as the last thing of all. It decides nothing about time: a guest that never
//! writes a status is the supervisor's business.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::{shell, utf8};

/// Where the one writable directory is in the guest.
pub(super) const RESULTS: &str = "/run/guest/results";
/// The search path of commands in the guest; the first entry holds our `modprobe`.
pub(super) const PATH: &str =
    "/run/guest/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What differs between kernels.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Command lines that mount the channel and the results directory.
    pub(super) mount_channel: String,
    pub(super) mount_results: String,
    /// `None` where the running system is already set up and only its namespaces are fresh.
    pub(super) own_kernel: Option<OwnKernel>,
}

/// A kernel of its own needs a system around it.
#[derive(Clone, Debug)]
pub(super) struct OwnKernel {
    /// The directory that has the modules of the kernel's version in a subdirectory named by it.
    pub(super) modules: String,
}

/// The command, and where it runs.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) machine: &'a Machine,
    pub(super) directory: &'a Path,
    pub(super) env: &'a [(String, String)],
    pub(super) argv: &'a [String],
}

/// The whole script.
pub(super) fn script(job: &Job<'_>) -> Result<String> {
    let machine = job.machine;
    let system = machine.own_kernel.as_ref().map_or(FRESH_NAMESPACES, |_| SYSTEM);
    let modules =
        machine.own_kernel.as_ref().map_or_else(String::new, |kernel| modules(&kernel.modules));
    let flush = machine.own_kernel.as_ref().map_or("", |_| "sync\n");
    let mounts =
        [MOUNT_POINTS, &machine.mount_channel, "\n", &machine.mount_results, "\n", STARTED]
            .concat();
    let run = run(job)?;
    Ok([HEAD, system, &mounts, &modules, READY, &run, DRAIN, flush, REPORT].concat())
}

/// Writes the script where the kernel will start it from; without the exec bit it would not.
pub(super) fn write(path: &Path, script: &str) -> Result<()> {
    fs::write(path, script).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("make {} executable", path.display()))
}

const HEAD: &str = "\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
guest=/run/guest
";

/// A system of our own: the file systems a program may ask for. The root stays read-only.
const SYSTEM: &str = "\
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mount -t tmpfs tmpfs /run
echo guest >/proc/sys/kernel/hostname
";

/// The running system, seen from a new network namespace; `/run` is hidden because `ip netns` and `iptables`
/// leave files there.
const FRESH_NAMESPACES: &str = "\
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
";

const MOUNT_POINTS: &str = "mkdir -p $guest/channel $guest/results $guest/bin\n";
const STARTED: &str = ": >$guest/channel/started\n";

const READY: &str = "ip link set lo up\n";

/// Where modules come from, for `modprobe` typed by a command and for the kernel's own loading on demand; and
/// a `/tmp` that shows the host's files but keeps what is written to itself.
fn modules(directory: &str) -> String {
    let directory = shell::quote(directory);
    format!(
        "\
version=$(uname -r)
mkdir -p $guest/lib/modules
ln -s {directory}/$version $guest/lib/modules/$version
cat >$guest/bin/modprobe <<'END'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec modprobe -d /run/guest \"$@\"
END
chmod +x $guest/bin/modprobe
echo $guest/bin/modprobe >/proc/sys/kernel/modprobe
mkdir -p $guest/tmp $guest/tmp.work
modprobe -d $guest overlay
mount -t overlay -o lowerdir=/tmp,upperdir=$guest/tmp,workdir=$guest/tmp.work overlay /tmp
chmod 1777 /tmp
"
    )
}

/// The command writes to pipes that are copied to the channel: a program may reopen or truncate its standard
/// output, and a plain file there would lose what came before.
fn run(job: &Job<'_>) -> Result<String> {
    let directory = shell::quote(utf8(job.directory)?);
    let env: Vec<String> = job.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let env = shell::line(env.iter().map(String::as_str));
    let command = shell::line(job.argv.iter().map(String::as_str));
    Ok(format!(
        "\
mkfifo $guest/stdout $guest/stderr
cat <$guest/stdout >>$guest/channel/stdout & stdout=$!
cat <$guest/stderr >>$guest/channel/stderr & stderr=$!
( cd {directory} && exec env -i {env} {command} ) </dev/null >$guest/stdout 2>$guest/stderr
status=$?
"
    ))
}

/// Whatever the command left running would hold the pipes open for ever.
const DRAIN: &str = "\
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  case $pid in 1|$stdout|$stderr) ;; *) kill -KILL $pid ;; esac
done 2>/dev/null
wait $stdout $stderr
";

/// The line's end says that the status is complete. The supervisor ends the guest; a first process that
/// returned would be a kernel panic.
const REPORT: &str = "\
echo $status >$guest/channel/status
while :; do sleep 60; done
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn job_script(own_kernel: Option<OwnKernel>) -> String {
        let machine = Machine {
            mount_channel: "mount channel".into(),
            mount_results: "mount results".into(),
            own_kernel,
        };
        script(&Job {
            machine: &machine,
            directory: Path::new("/a dir"),
            env: &[("KEY".into(), "it's".into())],
            argv: &["sh".into(), "-c".into(), "echo \"$KEY\"; exit 3".into()],
        })
        .unwrap()
    }

    fn own() -> Option<OwnKernel> {
        Some(OwnKernel { modules: "/lib dir".into() })
    }

    #[test]
    fn both_forms_are_valid_shell() {
        for own_kernel in [None, own()] {
            let status =
                Command::new("sh").args(["-n", "-c", &job_script(own_kernel)]).status().unwrap();
            assert!(status.success());
        }
    }

    #[test]
    fn words_of_the_command_survive() {
        let script = job_script(own());
        assert!(
            script.contains(
                r#"cd '/a dir' && exec env -i 'KEY=it'\''s' sh -c 'echo "$KEY"; exit 3' )"#
            ),
            "{script}"
        );
        assert!(script.contains("ln -s '/lib dir'/$version"), "{script}");
    }

    #[test]
    fn only_an_own_kernel_gets_a_system_around_it() {
        assert!(job_script(own()).contains("mount -t proc"));
        let host = job_script(None);
        assert!(
            !host.contains("mount -t proc") && !host.contains("overlay") && !host.contains("sync"),
            "{host}"
        );
    }

    #[test]
    fn the_start_is_reported_after_the_mounts_and_the_status_last() {
        let script = job_script(own());
        let at = |text: &str| script.find(text).unwrap();
        assert!(at("mount channel") < at("channel/started"));
        assert!(at("channel/started") < at("exec env -i"));
        assert!(at("wait $stdout") < at("echo $status"));
    }
}
