//! A page about this node for a browser, at the metrics server: what is served, by which servers,
//! with which connections, and what is wrong. It changes nothing, loads nothing from elsewhere, and
//! runs no script. Off unless the configuration says for whom it is.
//!
//! ```text
//! server    who may look
//! looks     what was known a moment ago, found once for all who look
//! query     what is asked, and the addresses of other views       pure
//! frame     what every view has around it                         pure
//! list      every frontend, a few hundred at a time               pure
//! detail    one Service                                           pure
//! history   what passed at the last looks; plot shows it          pure
//! html      markup that nothing can break                         pure
//! ```

#[cfg(test)]
mod browser;
mod detail;
mod frame;
mod history;
mod html;
mod list;
mod looks;
mod plot;
mod query;
mod server;
#[cfg(test)]
mod testing;

pub(crate) use server::Page;
