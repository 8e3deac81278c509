//! A place in the file system to be asked at, by root of this machine only.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tokio::net::UnixListener;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::place::RETRY;
use crate::config::BindFailure;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// A Unix socket's path, with the socket if it could be had at once.
#[derive(Debug)]
pub(crate) struct LocalPlace {
    path: PathBuf,
    listener: Option<std::os::unix::net::UnixListener>,
    /// This was said.
    said: Option<String>,
}

impl LocalPlace {
    /// Takes `path`: makes its directory, which is root's alone, and replaces the socket of a
    /// process that is dead.
    ///
    /// # Errors
    /// When it cannot be had and that is fatal; of kind `AddrInUse` if another process answers
    /// there.
    pub(crate) fn take(path: &Path, failure: BindFailure) -> io::Result<Self> {
        let mut place = Self { path: path.to_owned(), listener: None, said: None };
        match (listener(path), failure) {
            (Ok(listener), _) => place.listener = Some(listener),
            (Err(error), BindFailure::Fatal) => {
                return Err(io::Error::new(error.kind(), words(path, &error)));
            }
            (Err(error), BindFailure::Retry) => place.say(&error),
        }
        Ok(place)
    }

    /// Listens, as soon as that is possible.
    pub(crate) async fn listen(mut self) -> UnixListener {
        loop {
            let listener = self.listener.take().map_or_else(|| listener(&self.path), Ok);
            match listener.and_then(UnixListener::from_std) {
                Ok(listener) => {
                    debug!(path = %self.path.display(), "answering proxyd status");
                    return listener;
                }
                Err(error) => self.say(&error),
            }
            sleep(RETRY).await;
        }
    }

    /// Says why nobody is answered, unless that was said.
    fn say(&mut self, error: &io::Error) {
        let words = words(&self.path, error);
        if self.said.as_ref() != Some(&words) {
            if error.kind() == io::ErrorKind::AddrInUse {
                error!("{words}; tried again every {RETRY:?}");
            } else {
                warn!("{words}; tried again every {RETRY:?}");
            }
            self.said = Some(words);
        }
    }
}

fn words(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    if error.kind() == io::ErrorKind::AddrInUse {
        format!(
            "another proxyd answers at {path}: stop it, for two of them would undo each other's \
             work; if it serves another network namespace, give --socket another path"
        )
    } else {
        format!(
            "`proxyd status` is not answered at {path}: {error}; make its directory writable, or \
             give --socket another path, or an empty one for none"
        )
    }
}

fn listener(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // Two that start at once do not take each other's socket for a dead one's.
    let turn = File::open(directory)?;
    flock(&turn, FlockOperation::LockExclusive)?;
    if let Ok(there) = fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is another file"));
        }
        match UnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // So many wait that it lives.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            Err(error) => return Err(error),
        }
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file gets these permissions when it is made: it is never open to others.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::manifest::testing::Scratch;

    #[test]
    fn a_dead_ones_socket_is_replaced_and_a_living_ones_is_not() {
        let scratch = Scratch::new();
        let path = scratch.path().join("run/proxyd.sock");
        let living = LocalPlace::take(&path, BindFailure::Fatal).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

        let error = LocalPlace::take(&path, BindFailure::Fatal).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("another proxyd answers at"), "{error}");
        assert!(UnixStream::connect(&path).is_ok(), "it is left alone");
        let waiting = LocalPlace::take(&path, BindFailure::Retry).unwrap();
        assert!(waiting.listener.is_none());

        drop(living);
        assert!(path.exists(), "a process that dies removes nothing");
        let next = LocalPlace::take(&path, BindFailure::Fatal).unwrap();
        assert!(next.listener.is_some());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let scratch = Scratch::new();
        scratch.write("file", "text");
        let path = scratch.path().join("file");
        let error = LocalPlace::take(&path, BindFailure::Fatal).unwrap_err();
        assert!(error.to_string().contains("there is another file"), "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), "text");
    }
}
