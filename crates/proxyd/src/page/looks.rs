//! The latest look at everything, and those before it in numbers. Who looks while another look is under
//! way gets what that finds, or why it found nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::sync::watch::{Receiver, channel};
use tokio::time::sleep;

use super::history::History;
use crate::status::{Desk, Failed, Scope, Status};

/// What was known so recently is shown again, to however many.
const FRESH: Duration = Duration::from_secs(2);
/// What nobody looked at for so long is forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, Arc<Status>)>,
    history: Arc<History>,
    under_way: Option<Receiver<Option<Found>>>,
}

/// What a look found.
pub(super) type Found = Result<(Arc<Status>, Arc<History>), Failed>;

impl Looks {
    /// What was passed so far.
    pub(super) fn history(&self) -> Arc<History> {
        Arc::clone(&self.state().history)
    }

    /// What there is now.
    pub(super) async fn everything(&self, desk: &Desk) -> Found {
        let mut look = {
            let mut state = self.state();
            if let Some((read, status)) = &state.last
                && read.elapsed() < FRESH
            {
                return Ok((Arc::clone(status), Arc::clone(&state.history)));
            }
            // One that was broken off has nobody who sends.
            match state.under_way.clone().filter(|look| look.has_changed().is_ok()) {
                Some(look) => look,
                None => state.under_way.insert(self.begin(desk.clone())).clone(),
            }
        };
        let broken_off =
            || (StatusCode::INTERNAL_SERVER_ERROR, "the look was broken off".to_owned());
        let found = look.wait_for(Option::is_some).await.map_err(|_| broken_off())?;
        found.clone().unwrap_or_else(|| Err(broken_off()))
    }

    /// Begins a look, which ends whether or not those wait who wanted it.
    fn begin(&self, desk: Desk) -> Receiver<Option<Found>> {
        let (sender, look) = channel(None);
        let looks = self.clone();
        tokio::spawn(async move {
            let status = desk.status(Scope::Everything).await;
            let found = looks.end(status.map(Arc::new));
            sender.send_replace(Some(found));
            sleep(FORGET).await;
            looks.forget();
        });
        look
    }

    fn end(&self, status: Result<Arc<Status>, Failed>) -> Found {
        let mut state = self.state();
        state.under_way = None;
        let status = status?;
        Arc::make_mut(&mut state.history).note(&status);
        state.last = Some((Instant::now(), Arc::clone(&status)));
        Ok((status, Arc::clone(&state.history)))
    }

    /// What is known of many frontends is not held on to when nobody looks.
    fn forget(&self) {
        let mut state = self.state();
        if state.last.as_ref().is_some_and(|(read, _)| read.elapsed() >= FORGET) {
            (state.last, state.history) = (None, Arc::default());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::runtime::Builder;

    use super::*;
    use crate::status::testing::Scene;

    #[test]
    fn looks_at_the_same_time_and_soon_after_are_one() {
        let scene = Scene::new();
        scene.serve_web();
        scene.in_step();
        let (looks, desk) = (Looks::default(), &scene.desk);
        let all = Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let mut all = join_all((0..24).map(|_| looks.everything(desk))).await;
            all.push(looks.everything(desk).await);
            all
        });
        let (first, _) = all[0].as_ref().unwrap();
        assert!(all.iter().all(|found| Arc::ptr_eq(&found.as_ref().unwrap().0, first)));
        assert_eq!(looks.history().total().len(), 1);
    }

    #[test]
    fn a_look_that_was_broken_off_is_begun_anew() {
        let scene = Scene::new();
        let (looks, desk) = (Looks::default(), &scene.desk);
        let runtime = || Builder::new_current_thread().enable_time().build().unwrap();
        // It ends with its runtime, before anything was found.
        runtime().block_on(async { looks.state().under_way = Some(looks.begin(desk.clone())) });
        assert!(runtime().block_on(looks.everything(desk)).is_ok());
    }
}
