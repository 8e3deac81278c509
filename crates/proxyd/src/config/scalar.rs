//! Values that are written in a notation of their own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proxy_core::api::parse_duration;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A duration as Go writes and reads it: `1h2m3.5s`, `300ms`, `-1s`, `0`. In nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GoDuration(i64);

/// A text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration; write numbers with units (h, m, s, ms, us, ns), as 30s or 1h30m")]
pub(crate) struct InvalidDuration;

impl GoDuration {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn from_secs(seconds: u32) -> Self {
        Self(seconds as i64 * 1_000_000_000)
    }

    pub(crate) fn new(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// `None` below zero.
    pub(crate) fn get(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    /// As Go's `time.ParseDuration`.
    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let (sign, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let magnitude = parse_duration(magnitude).ok_or(InvalidDuration)?;
        Ok(Self(sign * Self::new(magnitude).0))
    }
}

impl fmt::Display for GoDuration {
    /// As Go's `Duration.String`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanoseconds {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanoseconds}ns"),
            1_000..1_000_000 => write!(f, "{}µs", fraction_of(nanoseconds, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", fraction_of(nanoseconds, 1_000_000)),
            _ => {
                let minutes = nanoseconds / 60_000_000_000;
                match (minutes / 60, minutes % 60) {
                    (0, 0) => {}
                    (0, minutes) => write!(f, "{minutes}m")?,
                    (hours, minutes) => write!(f, "{hours}h{minutes}m")?,
                }
                write!(f, "{}s", fraction_of(nanoseconds % 60_000_000_000, 1_000_000_000))
            }
        }
    }
}

/// A number of `unit`s with as many decimals as it takes.
fn fraction_of(nanoseconds: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", nanoseconds / unit, nanoseconds % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Notation {
            text: |text| text.parse().ok(),
            // A bare 0 is a number to YAML.
            number: |number| (number == 0).then_some(Self::ZERO),
            expected: "a duration with units (h, m, s, ms, us, ns), as 30s or 1h30m",
        })
    }
}

/// `logging.flushFrequency`: a duration, or a number of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlushFrequency(pub(crate) GoDuration);

impl Serialize for FlushFrequency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FlushFrequency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Notation {
            text: |text| text.parse().ok().map(Self),
            number: |number| i64::try_from(number).ok().map(|number| Self(GoDuration(number))),
            expected: "a duration as 5s, or a number of nanoseconds",
        })
    }
}

/// Bits of a packet's mark: a number, or a text as `0x2000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkBits(pub(crate) u32);

impl Serialize for MarkBits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for MarkBits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Notation {
            text: |text| match text.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok().map(Self),
                None => text.parse().ok().map(Self),
            },
            number: |number| u32::try_from(number).ok().map(Self),
            expected: "32 bits, as 0x2000 or 8192",
        })
    }
}

/// A quantity of Kubernetes, kept as it is written: nothing here depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Quantity(pub(crate) String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Notation {
            text: |text| Some(Self(text.to_owned())),
            number: |number| Some(Self(number.to_string())),
            expected: "a quantity, as 64Ki",
        })
    }
}

/// Reads a scalar that may be a text or a whole number.
struct Notation<T> {
    text: fn(&str) -> Option<T>,
    number: fn(i128) -> Option<T>,
    expected: &'static str,
}

impl<T> Visitor<'_> for Notation<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        (self.number)(number.into())
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.number)(number.into())
            .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}
