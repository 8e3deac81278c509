//! All numbers of a run of the bench. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::host::Fact;
use super::ladder::Run;

/// One number, as the guest says it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) unit: String,
}

impl Number {
    /// The numbers of a guest's output, a line each; lines that are none are left out.
    pub(super) fn parse_all(output: &str) -> Result<Vec<Self>> {
        let lines = output.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| Self::parse(line).with_context(|| format!("read {line:?}"))).collect()
    }

    fn parse(line: &str) -> Result<Self> {
        let mut line: Value = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Self {
            name: text(&line["name"]).context("it has no name")?,
            unit: text(&line["unit"]).context("it has no unit")?,
            value: line["value"].take(),
        })
    }
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) host: Vec<Fact>,
    /// What guests say of themselves.
    pub(super) machine: BTreeMap<String, Reading>,
    rows: Vec<Row>,
    pub(super) failures: Vec<String>,
}

/// One name of one figure, of every program.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) run: Run,
    pub(super) name: String,
    pub(super) programs: BTreeMap<String, Reading>,
}

/// All that was measured of one thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) values: Vec<Value>,
    pub(super) unit: String,
}

impl Reading {
    /// The best: of rates the largest, of all else the smallest.
    pub(super) fn best(&self) -> Option<f64> {
        let numbers = self.values.iter().filter_map(Value::as_f64);
        match self.unit.ends_with("/s") && self.unit != "1/s" {
            true => numbers.reduce(f64::max),
            false => numbers.reduce(f64::min),
        }
    }

    fn add(&mut self, number: &Number) {
        self.values.push(number.value.clone());
        self.unit.clone_from(&number.unit);
    }
}

/// What the names of a guest's own numbers begin with.
const MACHINE: &str = "machine ";

impl Results {
    pub(super) fn new(host: Vec<Fact>) -> Self {
        Self { host, ..Self::default() }
    }

    /// Takes in the numbers of one program.
    pub(super) fn add(&mut self, run: Run, program: &str, numbers: &[Number]) {
        for number in numbers {
            match number.name.strip_prefix(MACHINE) {
                Some(name) => self.machine.entry(name.to_owned()).or_default().add(number),
                None => {
                    self.row(run, &number.name).entry(program.to_owned()).or_default().add(number)
                }
            }
        }
    }

    fn row(&mut self, run: Run, name: &str) -> &mut BTreeMap<String, Reading> {
        let found = self.rows.iter().position(|row| row.run == run && row.name == name);
        let at = found.unwrap_or_else(|| {
            self.rows.push(Row { run, name: name.to_owned(), programs: BTreeMap::new() });
            self.rows.len() - 1
        });
        &mut self.rows[at].programs
    }

    /// In the order in which they were measured.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The best of one number, by the words of its run.
    pub(super) fn best(&self, run: &str, name: &str, program: &str) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.run.to_string() == run && row.name == name)?;
        row.programs.get(program)?.best()
    }

    /// Everything.
    pub(super) fn json(&self, library: Option<&str>) -> Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let programs: BTreeMap<_, _> = row
                    .programs
                    .iter()
                    .map(|(name, reading)| {
                        (name, json!({ "values": reading.values, "best": reading.best() }))
                    })
                    .collect();
                let unit = row.programs.values().next().map(|reading| reading.unit.clone());
                json!({
                    "figure": row.run.figure.name(),
                    "size": row.run.size.to_string(),
                    "rate": row.run.rate,
                    "name": row.name,
                    "unit": unit,
                    "programs": programs,
                })
            })
            .collect();
        let host: BTreeMap<_, _> = self.host.iter().cloned().collect();
        let machine: BTreeMap<_, _> =
            self.machine.iter().map(|(name, reading)| (name, &reading.values)).collect();
        json!({
            "host": host,
            "guest": machine,
            "rows": rows,
            "library": library,
            "failures": self.failures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::{Figure, Size};
    use super::*;

    const RUN: Run =
        Run { figure: Figure::Cold, size: Size { services: 10, endpoints: 2 }, rate: None };

    #[test]
    fn the_best_of_several_runs_counts() {
        let mut results = Results::default();
        for value in [3, 2, 4] {
            let numbers = Number::parse_all(&format!(
                "noise\n{{\"name\":\"took\",\"value\":{value},\"unit\":\"ms\"}}\n\
                 {{\"name\":\"made\",\"value\":{value},\"unit\":\"connections/s\"}}\n\
                 {{\"name\":\"machine kernel\",\"value\":\"6.1\",\"unit\":\"\"}}\n"
            ));
            results.add(RUN, "proxyd", &numbers.unwrap());
        }
        assert_eq!(results.best("cold 10x2", "took", "proxyd"), Some(2.0));
        assert_eq!(results.best("cold 10x2", "made", "proxyd"), Some(4.0));
        assert_eq!(results.best("cold 10x2", "took", "floor"), None);
        assert_eq!(results.rows().len(), 2);
        assert_eq!(results.machine["kernel"].values[0], "6.1");
        assert_eq!(results.json(None)["rows"][0]["programs"]["proxyd"]["best"], 2.0);
    }

    #[test]
    fn a_line_that_is_no_number_is_an_error() {
        assert!(Number::parse_all("{\"name\":\"took\"}").is_err());
    }
}
