//! A connection that can be made to fail: it stalls, is slow, or is reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// How often a connection that may not go on looks whether it may.
const NAP: Duration = Duration::from_millis(10);

/// What all connections of a server have in common.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// No byte goes in or out.
    pub(super) stalled: AtomicBool,
    /// Bytes a second that go out on one connection; 0 is as fast as possible.
    pub(super) rate: AtomicU64,
    /// A connection that is closed now is reset, not ended.
    pub(super) resetting: AtomicBool,
    /// Connections that are open.
    pub(super) open: AtomicUsize,
    /// Bytes that went out.
    pub(super) sent: AtomicU64,
    /// When the last of them began to go out: nanoseconds since 1970.
    sent_at: AtomicU64,
}

impl Lines {
    /// When bytes last began to go out, on whichever connection.
    pub(super) fn sent_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.sent_at.load(Ordering::Relaxed))
    }

    fn sends(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.sent_at.store(nanoseconds, Ordering::Relaxed);
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    lines: Arc<Lines>,
    nap: Option<Pin<Box<Sleep>>>,
    /// When the time for `allowed` bytes began.
    since: Instant,
    allowed: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, lines: Arc<Lines>) -> Self {
        lines.open.fetch_add(1, Ordering::Relaxed);
        Self { stream, lines, nap: None, since: Instant::now(), allowed: 0 }
    }

    fn poll_unstalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.lines.stalled.load(Ordering::Relaxed) {
            ready!(self.poll_nap(context));
        }
        Poll::Ready(())
    }

    /// How many bytes of `length` may go out.
    fn poll_allowed(&mut self, context: &mut Context<'_>, length: usize) -> Poll<usize> {
        ready!(self.poll_unstalled(context));
        loop {
            let rate = self.lines.rate.load(Ordering::Relaxed);
            if rate == 0 {
                return Poll::Ready(length);
            }
            if self.since.elapsed() >= NAP {
                self.since = Instant::now();
                self.allowed = usize::try_from(rate / 100).unwrap_or(usize::MAX).max(1);
            }
            if self.allowed > 0 {
                return Poll::Ready(length.min(self.allowed));
            }
            ready!(self.poll_nap(context));
        }
    }

    fn poll_nap(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let nap = self.nap.get_or_insert_with(|| Box::pin(sleep(NAP)));
        ready!(nap.as_mut().poll(context));
        self.nap = None;
        Poll::Ready(())
    }

    fn sent(&mut self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.allowed = self.allowed.saturating_sub(*count);
            self.lines.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.lines.resetting.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
        self.lines.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_unstalled(context));
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(self.poll_allowed(context, bytes.len()));
        self.lines.sends();
        let result = Pin::new(&mut self.stream).poll_write(context, &bytes[..length]);
        self.sent(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        if ready!(self.poll_allowed(context, length)) < length {
            let first = buffers.iter().find(|buffer| !buffer.is_empty());
            return self.poll_write(context, first.map_or(&[], |buffer| buffer));
        }
        self.lines.sends();
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.sent(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
