//! The stand-in for an API server, seen by the client that the daemon has, and byte by byte.

mod access;
mod client;
mod control;
mod faults;
mod lists;
mod raw;
mod restarts;
mod watches;
mod watching;
mod writes;
