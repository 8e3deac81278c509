//! The kernel, spoken to in its own words: one file per netlink family.
//!
//! Two layers. Codecs turn values into bytes and back; they are pure, never panic whatever the
//! bytes, and skip attributes they do not know, so a newer kernel is no surprise. [`Connection`]
//! carries batches of requests and knows nothing of what is in them; only `transport` makes
//! system calls.
//!
//! The rule of a batch: many requests in one `send`, an acknowledgement asked of the last only.
//! The kernel works through a send in order, goes on after a request it refuses, and reports
//! each refusal whether asked or not; so the last answer proves that every error before it has
//! been seen. One send of 256 requests costs two system calls.
//!
//! Nothing here retries, waits for longer than [`REPLY_TIMEOUT`], logs, or decides what an error
//! means. "It was already there" is an error here and a success to whoever asked for idempotence.

mod attribute;
mod connection;
mod errno;
mod message;
#[cfg(test)]
mod test_support;
mod traffic;
mod transport;

pub mod conntrack;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod ipset;
pub mod ipvs;
pub mod monitor;
pub mod nftables;
pub mod route;

pub use attribute::{Attribute, AttributeWriter, Attributes};
pub use connection::{Batch, Connection, Refusal};
pub use errno::Errno;
pub use traffic::{Traffic, TrafficCounts};
pub use transport::REPLY_TIMEOUT;
