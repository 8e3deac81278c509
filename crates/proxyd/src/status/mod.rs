//! What a running daemon says about itself and this node, and the commands that ask it.
//!
//! ```text
//! driver     chronicle   what it remembers for those who ask
//!            inquiry     a question and a copy of what is known, one at a time
//! server     questions   one at a time, to the driver
//!            reader      reads the kernel beside the driver, for all who look at once
//!            counts      what it counts
//!            earlier     readings before that, for rates                            pure
//!            compose     both into a document                                     pure
//!            difference  what is asked for against what is there
//!            cause       and why that differs                               pure
//!            objects     what is decided from                               pure
//! command    client      over the socket, or from the files of a bundle
//!            table       the document for people                                  pure
//! ```

mod cause;
mod chronicle;
mod client;
mod column;
mod command;
mod compose;
mod counts;
mod detail;
mod difference;
mod document;
mod earlier;
mod inquiry;
mod objects;
mod questions;
mod reader;
mod server;
mod table;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use chronicle::Chronicle;
pub(crate) use client::Client;
pub(crate) use column::{Column, Mood, age};
pub(crate) use command::{StatusArgs, run};
pub(crate) use compose::moment;
pub(crate) use detail::{SERVERS, UNUSED, connections, facts, refusals, servers, unused};
#[cfg(test)]
pub(crate) use document::{Destination, Endpoint, Moment, Servers, State, Traffic, TroubleKind};
pub(crate) use document::{Difference, Drifted, Frontend, Repaired, Status, Trouble};
pub(crate) use inquiry::{Failing, Inquiry, Scope};
pub(crate) use objects::Objects;
pub(crate) use server::{Desk, Failed, Pages, start};
pub(crate) use table::summary;
