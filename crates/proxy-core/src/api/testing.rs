//! What the tests of this module share.

use std::net::IpAddr;

use super::{Ingress, Metadata, Parsed, Service, ServicePort, ServiceSpec};
use crate::{Interner, Rejection, Warning};

/// A valid Service `prod/web`, changed by `edit`.
pub(super) fn service(edit: impl FnOnce(&mut Service)) -> Service {
    let mut service = Service {
        metadata: Metadata {
            namespace: Some("prod".to_owned()),
            name: Some("web".to_owned()),
            ..Metadata::default()
        },
        spec: ServiceSpec {
            cluster_ip: Some("10.96.0.9".to_owned()),
            ports: vec![ServicePort { port: Some(80), ..ServicePort::default() }],
            ..ServiceSpec::default()
        },
        ..Service::default()
    };
    edit(&mut service);
    service
}

/// An entry of `status.loadBalancer.ingress`.
pub(super) fn ingress(ip: &str, mode: &str) -> Ingress {
    Ingress { ip: Some(ip.to_owned()), ip_mode: Some(mode.to_owned()) }
}

/// Addresses in one line.
pub(super) fn shown(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What was said about an object.
#[must_use]
pub(super) struct Outcome {
    pub(super) rejections: Vec<Rejection>,
    pub(super) warnings: Vec<Warning>,
}

/// Parses a Service.
pub(super) fn outcome(service: Service) -> (Option<crate::Service>, Outcome) {
    split(service.parse(&mut Interner::new()))
}

/// The value apart from what was said.
pub(super) fn split<T>(parsed: Parsed<T>) -> (Option<T>, Outcome) {
    let Parsed { value, rejections, warnings, .. } = parsed;
    (value, Outcome { rejections, warnings })
}

impl Outcome {
    /// Nothing was said.
    #[track_caller]
    pub(super) fn silent(self) {
        assert_eq!(self.warnings, []);
        self.rejected_nothing();
    }

    /// No rejection.
    #[track_caller]
    pub(super) fn rejected_nothing(self) {
        assert_eq!(self.rejections, []);
    }

    /// This and no other field was rejected.
    #[track_caller]
    pub(super) fn rejected(self, field: &str, value: &str) {
        let rejections: Vec<_> =
            self.rejections.iter().map(|found| (&*found.field, &*found.value)).collect();
        assert_eq!(rejections, [(field, value)]);
    }

    /// One warning, which contains this, and no rejection.
    #[track_caller]
    pub(super) fn warned(self, part: &str) {
        let [warning] = &*self.warnings else { panic!("not one warning: {:?}", self.warnings) };
        assert!(warning.reason.contains(part), "{warning} does not say {part:?}");
        self.rejected_nothing();
    }
}
