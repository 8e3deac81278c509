//! The stand-in for an API server, seen by the client that the daemon has, and byte by byte.

mod client;
mod watching;
