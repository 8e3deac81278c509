//! Kubernetes Service forwarding with the Linux kernel's IPVS load balancer.

use std::process::ExitCode;

fn main() -> ExitCode {
    match proxyd::cli::main() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("proxyd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
