//! What sources of objects have in common, whether they are files or an API server: what is given
//! of an object, what is wrong with it, and what of it is news to the model. Pure.

mod given;
mod known;
mod problem;

use proxy_core::api::NotOurs;
use proxy_core::{Event, ServiceKey};
use tracing::{info, warn};

use crate::notice::{Notices, Reason};

pub(crate) use given::{Given, Object, Parser, Times};
pub(crate) use known::{Known, Value};
pub(crate) use problem::{Problem, Severity};

/// What a source says anew.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Changes {
    /// In an order in which a Service is complete when it comes.
    pub(crate) events: Vec<Event>,
    /// Problems that are new.
    pub(crate) problems: Vec<Problem>,
    /// Problems that are over.
    pub(crate) solved: Vec<Problem>,
    /// Services that this proxy does not serve.
    pub(crate) not_ours: Vec<(ServiceKey, NotOurs)>,
}

impl Changes {
    /// Says which problems are new, and which are over.
    pub(crate) fn say_problems(&self, notices: &Notices) {
        for problem in &self.problems {
            warn!("{problem}");
            let reason = match problem.severity {
                Severity::Unreadable | Severity::Rejected => Reason::InvalidField,
                Severity::Warning => Reason::Unexpected,
            };
            if let Some(object) = &problem.about {
                notices.about(object, reason, problem.note());
            }
        }
        for problem in &self.solved {
            info!("solved: {}", problem.place());
        }
    }
}
