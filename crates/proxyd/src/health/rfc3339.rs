//! Times as RFC 3339 has them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// In UTC, with as many digits of a second as it takes, up to nine. Times before 1970 are shown as
/// its beginning; no clock of a node is there.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match since.subsec_nanos() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Year, month and day, so many days after 1970-01-01.
///
/// Years are counted from March, so that a leap day is the last of its year; see
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
const fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, nanos: u32, expected: &str) {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::new(seconds, nanos)), expected);
    }

    #[test]
    fn times_are_shown_in_utc_with_no_more_digits_than_it_takes() {
        check(0, 0, "1970-01-01T00:00:00Z");
        check(1_767_323_045, 678_000_000, "2026-01-02T03:04:05.678Z");
        check(1_767_323_045, 1, "2026-01-02T03:04:05.000000001Z");
        check(951_782_399, 0, "2000-02-28T23:59:59Z");
        check(951_782_400, 0, "2000-02-29T00:00:00Z");
        check(951_868_800, 0, "2000-03-01T00:00:00Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00Z");
        check(1_735_689_599, 0, "2024-12-31T23:59:59Z");
    }
}
