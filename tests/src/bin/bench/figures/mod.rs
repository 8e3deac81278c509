//! One file a figure.

mod adopt;
mod calls;
mod change;
mod churn;
mod cold;
mod idle;
mod lock;
mod memory;
mod path;
mod rolling;

pub(crate) use adopt::adopt;
pub(crate) use calls::calls;
pub(crate) use change::{Change, change};
pub(crate) use churn::{Churn, churn};
pub(crate) use cold::cold;
pub(crate) use idle::idle;
pub(crate) use lock::lock;
pub(crate) use memory::memory;
pub(crate) use path::{direct, path};
