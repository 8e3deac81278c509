//! Kubernetes Service forwarding with the Linux kernel's IPVS load balancer.

use std::process::ExitCode;

fn main() -> ExitCode {
    share_one_heap();
    match proxyd::cli::main(give_back_memory) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("proxyd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives free memory back to the system, from wherever in the heap it is (`malloc_trim(3)`).
#[cfg(target_env = "gnu")]
fn give_back_memory() {
    // SAFETY: it takes no pointer, and locks each part of the heap that it looks through.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Has all threads allocate from one heap (`mallopt(3)`). One thread does nearly all of the work, and the
/// room that others leave free is of no use to it.
#[cfg(target_env = "gnu")]
fn share_one_heap() {
    // SAFETY: it takes no pointer, and no other thread runs yet.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other C libraries have no such calls.
#[cfg(not(target_env = "gnu"))]
const fn give_back_memory() {}

#[cfg(not(target_env = "gnu"))]
const fn share_one_heap() {}
