//! Scenarios and kernel tests that cross crates, and the laboratory that they and the demo share:
//! a small cluster made of network namespaces on one kernel.
#![forbid(unsafe_code)]

pub mod apiserver;
pub mod lab;
