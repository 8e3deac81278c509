//! The numbers as a table for people. Pure.

use std::collections::BTreeSet;

use super::results::{Reading, Results, Row};

/// What has to be known to read the ratios.
const NOTE: &str = "\
Times in a guest are of its kernel: User-mode Linux has dear system calls and very dear processes, and one
processor that proxyd, the API server's stand-in and the measuring program share. Where proxyd starts a
process or waits for the API server, its ratio to the floor is worse there than on a machine's own kernel.";

/// The whole table.
pub(super) fn render(results: &Results) -> String {
    let mut text = String::new();
    for (name, value) in &results.host {
        text.push_str(&format!("{name:<20} {value}\n"));
    }
    for (name, reading) in &results.machine {
        text.push_str(&format!("guest: {name:<13} {}\n", spread(reading)));
    }
    text.push_str(&format!("\n{NOTE}\n"));
    let programs = columns(results.rows());
    let mut last = String::new();
    for row in results.rows() {
        let run = row.run.to_string();
        if run != last {
            text.push_str(&format!("\n{run:<40}"));
            for program in &programs {
                text.push_str(&format!(" {program:>14}"));
            }
            text.push_str("   proxyd/floor\n");
            last = run;
        }
        text.push_str(&line(row, &programs));
    }
    text
}

/// The floor, proxyd, then others by name.
fn columns(rows: &[Row]) -> Vec<String> {
    let all: BTreeSet<_> = rows.iter().flat_map(|row| row.programs.keys()).collect();
    let own = ["floor", "proxyd"].into_iter().map(str::to_owned);
    let others = all.into_iter().filter(|name| !["floor", "proxyd"].contains(&name.as_str()));
    own.chain(others.cloned()).collect()
}

fn line(row: &Row, programs: &[String]) -> String {
    let mut text = format!("  {:<38}", row.name);
    for program in programs {
        let shown = row.programs.get(program).map_or_else(|| "-".to_owned(), shown);
        text.push_str(&format!(" {shown:>14}"));
    }
    let best = |program: &str| row.programs.get(program).and_then(Reading::best);
    if let (Some(floor), Some(proxyd)) = (best("floor"), best("proxyd"))
        && floor > 0.0
    {
        text.push_str(&format!("   {:>12.2}", proxyd / floor));
    }
    text.trim_end().to_owned() + "\n"
}

fn shown(reading: &Reading) -> String {
    let Some(best) = reading.best() else { return "-".to_owned() };
    let (value, unit) = match &*reading.unit {
        "KiB" => (best / 1024.0, "MiB"),
        "B" => (best / f64::from(1 << 20), "MB"),
        unit => (best, unit),
    };
    match value.fract() == 0.0 && value.abs() < 1e9 && !matches!(unit, "ms" | "MiB" | "MB") {
        true => format!("{value:.0} {}", short(unit)),
        false => format!("{value:.*} {}", digits(value), short(unit)),
    }
    .trim_end()
    .to_owned()
}

/// Three digits that say something.
const fn digits(value: f64) -> usize {
    match value.abs() {
        value if value < 0.1 => 4,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    }
}

/// Columns are narrow.
fn short(unit: &str) -> &str {
    match unit {
        "connections/s" | "changes/s" => "/s",
        "messages" => "",
        unit => unit,
    }
}

/// All of what was measured, or the one thing that is always the same.
fn spread(reading: &Reading) -> String {
    let texts: BTreeSet<_> = reading.values.iter().filter_map(|value| value.as_str()).collect();
    if !texts.is_empty() {
        return texts.into_iter().collect::<Vec<_>>().join(", ");
    }
    let numbers = || reading.values.iter().filter_map(serde_json::Value::as_f64);
    match (numbers().reduce(f64::min), numbers().reduce(f64::max)) {
        (Some(least), Some(most)) => {
            format!("{least:.*} to {most:.*} {}", digits(least), digits(most), reading.unit)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::{Figure, Run, Size};
    use super::super::results::Number;
    use super::*;

    const RUN: Run =
        Run { figure: Figure::Cold, size: Size { services: 10, endpoints: 2 }, rate: None };

    #[test]
    fn each_number_stands_beside_the_floor() {
        let mut results = Results::default();
        for (program, value) in [("floor", 20.0), ("proxyd", 50.0), ("old", 80.0)] {
            let number = Number { name: "took".into(), value: value.into(), unit: "ms".into() };
            results.add(RUN, program, &[number]);
        }
        let table = render(&results);
        let words: Vec<_> = table
            .lines()
            .skip_while(|line| !line.starts_with("cold 10x2"))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            ["cold 10x2 floor proxyd old proxyd/floor", "took 20.0 ms 50.0 ms 80.0 ms 2.50"]
        );
    }

    #[test]
    fn numbers_have_few_digits() {
        for (value, unit, expected) in [
            (0.0123, "cores", "0.0123 cores"),
            (1234.5, "ms", "1234 ms"),
            (51_200.0, "KiB", "50.0 MiB"),
            (7.0, "", "7"),
            (2500.25, "connections/s", "2500 /s"),
        ] {
            let reading = Reading { values: vec![value.into()], unit: unit.into() };
            assert_eq!(shown(&reading), expected);
        }
    }
}
