//! How the objects are read and written: `null` and what is empty are absent, and annotations that
//! are not ours cost no memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor};

use super::ANNOTATION_PREFIX;
use super::slice::TRIGGER_TIME;

/// Whether a field need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A value, or the default for `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list, or none for `null`; an entry that is `null` is the default entry.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let entries: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(entries.into_iter().flatten().map(Option::unwrap_or_default).collect())
}

/// A number or truth value as such: text that looks like one is none, in YAML as in JSON, and as
/// the API server sees it.
pub(super) fn exact<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<Exact>,
{
    let value = deserializer.deserialize_any(ExactVisitor)?;
    let convert = |value: Exact| {
        T::try_from(value).map_err(|_| {
            let found = match value {
                Exact::Number(number) => Unexpected::Signed(number),
                Exact::Truth(truth) => Unexpected::Bool(truth),
            };
            D::Error::invalid_type(found, &std::any::type_name::<T>())
        })
    };
    value.map(convert).transpose()
}

/// A number or truth value.
#[derive(Clone, Copy)]
pub(super) enum Exact {
    Number(i64),
    Truth(bool),
}

impl TryFrom<Exact> for i64 {
    type Error = ();

    fn try_from(value: Exact) -> Result<Self, ()> {
        match value {
            Exact::Number(number) => Ok(number),
            Exact::Truth(_) => Err(()),
        }
    }
}

impl TryFrom<Exact> for bool {
    type Error = ();

    fn try_from(value: Exact) -> Result<Self, ()> {
        match value {
            Exact::Truth(truth) => Ok(truth),
            Exact::Number(_) => Err(()),
        }
    }
}

struct ExactVisitor;

impl<'de> Visitor<'de> for ExactVisitor {
    type Value = Option<Exact>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or true or false")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Some(Exact::Truth(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Exact::Number(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        // Far out of any range that means something, so that it is reported with its field.
        Ok(Some(Exact::Number(i64::try_from(number).unwrap_or(i64::MAX))))
    }
}

/// Every entry of a map of texts.
pub(super) fn labels<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(Texts { is_kept: |_| true })
}

/// The entries of a map of texts that are read; others are never stored, which matters where
/// `kubectl apply` has left a copy of the object in one.
pub(super) fn annotations<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let is_kept = |key: &str| key.starts_with(ANNOTATION_PREFIX) || key == TRIGGER_TIME;
    deserializer.deserialize_option(Texts { is_kept })
}

struct Texts {
    is_kept: fn(&str) -> bool,
}

impl<'de> Visitor<'de> for Texts {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if (self.is_kept)(&key) {
                texts.insert(key, map.next_value::<Option<String>>()?.unwrap_or_default());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use crate::api;

    #[test]
    fn text_is_no_number_and_no_truth_value() {
        let port = |text: &str| {
            let port: Result<api::ServicePort, _> = serde_json::from_str(text);
            port.map(|port| port.port).map_err(|error| error.to_string())
        };
        assert_eq!(port(r#"{"port": 80}"#), Ok(Some(80)));
        assert_eq!(port(r#"{"port": null}"#), Ok(None));
        assert_eq!(port("{}"), Ok(None));
        for wrong in [r#"{"port": "80"}"#, r#"{"port": true}"#, r#"{"port": 80.5}"#] {
            assert!(port(wrong).is_err_and(|error| error.contains("invalid type")), "{wrong}");
        }
    }

    #[test]
    fn a_service_is_read_in_the_spelling_of_the_api() {
        let service: api::Service = serde_json::from_str(
            r#"{
              "kind": "Service",
              "metadata": {"name": "web", "creationTimestamp": null, "labels": null, "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "long",
                "proxyd/scheduler": "mh"}},
              "spec": {
                "type": "LoadBalancer", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
                "ipFamilies": ["IPv4"], "externalIPs": null, "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080}],
                "loadBalancerSourceRanges": ["10.0.0.0/8", null],
                "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}},
              "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "Proxy"}]}}
            }"#,
        )
        .unwrap();
        let annotations: Vec<_> = service.metadata.annotations.into_iter().collect();
        assert_eq!(annotations, [("proxyd/scheduler".to_owned(), "mh".to_owned())]);
        assert_eq!(service.metadata.creation_timestamp, None);
        assert_eq!(service.spec.cluster_ip.as_deref(), Some("10.96.0.9"));
        assert_eq!(service.spec.cluster_ips, ["10.96.0.9"]);
        assert_eq!(service.spec.kind.as_deref(), Some("LoadBalancer"));
        assert_eq!(service.spec.ports[0].node_port, Some(30080));
        assert_eq!(service.spec.load_balancer_source_ranges, ["10.0.0.0/8", ""]);
        assert_eq!(service.spec.health_check_node_port, Some(32000));
        let config = service.spec.session_affinity_config.unwrap();
        assert_eq!(config.client_ip.unwrap().timeout_seconds, Some(60));
        assert_eq!(service.status.load_balancer.ingress[0].ip_mode.as_deref(), Some("Proxy"));
    }

    #[test]
    fn a_slice_is_read_with_nulls_as_the_api_server_writes_them() {
        let slice: api::EndpointSlice = serde_json::from_str(
            r#"{
              "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"},
                "annotations": {"other": "x",
                  "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z"}},
              "addressType": "IPv4",
              "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
              "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": true},
                "nodeName": "n1", "hints": {"forZones": [{"name": "za"}], "forNodes": null}},
                {"addresses": null, "conditions": null, "hints": null}]
            }"#,
        )
        .unwrap();
        let annotations: Vec<_> = slice.metadata.annotations.values().collect();
        assert_eq!(annotations, ["2026-01-02T03:04:05Z"]);
        assert_eq!(slice.endpoints[0].conditions.ready, Some(true));
        assert_eq!(slice.endpoints[0].hints.for_zones[0].name.as_deref(), Some("za"));
        assert_eq!(slice.endpoints[1], api::Endpoint::default());
        let empty: api::EndpointSlice =
            serde_json::from_str(r#"{"ports": null, "endpoints": null}"#).unwrap();
        assert_eq!(empty, api::EndpointSlice::default());
    }

    #[test]
    fn a_node_is_read_in_the_spelling_of_the_api() {
        let node: api::Node = serde_json::from_str(
            r#"{"metadata": {"name": "n1", "deletionTimestamp": "2026-01-02T03:04:05Z"},
              "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"],
                "taints": [{"key": "k", "effect": "NoSchedule"}]},
              "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}"#,
        )
        .unwrap();
        assert_eq!(node.spec.pod_cidr.as_deref(), Some("10.1.0.0/24"));
        assert_eq!(node.spec.pod_cidrs, ["10.1.0.0/24"]);
        assert_eq!(node.spec.taints[0].key.as_deref(), Some("k"));
        assert_eq!(node.metadata.deletion_timestamp.as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(node.status.addresses[0].kind.as_deref(), Some("InternalIP"));
    }
}
