//! The numbers of Services and endpoints, as metrics.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use proxy_core::Protocol;

use super::statistics::Statistics;
use super::totals::{EndpointTotal, OTHER, Passed, PortTotal, ServicePort, Totals};

/// Shows what was read last.
#[derive(Debug)]
pub(super) struct Traffic(pub(super) Arc<Mutex<Statistics>>);

/// Which Service port, or all beyond the limit.
type Labels<'a> = [(&'static str, &'a str); 4];

impl Collector for Traffic {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let statistics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = &statistics.totals;
        service_ports(totals, &mut encoder)?;
        endpoints(totals, &mut encoder)?;
        let help = "Service ports and endpoints without time series of their own, of those that \
                    were read; they are summed under service=\"(other)\"";
        let mut dropped =
            encoder.encode_descriptor("proxyd_series_dropped", help, None, MetricType::Gauge)?;
        for (kind, count) in ["service_port", "endpoint"].into_iter().zip(totals.dropped()) {
            ConstGauge::new(count).encode(dropped.encode_family(&[("kind", kind)])?)?;
        }
        Ok(())
    }
}

fn service_ports(totals: &Totals, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let is_beyond = totals.dropped()[0] > 0 || totals.other != Passed::default();
    let shown: Vec<(Labels<'_>, Passed)> = totals
        .ports
        .iter()
        .filter(|(_, total)| total.is_shown)
        .map(|(port, total)| (labels(port, total), total.passed))
        .chain(is_beyond.then(|| (other("protocol"), totals.other)))
        .collect();
    let help = "Connections that were made through a Service port";
    let name = "proxyd_service_connections";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, passed) in &shown {
        ConstCounter::new(passed.connections).encode(metric.encode_family(labels)?)?;
    }
    type Number = fn(&Passed) -> u64;
    let directed: [(&str, &str, [Number; 2]); 2] = [
        (
            "proxyd_service_packets",
            "Packets from clients of a Service port (in) and to them (out)",
            [|passed| passed.packets_in, |passed| passed.packets_out],
        ),
        (
            "proxyd_service_bytes",
            "Bytes from clients of a Service port (in) and to them (out)",
            [|passed| passed.bytes_in, |passed| passed.bytes_out],
        ),
    ];
    for (name, help, numbers) in directed {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, passed) in &shown {
            for (direction, number) in ["in", "out"].into_iter().zip(numbers) {
                let [namespace, service, port, protocol] = *labels;
                let labels = [namespace, service, port, protocol, ("direction", direction)];
                ConstCounter::new(number(passed)).encode(metric.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

fn endpoints(totals: &Totals, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let is_beyond = totals.dropped()[1] > 0 || totals.other_endpoints.connections > 0;
    let shown: Vec<([String; 4], EndpointTotal)> = totals
        .endpoints
        .iter()
        .filter(|(_, total)| total.is_shown)
        .filter_map(|((port, address), total)| {
            let [namespace, service, name, _] = labels(port, totals.ports.get(port)?);
            let text = |(_, value): (&str, &str)| value.to_owned();
            Some(([text(namespace), text(service), text(name), address.to_string()], *total))
        })
        .chain(is_beyond.then(|| {
            let [namespace, service, name, endpoint] = other("endpoint").map(|it| it.1.to_owned());
            ([namespace, service, name, endpoint], totals.other_endpoints)
        }))
        .collect();
    let labels = |values: &'_ [String; 4]| -> [(&'static str, String); 4] {
        let [namespace, service, port, endpoint] = values.clone();
        [("namespace", namespace), ("service", service), ("port", port), ("endpoint", endpoint)]
    };
    let help = "Connections through a Service port that an endpoint has, of those that are read";
    let name = "proxyd_endpoint_active_connections";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (values, total) in &shown {
        ConstGauge::new(total.active).encode(metric.encode_family(&labels(values))?)?;
    }
    let help = "Connections through a Service port that an endpoint was given";
    let name = "proxyd_endpoint_connections";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (values, total) in &shown {
        ConstCounter::new(total.connections).encode(metric.encode_family(&labels(values))?)?;
    }
    Ok(())
}

fn labels<'a>(ServicePort { name, protocol }: &'a ServicePort, total: &'a PortTotal) -> Labels<'a> {
    let protocol = match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    };
    [
        ("namespace", &name.service.namespace),
        ("service", &name.service.name),
        ("port", &total.port),
        ("protocol", protocol),
    ]
}

/// Of all that are beyond the limit.
const fn other(last: &'static str) -> Labels<'static> {
    [("namespace", ""), ("service", OTHER), ("port", ""), (last, "")]
}
