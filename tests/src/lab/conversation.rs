//! A client that keeps a connection and goes on talking.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Answer, Client, Refusal, ask_over};

/// One connection that exchanges a line every `PAUSE`, in the background.
#[derive(Debug)]
pub struct Conversation {
    partner: Answer,
    stop: Arc<AtomicBool>,
    exchanges: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(), Refusal>>,
}

/// Between two lines.
const PAUSE: Duration = Duration::from_millis(50);

impl Conversation {
    /// Opens a connection and asks for the first time.
    ///
    /// # Errors
    /// When it is not accepted or not answered.
    pub fn begin(client: Client<'_>, target: SocketAddr) -> Result<Self, Refusal> {
        let connection = client.connect(target)?;
        let partner = ask_over(&connection)?;
        let stop = Arc::new(AtomicBool::new(false));
        let exchanges = Arc::new(AtomicUsize::new(1));
        let thread = {
            let (partner, stop, exchanges) = (partner.clone(), stop.clone(), exchanges.clone());
            thread::spawn(move || talk(&connection, &partner, &stop, &exchanges))
        };
        Ok(Self { partner, stop, exchanges, thread })
    }

    /// Who answers, and the client's address as it sees it.
    #[must_use]
    pub const fn partner(&self) -> &Answer {
        &self.partner
    }

    /// How many lines were answered so far.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// Whether it goes on.
    #[must_use]
    pub fn is_going_on(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends it. Returns how many lines were answered.
    ///
    /// # Errors
    /// When it ended by itself before, with why.
    ///
    /// # Panics
    /// When the thread that talks panicked.
    pub fn stop(self) -> Result<usize, Refusal> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the thread that talks does not panic")?;
        Ok(self.exchanges.load(Ordering::Relaxed))
    }
}

fn talk(
    connection: &TcpStream,
    partner: &Answer,
    stop: &AtomicBool,
    exchanges: &AtomicUsize,
) -> Result<(), Refusal> {
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
        // Another server, or another source, cannot be on the same connection.
        if ask_over(connection)? != *partner {
            return Err(Refusal::Other(io::ErrorKind::InvalidData));
        }
        exchanges.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
