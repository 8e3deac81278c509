use std::time::Duration;

use crate::config::scalar::GoDuration;

#[test]
fn durations_are_read_and_written_as_go_does() {
    for (text, nanoseconds, written) in [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("-0", 0, "0s"),
        ("30s", 30_000_000_000, "30s"),
        ("1h2m3.5s", 3_723_500_000_000, "1h2m3.5s"),
        ("15m", 900_000_000_000, "15m0s"),
        ("24h", 86_400_000_000_000, "24h0m0s"),
        ("90s", 90_000_000_000, "1m30s"),
        ("1m1m", 120_000_000_000, "2m0s"),
        ("+.5s", 500_000_000, "500ms"),
        ("1.s", 1_000_000_000, "1s"),
        ("1.25ms", 1_250_000, "1.25ms"),
        ("1500us", 1_500_000, "1.5ms"),
        ("1.5µs", 1_500, "1.5µs"),
        ("7ns", 7, "7ns"),
        ("1.0000000000000001s", 1_000_000_000, "1s"),
        ("2540400h10m10s", 9_145_440_610_000_000_000, "2540400h10m10s"),
    ] {
        let duration: GoDuration = text.parse().unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(duration.get(), Some(Duration::from_nanos(nanoseconds)), "{text}");
        assert_eq!(duration.to_string(), written, "{text}");
        assert_eq!(written.parse(), Ok(duration), "{text}");
    }
    let negative: GoDuration = "-1m30.5s".parse().unwrap();
    assert_eq!((negative.get(), negative.to_string()), (None, "-1m30.5s".to_owned()));
}

#[test]
fn what_go_refuses_is_no_duration() {
    for text in [
        "",
        "-",
        "+",
        "30",
        "s",
        ".",
        ".s",
        "1x",
        "1 s",
        " 1s",
        "1s ",
        "1d",
        "--1s",
        "1S",
        "1hs",
        "3000000h",
        "99999999999999999999s",
        "1e3s",
        "∞s",
    ] {
        assert!(text.parse::<GoDuration>().is_err(), "{text:?}");
    }
}
