//! Kubernetes Service forwarding with the Linux kernel's IPVS load balancer.

use std::process::ExitCode;

fn main() -> ExitCode {
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

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
const fn give_back_memory() {}
