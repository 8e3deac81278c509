//! Whatever the kernel does to a request, and whatever others do to what is ours: in the end the
//! kernel holds what is wanted, and nothing of a stranger was touched. Against a kernel in memory
//! that answers like the real one, and against the real one, both made to fail.
#![expect(clippy::disallowed_methods, reason = "a simulated clock begins at some real instant")]

mod aside;
mod kernel;
mod meddling;
#[path = "../namespace/mod.rs"]
mod namespace;
mod order;
mod packet_filter;
mod real;
mod recovery;
mod state;
mod story;
mod unreliable;
mod world;
