//! All metrics as text, read anew at most once a second however many ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex as Turns;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::statistics::Statistics;

/// What was read so recently is answered again.
const FRESH: Duration = Duration::from_secs(1);

/// Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    registry: Arc<Registry>,
    statistics: Arc<Mutex<Statistics>>,
    /// Who reads has the lock; the others wait, and get the same.
    last: Arc<Turns<Option<(Instant, Bytes)>>>,
}

impl Exposition {
    pub(super) fn new(registry: Registry, statistics: Arc<Mutex<Statistics>>) -> Self {
        Self { registry: Arc::new(registry), statistics, last: Arc::default() }
    }

    /// The text of now, or of a moment ago. Reading goes on to its end even if the client does not
    /// wait for it. `None` if that failed, which it does only by a mistake of ours.
    pub(crate) async fn text(&self) -> Option<Bytes> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some((read, text)) = &*last
            && read.elapsed() < FRESH
        {
            return Some(text.clone());
        }
        let this = self.clone();
        let rendered = spawn_blocking(move || {
            let text = Bytes::from(this.render());
            *last = Some((Instant::now(), text.clone()));
            text
        });
        rendered.await.inspect_err(|error| warn!("metrics cannot be told: {error}")).ok()
    }

    /// Reads the kernel, and writes everything down.
    pub(super) fn render(&self) -> String {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).read();
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("a String takes all");
        text
    }
}
