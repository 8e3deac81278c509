//! An error number of the kernel, kept as a number so that callers can match on it.

use std::{fmt, io};

/// An error number (`include/uapi/asm-generic/errno-base.h` and `errno.h`), always positive.
///
/// Unlike [`io::Error`] it can be copied and compared; it converts into one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

impl Errno {
    /// Operation not permitted: `CAP_NET_ADMIN` is missing.
    pub const PERM: Self = Self(1);
    /// No such object.
    pub const NOENT: Self = Self(2);
    /// No such process; the routing code's word for "no such route".
    pub const SRCH: Self = Self(3);
    /// Out of memory.
    pub const NOMEM: Self = Self(12);
    /// The object is in use, or a dump is already running on this socket.
    pub const BUSY: Self = Self(16);
    /// The object is already there.
    pub const EXIST: Self = Self(17);
    /// No such device.
    pub const NODEV: Self = Self(19);
    /// An argument the kernel does not accept.
    pub const INVAL: Self = Self(22);
    /// No space left: the kernel's word for a full table.
    pub const NOSPC: Self = Self(28);
    /// The operation or the protocol is not supported by this kernel.
    pub const OPNOTSUPP: Self = Self(95);
    /// The address cannot be assigned here; for an address deletion "no such address".
    pub const ADDRNOTAVAIL: Self = Self(99);
    /// The network is unreachable.
    pub const NETUNREACH: Self = Self(101);
    /// The receive buffer overflowed and replies were lost.
    pub const NOBUFS: Self = Self(105);
    /// It took too long.
    pub const TIMEDOUT: Self = Self(110);

    /// The error with this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number, positive.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}
