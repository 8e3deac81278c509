//! A stand-in for a Kubernetes API server.
//!
//! It speaks the protocol as documented, so that a client that is proven against it works against a
//! real one: lists in parts, watches with history and bookmarks, selectors, tokens, refusals. What
//! is put into it is there as it is; it fills no defaults, validates nothing, and runs no
//! controllers. And it fails on purpose, in the ways in which real ones fail.
//!
//! ```
//! use serde_json::json;
//! use tests::apiserver::{ApiServer, Options};
//!
//! let server = ApiServer::start(Options::default());
//! server.apply(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-1" } }));
//! assert_eq!(server.objects("nodes").len(), 1);
//! ```

mod access;
mod answer;
pub mod control;
mod discovery;
mod event;
mod fault;
mod handle;
mod journal;
mod kind;
mod kubeconfig;
mod object;
mod objects;
mod population;
mod request;
mod selector;
mod serve;
mod server;
mod shared;
mod status;
mod store;
mod tls;
mod watch;
mod wire;
mod write;

pub use access::{Policy, Token};
pub use fault::{Cut, Requests, Telling};
pub use handle::{ApiServer, Backup, History, Options, Security};
pub use journal::Recorded;
pub use kind::{KINDS, Kind};
pub use kubeconfig::Credentials;
pub use objects::{read_objects, read_paths};
pub use population::Population;
pub use request::Streaming;
pub use status::Refusal;
pub use tls::ClientCertificate;
