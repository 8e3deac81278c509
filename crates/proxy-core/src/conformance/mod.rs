//! The suite that any backend, ours or a stranger's, runs against itself.
//!
//! A [`Lab`] opens the backend, as often as the suite likes, on one data plane that stays what it
//! is meanwhile: that is how a restart of the process looks to a kernel. Each [`Check`] proves one
//! of the promises of [`Backend`](crate::Backend) as far as it can be observed, and panics with
//! what was promised and what was found. What a backend says it cannot express is never asked.
//!
//! Not checked, because only the backend's own tests can bring it about: failures of single
//! objects, lost connections, and objects of others on the same data plane.
//!
//! ```
//! use proxy_core::Inspect;
//! use proxy_core::conformance::Lab;
//! use proxy_core::memory::MemoryBackend;
//!
//! #[derive(Default)]
//! struct MemoryLab(MemoryBackend);
//!
//! impl Lab for MemoryLab {
//!     fn open(&mut self) -> Box<dyn Inspect + '_> {
//!         self.0.restart();
//!         Box::new(&mut self.0)
//!     }
//!
//!     fn reset(&mut self) {
//!         *self = Self::default();
//!     }
//! }
//!
//! proxy_core::conformance::run(&mut MemoryLab::default());
//! ```
//!
//! [`conformance_tests!`](crate::conformance_tests) makes each check a test of its own.

mod apply;
mod cleanup;
mod features;
mod fixture;
mod resync;
mod session;
mod view;

pub use fixture::node_addresses;
pub use view::{Served, served};

use crate::Inspect;

/// Opens backends on one data plane.
pub trait Lab {
    /// Opens the backend as a process does that starts: it knows nothing of what was opened
    /// before, and finds the data plane as that left it.
    fn open(&mut self) -> Box<dyn Inspect + '_>;

    /// Makes the data plane what it was before anything was opened on it. A data plane that tells
    /// its node ports by the node's addresses has those of [`node_addresses`].
    fn reset(&mut self);
}

/// One thing that is checked.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name: a sentence, with underscores.
    pub name: &'static str,
    /// The number of the promise in the documentation of [`Backend`](crate::Backend).
    pub promise: u8,
    check: fn(&mut dyn Lab) -> Verdict,
}

/// What a check that did not panic found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The promise is kept.
    Passed,
    /// The backend says that it cannot express what the check is about.
    Skipped,
}

impl Check {
    /// Runs the check on a data plane that was reset.
    ///
    /// # Panics
    /// When the promise is broken.
    pub fn run(&self, lab: &mut dyn Lab) -> Verdict {
        lab.reset();
        (self.check)(lab)
    }
}

/// Runs every check. Returns the names of those that were skipped.
///
/// # Panics
/// At the first promise that is broken.
pub fn run(lab: &mut dyn Lab) -> Vec<&'static str> {
    let skipped = CHECKS.iter().filter(|check| check.run(lab) == Verdict::Skipped);
    skipped.map(|check| check.name).collect()
}

/// The check of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn check(name: &str) -> &'static Check {
    CHECKS.iter().find(|check| check.name == name).expect("a check has this name")
}

macro_rules! checks {
    ($($name:ident: $promise:literal, $check:path;)*) => {
        /// Everything that is checked.
        pub const CHECKS: &[Check] =
            &[$(Check { name: stringify!($name), promise: $promise, check: $check }),*];
    };
}

checks! {
    resync_to_nothing_is_fine: 1, resync::to_nothing;
    resync_makes_exactly_what_is_wanted: 1, resync::makes_what_is_wanted;
    resync_adopts_what_a_process_before_left: 1, resync::adopts;
    resync_mends_what_differs: 1, resync::mends;
    resync_removes_what_is_not_wanted: 1, resync::removes;
    resync_twice_changes_nothing: 2, resync::twice;
    audit_finds_nothing_wrong_where_nothing_is: 2, resync::audit;
    apply_adds: 2, apply::adds;
    apply_changes_addresses_of_real_servers: 2, apply::changes_addresses;
    apply_changes_ports_of_real_servers: 2, apply::changes_ports;
    apply_removes: 2, apply::removes;
    one_delta_adds_changes_and_removes: 2, apply::does_all_at_once;
    applying_twice_changes_nothing: 2, apply::twice;
    removing_what_is_not_there_is_success: 2, apply::removes_the_absent;
    what_was_removed_can_be_added_again: 3, apply::adds_again;
    a_server_scales_to_zero_and_back: 3, apply::scales_to_zero;
    what_is_not_named_is_left_alone: 7, apply::leaves_others_alone;
    many_real_servers_are_served: 4, apply::many_real_servers;
    many_virtual_servers_are_served: 4, apply::many_virtual_servers;
    maintenance_takes_nothing_that_is_wanted: 6, apply::survives_maintenance;
    cleanup_removes_everything: 7, cleanup::removes_everything;
    cleanup_twice_is_fine: 2, cleanup::twice;
    cleanup_works_on_a_fresh_value: 7, cleanup::on_a_fresh_value;
    work_goes_on_after_a_cleanup: 1, cleanup::can_be_followed_by_work;
    each_family_is_served: 2, features::families;
    protocols_share_address_and_port: 2, features::protocols;
    each_kind_of_frontend_is_served: 2, features::frontends;
    each_scheduler_is_set: 2, features::schedulers;
    scheduler_flags_are_set: 2, features::scheduler_flags;
    weights_are_set: 2, features::weights;
    session_affinity_comes_changes_and_goes: 2, features::session_affinity;
    source_ranges_come_and_go: 2, features::source_ranges;
    audiences_are_kept_apart: 2, features::split_audiences;
}

/// Makes a test of each check of [`conformance`](crate::conformance). Takes an expression that
/// makes a [`Lab`](crate::conformance::Lab), then the attributes that each test should have.
///
/// ```
/// # use proxy_core::Inspect;
/// # use proxy_core::memory::MemoryBackend;
/// # #[derive(Default)]
/// # struct MemoryLab(MemoryBackend);
/// # impl proxy_core::conformance::Lab for MemoryLab {
/// #     fn open(&mut self) -> Box<dyn Inspect + '_> { Box::new(&mut self.0) }
/// #     fn reset(&mut self) { *self = Self::default(); }
/// # }
/// proxy_core::conformance_tests!(MemoryLab::default(), #[ignore = "needs a data plane"]);
/// ```
#[macro_export]
macro_rules! conformance_tests {
    (@each $attributes:tt $lab:expr; $($name:ident)*) => {
        $($crate::conformance_tests!(@one $attributes $lab; $name);)*
    };
    (@one ($(#[$attribute:meta])*) $lab:expr; $name:ident) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            let verdict = $crate::conformance::check(stringify!($name)).run(&mut $lab);
            println!("{}: {verdict:?}", stringify!($name));
        }
    };
    ($lab:expr $(, #[$attribute:meta])*) => {
        $crate::conformance_tests!(@each ($(#[$attribute])*) $lab;
            resync_to_nothing_is_fine
            resync_makes_exactly_what_is_wanted
            resync_adopts_what_a_process_before_left
            resync_mends_what_differs
            resync_removes_what_is_not_wanted
            resync_twice_changes_nothing
            audit_finds_nothing_wrong_where_nothing_is
            apply_adds
            apply_changes_addresses_of_real_servers
            apply_changes_ports_of_real_servers
            apply_removes
            one_delta_adds_changes_and_removes
            applying_twice_changes_nothing
            removing_what_is_not_there_is_success
            what_was_removed_can_be_added_again
            a_server_scales_to_zero_and_back
            what_is_not_named_is_left_alone
            many_real_servers_are_served
            many_virtual_servers_are_served
            maintenance_takes_nothing_that_is_wanted
            cleanup_removes_everything
            cleanup_twice_is_fine
            cleanup_works_on_a_fresh_value
            work_goes_on_after_a_cleanup
            each_family_is_served
            protocols_share_address_and_port
            each_kind_of_frontend_is_served
            each_scheduler_is_set
            scheduler_flags_are_set
            weights_are_set
            session_affinity_comes_changes_and_goes
            source_ranges_come_and_go
            audiences_are_kept_apart
        );
    };
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
