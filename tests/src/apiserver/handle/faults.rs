//! Faults, by the handle.

use std::sync::atomic::Ordering;

use super::ApiServer;
use crate::apiserver::fault::{Cut, Requests, Telling};
use crate::apiserver::server::Command;
use crate::apiserver::status::Refusal;

impl ApiServer {
    /// Resets all connections that are open now.
    pub fn cut_connections(&self) {
        self.command(Command::Cut);
    }

    /// From now on watches break off after so much; those that said more, at once.
    pub fn cut_watches(&self, requests: Requests, cut: Cut) {
        self.shared.faults().cut_watches(requests, cut);
        self.shared.announce();
    }

    /// From now on some watches say nothing, although they are open.
    pub fn mute_watches(&self, requests: Requests) {
        self.shared.faults().mute(requests);
        self.shared.announce();
    }

    /// Ends all watches that are open now in good order, as when their time is over.
    pub fn end_watches(&self) {
        self.shared.faults().ended += 1;
        self.shared.announce();
    }

    /// Tells all watches that are open now that their revision expired.
    pub fn expire_watches(&self) {
        self.shared.faults().expired += 1;
        self.shared.announce();
    }

    /// From now on watches tell each event once, or twice.
    pub fn tell(&self, telling: Telling) {
        self.shared.faults().telling = telling;
    }

    /// Refuses the next `count` of some requests.
    pub fn refuse_next(&self, count: usize, requests: Requests, refusal: Refusal) {
        self.shared.faults().refuse_next(count, requests, refusal);
    }

    /// Moves no byte on any connection, old or new, until told to go on. None is closed.
    pub fn stall(&self) {
        self.shared.lines.stalled.store(true, Ordering::Relaxed);
    }

    /// Goes on after a stall.
    pub fn go_on(&self) {
        self.shared.lines.stalled.store(false, Ordering::Relaxed);
    }

    /// From now on so many bytes a second go out on each connection; 0: as fast as possible.
    pub fn slow_down(&self, bytes_a_second: u64) {
        self.shared.lines.rate.store(bytes_a_second, Ordering::Relaxed);
    }

    /// Ends all faults: of requests, of watches and of connections.
    pub fn end_faults(&self) {
        self.shared.faults().clear();
        self.go_on();
        self.slow_down(0);
        self.shared.announce();
    }
}
