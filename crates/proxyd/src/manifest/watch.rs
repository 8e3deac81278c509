//! Says when a directory may have changed.
//!
//! inotify(7) tells at once, but not everything: nothing about files that links lead to, nothing
//! on some network file systems, and nothing about a directory that was replaced by another. So
//! the watcher also wakes up now and then for no known reason. A false alarm costs a look at the
//! directory; a change missed for good would cost traffic.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// How often the directory is checked for having been replaced, and how often it is looked at
/// while it cannot be watched.
const CHECK: Duration = Duration::from_secs(1);

/// How often there is an alarm without a reason.
const UNHEARD: Duration = Duration::from_secs(10);

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The directory may have changed, and is quiet again.
    Changed,
    /// Time is up.
    Timeout,
}

/// Watches one directory.
#[derive(Debug)]
pub(crate) struct Watcher {
    directory: PathBuf,
    settle: Duration,
    watch: Option<Watch>,
    last_alarm: Instant,
}

/// A watch on a directory that existed.
#[derive(Debug)]
struct Watch {
    inotify: OwnedFd,
    /// Device and inode: which directory it is.
    identity: (u64, u64),
}

/// What was heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Change,
    /// The directory is not there any more.
    End,
}

impl Watcher {
    /// Watches from now on. An alarm is given once nothing more was heard for `settle`, so that a
    /// change in several steps is one change. The directory need not exist yet.
    pub(crate) fn new(directory: impl Into<PathBuf>, settle: Duration) -> Self {
        let directory = directory.into();
        let watch = Watch::open(&directory).ok();
        Self { directory, settle, watch, last_alarm: Instant::now() }
    }

    /// Waits until the directory may have changed, at most for `timeout`; time for settling is
    /// added to that. What happens between two calls is not lost.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Wake {
        let deadline = Instant::now() + timeout;
        loop {
            let now = Instant::now();
            let next = (deadline - now).min(self.next_alarm().saturating_duration_since(now));
            let heard = match &self.watch {
                Some(watch) => watch.listen(next.min(CHECK)),
                None => {
                    thread::sleep(next.min(CHECK));
                    Heard::Nothing
                }
            };
            if heard == Heard::Change {
                self.settle();
            }
            let alarm =
                heard != Heard::Nothing || self.rewatch() || Instant::now() >= self.next_alarm();
            if heard == Heard::End {
                self.watch = Watch::open(&self.directory).ok();
            }
            if alarm {
                self.last_alarm = Instant::now();
                return Wake::Changed;
            }
            if Instant::now() >= deadline {
                return Wake::Timeout;
            }
        }
    }

    /// When an alarm is due even if nothing is heard.
    fn next_alarm(&self) -> Instant {
        self.last_alarm + if self.watch.is_some() { UNHEARD } else { CHECK }
    }

    /// Waits until nothing is heard for a while. A writer that never rests is not waited for.
    fn settle(&self) {
        let limit = Instant::now() + 20 * self.settle;
        while let Some(watch) = &self.watch
            && watch.listen(self.settle) == Heard::Change
            && Instant::now() < limit
        {}
    }

    /// Watches what is at the path now, if that is not what is watched. Whether it did.
    fn rewatch(&mut self) -> bool {
        let watched = self.watch.as_ref().map(|watch| watch.identity);
        let there = identity(&self.directory).ok();
        if watched == there {
            return false;
        }
        self.watch = Watch::open(&self.directory).ok();
        true
    }
}

impl Watch {
    fn open(directory: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let flags = WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MODIFY
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, directory, flags)?;
        Ok(Self { inotify, identity: identity(directory)? })
    }

    /// Waits for something to happen, and takes note of all that did.
    fn listen(&self, timeout: Duration) -> Heard {
        let timeout = Timespec::try_from(timeout).ok();
        let mut ready = [PollFd::new(&self.inotify, PollFlags::IN)];
        if !matches!(poll(&mut ready, timeout.as_ref()), Ok(1..)) {
            return Heard::Nothing;
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut heard = Heard::Nothing;
        let end = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED;
        while let Ok(event) = events.next() {
            match event.events().intersects(end | ReadFlags::UNMOUNT) {
                true => return Heard::End,
                false => heard = Heard::Change,
            }
        }
        heard
    }
}

fn identity(directory: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(directory).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::testing::Scratch;
    use super::*;

    const SETTLE: Duration = Duration::from_millis(20);
    const SOON: Duration = Duration::from_secs(5);
    const QUIET: Duration = Duration::from_millis(60);

    #[track_caller]
    fn changed(watcher: &mut Watcher) {
        let begin = Instant::now();
        assert_eq!(watcher.wait(SOON), Wake::Changed);
        assert!(begin.elapsed() < SOON, "it was slow to notice");
        assert_eq!(watcher.wait(QUIET), Wake::Timeout, "one change is one alarm");
    }

    #[test]
    fn a_change_in_several_steps_is_one_alarm() {
        let directory = Scratch::new();
        let mut watcher = Watcher::new(directory.path(), SETTLE);
        assert_eq!(watcher.wait(QUIET), Wake::Timeout);
        directory.write("a.yaml", "one");
        directory.write("b.yaml", "two");
        directory.write_over("a.yaml", "three");
        changed(&mut watcher);
        directory.remove("a.yaml");
        changed(&mut watcher);
    }

    #[test]
    fn a_slow_writer_is_waited_for() {
        let directory = Scratch::new();
        let mut watcher = Watcher::new(directory.path(), Duration::from_millis(200));
        thread::scope(|scope| {
            scope.spawn(|| {
                for text in ["a", "ab", "abc"] {
                    directory.write("a.yaml", text);
                    thread::sleep(Duration::from_millis(30));
                }
            });
            assert_eq!(watcher.wait(SOON), Wake::Changed);
            assert_eq!(fs::read_to_string(directory.path().join("a.yaml")).unwrap(), "abc");
        });
    }

    #[test]
    fn a_swapped_link_is_noticed() {
        let directory = Scratch::new();
        let path = |name: &str| directory.path().join(name);
        symlink("..v1", path("..data")).unwrap();
        let mut watcher = Watcher::new(directory.path(), SETTLE);
        symlink("..v2", path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        changed(&mut watcher);
    }

    #[test]
    fn a_directory_removed_and_made_again_is_watched_again() {
        let parent = Scratch::new();
        let path = parent.path().join("manifests");
        let mut watcher = Watcher::new(&path, SETTLE);
        fs::create_dir(&path).unwrap();
        changed(&mut watcher);
        fs::remove_dir(&path).unwrap();
        assert_eq!(watcher.wait(SOON), Wake::Changed);
        fs::create_dir(&path).unwrap();
        changed(&mut watcher);
        fs::write(path.join("a.yaml"), "").unwrap();
        changed(&mut watcher);
    }

    #[test]
    fn a_directory_replaced_by_another_is_watched() {
        let parent = Scratch::new();
        let path = |name: &str| parent.path().join(name);
        fs::create_dir(path("v1")).unwrap();
        fs::create_dir(path("v2")).unwrap();
        symlink("v1", path("now")).unwrap();
        let mut watcher = Watcher::new(path("now"), SETTLE);
        symlink("v2", path("next")).unwrap();
        fs::rename(path("next"), path("now")).unwrap();
        changed(&mut watcher);
        fs::write(path("v2").join("a.yaml"), "").unwrap();
        changed(&mut watcher);
    }
}
