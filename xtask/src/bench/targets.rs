//! What proxyd promises to cost at most, and whether it kept that. Nothing fails by it: a number that
//! depends on the machine is for people to judge. Pure.

use super::results::Results;

/// What a number is compared with.
enum Limit {
    /// At most so much.
    Most(f64),
    /// At least so much.
    Least(f64),
}

/// A number that can be compared, of proxyd.
struct Target {
    says: &'static str,
    value: fn(&Results) -> Option<f64>,
    limit: Limit,
    unit: &'static str,
}

const fn target(
    says: &'static str,
    value: fn(&Results) -> Option<f64>,
    limit: Limit,
    unit: &'static str,
) -> Target {
    Target { says, value, limit, unit }
}

const PROXYD: &str = "proxyd";
const TYPICAL: &str = "10000x10";

/// In the order of the figures.
const TARGETS: &[Target] = &[
    target(
        "cold start, times the floor",
        |it| {
            let ours = it.best("cold 10000x10", "lists to kernel", PROXYD)?;
            Some(ours / it.best("cold 10000x10", "lists to kernel", "floor")?)
        },
        Limit::Most(3.0),
        "",
    ),
    target(
        "cold start, lists to kernel",
        |it| typical(it, "cold", "lists to kernel"),
        Limit::Most(1500.0),
        "ms",
    ),
    target(
        "default/kubernetes usable",
        |it| typical(it, "cold", "lists to kubernetes"),
        Limit::Most(100.0),
        "ms",
    ),
    target(
        "cluster DNS usable",
        |it| typical(it, "cold", "lists to dns"),
        Limit::Most(100.0),
        "ms",
    ),
    target("adopting, mutations", |it| typical(it, "adopt", "mutations"), Limit::Most(0.0), ""),
    target(
        "adopting, start to kernel",
        |it| typical(it, "adopt", "start to kernel"),
        Limit::Most(3000.0),
        "ms",
    ),
    target(
        "endpoint added, p50 at 50,000 to that at 100",
        |it| {
            let large = it.best("change 50000x2", "endpoint added, watch to ACK p50", PROXYD)?;
            Some(large / it.best("change 100x10", "endpoint added, watch to ACK p50", PROXYD)?)
        },
        Limit::Most(1.2),
        "",
    ),
    target(
        "endpoint added, watch to ACK, p50 at 50,000",
        |it| it.best("change 50000x2", "endpoint added, watch to ACK p50", PROXYD),
        Limit::Most(1.0),
        "ms",
    ),
    target(
        "endpoint added, watch to ACK, p99 at 50,000",
        |it| it.best("change 50000x2", "endpoint added, watch to ACK p99", PROXYD),
        Limit::Most(5.0),
        "ms",
    ),
    target(
        "processes started by changes",
        |it| it.best("change 50000x2", "child processes", PROXYD),
        Limit::Most(0.0),
        "",
    ),
    target(
        "churn of 1,000/s, p99",
        |it| it.best("churn 10000x10 1000/s", "change p99", PROXYD),
        Limit::Most(50.0),
        "ms",
    ),
    target(
        "churn of 1,000/s, outside the kernel",
        |it| it.best("churn 10000x10 1000/s", "user share", PROXYD),
        Limit::Most(0.5),
        "cores",
    ),
    target(
        "churn of 1,000/s, last third to first, p50",
        |it| {
            let last = it.best("churn 10000x10 1000/s", "last third p50", PROXYD)?;
            Some(last / it.best("churn 10000x10 1000/s", "first third p50", PROXYD)?)
        },
        Limit::Most(1.5),
        "",
    ),
    target(
        "idle",
        |it| {
            let parts = ["user share", "system share", "children share"];
            parts.iter().map(|part| typical(it, "idle", part)).sum()
        },
        Limit::Most(0.005),
        "cores",
    ),
    target(
        "longest pass of the audit",
        |it| typical(it, "idle", "longest pass of an audit"),
        Limit::Most(20.0),
        "ms",
    ),
    target(
        "processes started when idle",
        |it| typical(it, "idle", "child processes"),
        Limit::Most(0.0),
        "",
    ),
    target(
        "memory at 10,000x10",
        |it| mebibytes(it, "memory 10000x10", "after start"),
        Limit::Most(50.0),
        "MiB",
    ),
    target(
        "memory at 5,000x50",
        |it| mebibytes(it, "memory 5000x50", "after start"),
        Limit::Most(120.0),
        "MiB",
    ),
    target(
        "memory when all is gone",
        |it| mebibytes(it, "memory 10000x10", "after deletion"),
        Limit::Most(20.0),
        "MiB",
    ),
    target(
        "connections/s at 10,000 Services to those at 10",
        |it| {
            let many = it.best("path 10000x10", "service rate", PROXYD)?;
            Some(many / it.best("path 10x10", "service rate", PROXYD)?)
        },
        Limit::Least(0.95),
        "",
    ),
];

fn typical(results: &Results, figure: &str, name: &str) -> Option<f64> {
    results.best(&format!("{figure} {TYPICAL}"), name, PROXYD)
}

fn mebibytes(results: &Results, run: &str, name: &str) -> Option<f64> {
    results.best(run, name, PROXYD).map(|kib| kib / 1024.0)
}

/// A line for each target whose number was measured.
pub(super) fn render(results: &Results) -> String {
    let lines: Vec<_> = TARGETS
        .iter()
        .filter_map(|target| {
            let value = (target.value)(results)?;
            let (sign, limit, is_met) = match target.limit {
                Limit::Most(limit) => ("<=", limit, value <= limit),
                Limit::Least(limit) => (">=", limit, value >= limit),
            };
            let verdict = if is_met { "met" } else { "MISSED" };
            let Target { says, unit, .. } = target;
            Some(format!("  {says:<50} {value:>10.3} {sign} {limit:<7} {unit:<6} {verdict}\n"))
        })
        .collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\ntargets\n{}", lines.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::{Figure, Run, Size};
    use super::super::results::Number;
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let mut results = Results::default();
        assert_eq!(render(&results), "");
        let size = Size { services: 10_000, endpoints: 10 };
        let run = Run { figure: Figure::Adopt, size, rate: None };
        for (name, value, unit) in [("mutations", 2.0, ""), ("start to kernel", 2999.0, "ms")] {
            let number = Number { name: name.into(), value: value.into(), unit: unit.into() };
            results.add(run, PROXYD, &[number]);
        }
        let verdicts: Vec<_> = render(&results)
            .lines()
            .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
            .collect();
        assert_eq!(verdicts, ["targets", "MISSED", "met"]);
    }
}
