//! Services, EndpointSlices and Nodes from the files of a directory.
//!
//! A [`Reader`] turns the directory into events for the model, each time only what changed, and
//! into [`Problem`](crate::source::Problem)s for whoever watches over it. What was good once stays
//! until something better takes its place: a file that cannot be read or parsed keeps its objects,
//! and so does an object whose new version cannot be used. Only a deletion deletes. A [`Watcher`]
//! says when to read.
//!
//! Read are `.yaml`, `.yml` and `.json` files directly in the directory, whatever a symbolic link
//! leads to, but no file whose name begins with a dot. A file holds any number of documents;
//! objects of other kinds are skipped.

mod document;
mod file;
mod reader;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

pub(crate) use reader::Reader;
pub(crate) use watch::{Wake, Watcher};
