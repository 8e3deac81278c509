//! A start on a node where everything is as it should be.

use std::path::Path;

use anyhow::ensure;

use super::cold::{Served, finish, serve};
use crate::kernel::inventory;
use crate::proxy::{Proxy, Talk, between};
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage::Audits;

/// Measures it.
///
/// # Errors
/// When it does not come to its end.
pub(crate) fn adopt(program: &Path, size: Size) -> anyhow::Result<()> {
    let Served { stage, proxy } = serve(program, size, Audits::Rare)?;
    proxy.stop()?;
    let before = inventory(&stage.node)?;
    let mut proxy = Proxy::start(program, &stage, Talk::Usual)?;
    let done = finish(&mut proxy, &stage)?;
    let used = proxy.usage()?;
    say_time("start to kernel", between(proxy.started, done.synced));
    if let Some(listed) = done.listed {
        say_time("lists to kernel", between(listed, done.synced));
    }
    if let Some(mutations) = done.said.as_ref().and_then(|line| line.field("kernel_changes")) {
        say("mutations", mutations.parse::<u64>()?, "");
    }
    say_time("cpu user", used.user);
    say_time("cpu system", used.system);
    say("peak memory", used.peak_kib, "KiB");
    ensure!(inventory(&stage.node)? == before, "the kernel has something else than before");
    Ok(())
}
