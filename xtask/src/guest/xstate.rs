//! What User-mode Linux 6.1 needs on processors with tile registers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::rundir::RunDir;

const SOURCE: &str = include_str!("xstate.c");
/// The flag of such processors in `/proc/cpuinfo`.
const TILES: &str = "amx_tile";

/// The library to preload, made in the run's directory; `None` where the processor needs none.
pub(super) fn library(run: &RunDir) -> Result<Option<PathBuf>> {
    let processor = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    if !has_tiles(&processor) {
        return Ok(None);
    }
    let (source, library) = (run.path().join("xstate.c"), run.path().join("xstate.so"));
    fs::write(&source, SOURCE).with_context(|| format!("write {}", source.display()))?;
    compile(&source, &library)?;
    Ok(Some(library))
}

/// The compiler that Rust links with.
fn compile(source: &Path, library: &Path) -> Result<()> {
    let mut cc = Command::new("cc");
    let output = cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(library).arg(source).output();
    let output = output.context("start cc, which User-mode Linux needs on this processor")?;
    if !output.status.success() {
        bail!(
            "cc cannot compile {}: {}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn has_tiles(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == TILES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_with_tiles_are_known_by_their_flag() {
        assert!(has_tiles("processor\t: 0\nflags\t\t: fpu avx512f amx_bf16 amx_tile\n"));
        assert!(!has_tiles("processor\t: 0\nflags\t\t: fpu avx512f pku\nbugs: amx_tile\n"));
        assert!(!has_tiles(""));
    }

    #[test]
    fn the_library_compiles() {
        let run = RunDir::create().unwrap();
        let (source, library) = (run.path().join("xstate.c"), run.path().join("xstate.so"));
        fs::write(&source, SOURCE).unwrap();
        compile(&source, &library).unwrap();
        assert!(library.exists());
        fs::write(&source, "no C").unwrap();
        assert!(compile(&source, &library).unwrap_err().to_string().contains("cannot compile"));
    }
}
