//! Why a set request was refused.

use crate::netlink::Errno;

/// A refusal by the ipset code of the kernel (`enum ipset_errno` of `ip_set.h`), or an errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// `ENOENT`: there is no set of that name.
    #[error("no such set")]
    Missing,
    /// `IPSET_ERR_PROTOCOL` (4097): the kernel cannot make sense of the request or entry. An
    /// entry with an address of the other family than the set's is refused like this.
    #[error("the kernel does not understand the entry")]
    Malformed,
    /// `IPSET_ERR_FIND_TYPE` (4098): the kernel has no such set type, or not the revision that
    /// the request needs (marks need one with skbinfo).
    #[error("the kernel does not support this set type")]
    UnknownType,
    /// `IPSET_ERR_MAX_SETS` (4099): the table of sets is full.
    #[error("the kernel's table of sets is full")]
    TooManySets,
    /// `IPSET_ERR_BUSY` (4100): a rule or another set refers to it, so it cannot be destroyed.
    #[error("the set is in use by a kernel component")]
    InUse,
    /// `IPSET_ERR_EXIST_SETNAME2` (4101): the second set of a swap is missing.
    #[error("the second set does not exist")]
    OtherMissing,
    /// `IPSET_ERR_TYPE_MISMATCH` (4102): the two sets of a swap differ in type.
    #[error("the two sets differ in type")]
    TypeMismatch,
    /// `EEXIST` or `IPSET_ERR_EXIST` (4103): a set of that name but with other parameters is there.
    #[error("a set of that name with other parameters exists")]
    Exists,
    /// `IPSET_ERR_INVALID_CIDR` (4104): a prefix length the set does not take, such as 0.
    #[error("the prefix length is not acceptable")]
    InvalidPrefix,
    /// `IPSET_ERR_INVALID_FAMILY` (4106): the type does not know the family.
    #[error("the set type does not support the address family")]
    InvalidFamily,
    /// `IPSET_ERR_REFERENCED` (4108): the set is in use, so it cannot be renamed.
    #[error("the set is referenced")]
    Referenced,
    /// `IPSET_ERR_SKBINFO` (4114): a mark for a set that was created without marks.
    #[error("the set was created without skbinfo")]
    NoSkbinfo,
    /// `IPSET_ERR_HASH_FULL` (4352): the set holds [`SetSpec::max_elements`](super::SetSpec)
    /// members. For a bitmap the same number means a port out of range.
    #[error("the set is full")]
    Full,
    /// The entry's kind is not one the client can put into such a request.
    #[error("the set kind cannot be created by this client")]
    UnsupportedKind,
    /// Another ipset code, above 4096.
    #[error("ipset error {0}")]
    Code(i32),
    /// An ordinary error number.
    #[error(transparent)]
    Errno(Errno),
}

impl SetError {
    /// The error with this number, as a netlink error message carries it (but positive).
    #[must_use]
    pub const fn from_code(code: i32) -> Self {
        match code {
            2 => Self::Missing,
            17 | 4103 => Self::Exists,
            4097 => Self::Malformed,
            4098 => Self::UnknownType,
            4099 => Self::TooManySets,
            4100 => Self::InUse,
            4101 => Self::OtherMissing,
            4102 => Self::TypeMismatch,
            4104 => Self::InvalidPrefix,
            4106 => Self::InvalidFamily,
            4108 => Self::Referenced,
            4114 => Self::NoSkbinfo,
            4352 => Self::Full,
            code if code >= 4096 => Self::Code(code),
            code => Self::Errno(Errno::from_raw(code)),
        }
    }
}
