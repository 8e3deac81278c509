//! The resources that are served.

use serde_json::{Value, json};

/// A resource of the API: what its objects are called, and where they live.
#[derive(Debug)]
pub struct Kind {
    /// The API group; "" is the core.
    pub group: &'static str,
    /// The version in the group.
    pub version: &'static str,
    /// The kind of one object, `Service`.
    pub kind: &'static str,
    /// Its name in paths, `services`.
    pub plural: &'static str,
    /// Its name on the command line.
    pub(super) singular: &'static str,
    /// Shorter names on the command line.
    pub(super) short_names: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub(super) namespaced: bool,
    /// Whether the server counts changes of what is wanted in `metadata.generation`.
    pub(super) counts_generations: bool,
    /// The fields that selectors may ask for, beside name and namespace.
    pub(super) selectable: &'static [&'static str],
}

/// Fields of both kinds of Event, in the form of `events.k8s.io/v1` or of the core.
const REGARDING: &[&str] = &["reason", "reportingController", "type", "regarding.name"];
const INVOLVED: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const NOTHING: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    namespaced: true,
    counts_generations: false,
    selectable: &[],
};

/// All of them. A [`Kind`] is known by its place here.
pub static KINDS: [Kind; 6] = [
    Kind {
        kind: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        selectable: &["spec.clusterIP", "spec.type"],
        ..NOTHING
    },
    Kind {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        namespaced: false,
        selectable: &["spec.unschedulable"],
        ..NOTHING
    },
    Kind {
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        selectable: INVOLVED,
        ..NOTHING
    },
    Kind {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        counts_generations: true,
        ..NOTHING
    },
    Kind {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        selectable: REGARDING,
        ..NOTHING
    },
    Kind {
        group: "networking.k8s.io",
        kind: "ServiceCIDR",
        plural: "servicecidrs",
        singular: "servicecidr",
        namespaced: false,
        ..NOTHING
    },
];

impl Kind {
    /// The resource at a path.
    pub(super) fn of_path(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        KINDS.iter().find(|k| k.group == group && k.version == version && k.plural == plural)
    }

    /// The resource of an object with this `apiVersion` and `kind`.
    pub(super) fn of_object(object: &Value) -> Option<&'static Self> {
        let of = |name: &str| object.get(name).and_then(Value::as_str);
        let (api_version, kind) = (of("apiVersion")?, of("kind")?);
        KINDS.iter().find(|k| k.kind == kind && k.api_version() == api_version)
    }

    /// Its place in [`KINDS`].
    pub(super) fn index(&self) -> usize {
        let same = |k: &Self| k.group == self.group && k.plural == self.plural;
        KINDS.iter().position(same).expect("all kinds are in the table")
    }

    /// `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// What an object without any content has beside `metadata`: bookmarks look like this.
    /// Server code is Go, where a field that is not a pointer has a zero value, and is written
    /// unless told otherwise.
    pub(super) fn zero(&self) -> Value {
        match (self.group, self.kind) {
            (_, "Service") => json!({ "spec": {}, "status": { "loadBalancer": {} } }),
            (_, "Node") => json!({ "spec": {}, "status": {
                "daemonEndpoints": { "kubeletEndpoint": { "Port": 0 } },
                "nodeInfo": {
                    "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "",
                    "osImage": "", "containerRuntimeVersion": "", "kubeletVersion": "",
                    "kubeProxyVersion": "", "operatingSystem": "", "architecture": "",
                },
            } }),
            (_, "EndpointSlice") => json!({ "addressType": "", "endpoints": null, "ports": null }),
            ("", "Event") => json!({
                "involvedObject": {}, "source": {}, "firstTimestamp": null, "lastTimestamp": null,
                "eventTime": null, "reportingComponent": "", "reportingInstance": "",
            }),
            (_, "Event") => json!({
                "eventTime": null, "regarding": {}, "deprecatedSource": {},
                "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null,
            }),
            _ => json!({ "spec": {}, "status": {} }),
        }
    }
}
