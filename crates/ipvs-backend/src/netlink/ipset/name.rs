//! Names of sets.

use std::fmt;

/// The name of a set: 1 to 31 bytes without NUL (`IPSET_MAXNAMELEN` less its terminator).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName([u8; 32]);

/// A set name that is empty, longer than 31 bytes, or holds a NUL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no set name: it must have 1 to 31 bytes and no NUL")]
pub struct InvalidSetName(pub String);

impl SetName {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 31;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        // Made from a `str` only, and never cut inside a character.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl TryFrom<&str> for SetName {
    type Error = InvalidSetName;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        if name.is_empty() || name.len() > Self::MAX_LENGTH || name.contains('\0') {
            return Err(InvalidSetName(name.to_owned()));
        }
        let mut bytes = [0; 32];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self(bytes))
    }
}

impl std::str::FromStr for SetName {
    type Err = InvalidSetName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::try_from(name)
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_the_kernel() {
        let longest = "KUBE-6-LOAD-BALANCER-SOURCE-CID";
        assert_eq!(SetName::try_from(longest).map(|name| name.to_string()), Ok(longest.to_owned()));
        for name in ["", "KUBE-6-LOAD-BALANCER-SOURCE-CIDR", "a\0b"] {
            assert_eq!(SetName::try_from(name), Err(InvalidSetName(name.to_owned())));
        }
    }

    #[test]
    fn names_sort_as_text() {
        let name = |text| SetName::try_from(text).expect("short");
        assert!(name("a") < name("aa") && name("aa") < name("b"));
    }
}
