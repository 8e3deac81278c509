//! Times as RFC 3339 has them, which is how the API writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The moment that a text such as `2026-01-02T03:04:05.678Z` or `2026-01-02T04:04:05+01:00` names;
/// `None` if it names none, or one before 1970. Digits beyond nanoseconds are cut off.
pub(super) fn time(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let split = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(split);
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !is_time || !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = u64::try_from(seconds - offset(zone)?).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds(fraction)?))
}

/// Three numbers of so many digits each, with `separator` between them.
fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (number, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *number = digits(part)?.into();
    }
    parts.next().is_none().then_some(found)
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits(&format!("{fraction:0<9}")[..9]))?
}

/// How far local time is ahead of UTC, in seconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return (zone.len() == 1).then_some(0),
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let is_offset = hours.len() == 2 && minutes.len() == 2;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (is_offset && hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that a leap day is the last of
/// its year; see <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds_and_nanoseconds: Option<(u64, u32)>) {
        let since = time(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap());
        let expected =
            seconds_and_nanoseconds.map(|(seconds, nanos)| Duration::new(seconds, nanos));
        assert_eq!(since, expected, "{text:?}");
    }

    /// The expected values are what `date -u +%s -d TIME` says.
    #[test]
    fn times_are_read_as_the_api_writes_them() {
        check("1970-01-01T00:00:00Z", Some((0, 0)));
        check("2026-01-02T03:04:05Z", Some((1_767_323_045, 0)));
        check("2026-01-02T03:04:05.678Z", Some((1_767_323_045, 678_000_000)));
        check("2026-01-02T03:04:05.123456789123Z", Some((1_767_323_045, 123_456_789)));
        check("2026-01-02T04:34:05+01:30", Some((1_767_323_045, 0)));
        check("2026-01-01T19:04:05-08:00", Some((1_767_323_045, 0)));
        check("2024-02-29T12:00:00Z", Some((1_709_208_000, 0)));
        check("2100-03-01T00:00:00Z", Some((4_107_542_400, 0)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for wrong in [
            "",
            "now",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05Z",
            "2026-1-2T03:04:05Z",
            "2026-13-02T03:04:05Z",
            "2025-02-29T03:04:05Z",
            "2100-02-29T03:04:05Z",
            "2026-01-00T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05.xZ",
            "2026-01-02T03:04:05Zulu",
            "2026-01-02T03:04:05+1:00",
            "2026-01-02T03:04:05+25:00",
            "2026-01-02T03:04:05+é",
            "+026-01-02T03:04:05Z",
            "1969-12-31T23:59:59Z",
        ] {
            check(wrong, None);
        }
    }
}
