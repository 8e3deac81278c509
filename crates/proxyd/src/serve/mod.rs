//! HTTP servers that strangers may ask, or root of this machine: where they listen, and how they
//! answer whatever clients do.
//! What is answered is their users' business.

mod answer;
mod http;
mod listen;
mod local;
mod place;

pub(crate) use answer::Answer;
pub(crate) use http::{Asked, Connections, serve};
pub(crate) use listen::listener_of_family;
pub(crate) use local::LocalPlace;
pub(crate) use place::{Place, RETRY};
