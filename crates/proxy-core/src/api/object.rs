//! The fields of Service (`v1`), EndpointSlice (`discovery.k8s.io/v1`) and Node (`v1`) that a
//! proxy reads. Every struct derives `Default`, which is the empty object.

use std::collections::BTreeMap;

macro_rules! object {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$of_field:meta])* pub $field:ident: $type:ty,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "camelCase", default))]
        pub struct $name {
            $(
                $(#[$of_field])*
                #[cfg_attr(feature = "serde",
                    serde(skip_serializing_if = "super::serde_object::is_default"))]
                pub $field: $type,
            )*
        }
    };
}

object! {
    /// `metadata` of any object.
    Metadata {
        /// Namespace; absent means `default`.
        pub namespace: Option<String>,
        /// Name.
        pub name: Option<String>,
        /// The state of the API server in which the object is like this, which a watch goes on from.
        pub resource_version: Option<String>,
        /// RFC 3339, as the API server writes it.
        pub creation_timestamp: Option<String>,
        /// When the object was asked to go; it is there until its finalizers are done.
        pub deletion_timestamp: Option<String>,
        /// Labels.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::labels"))]
        pub labels: BTreeMap<String, String>,
        /// Annotations; read from JSON or YAML, only those that begin with `proxyd/` and an
        /// EndpointSlice's time of change.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::annotations"))]
        pub annotations: BTreeMap<String, String>,
    }
}

object! {
    /// A Service.
    Service {
        /// `metadata`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub metadata: Metadata,
        /// `spec`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub spec: ServiceSpec,
        /// `status`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub status: ServiceStatus,
    }
}

object! {
    /// `spec` of a Service.
    ServiceSpec {
        /// `ClusterIP` (also when absent), `NodePort`, `LoadBalancer` or `ExternalName`.
        #[cfg_attr(feature = "serde", serde(rename = "type"))]
        pub kind: Option<String>,
        /// The first cluster IP, or `None`.
        #[cfg_attr(feature = "serde", serde(rename = "clusterIP"))]
        pub cluster_ip: Option<String>,
        /// All cluster IPs, in the order of `ip_families`.
        #[cfg_attr(feature = "serde", serde(rename = "clusterIPs"))]
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub cluster_ips: Vec<String>,
        /// `IPv4`, `IPv6`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub ip_families: Vec<String>,
        /// Ports.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub ports: Vec<ServicePort>,
        /// External IPs.
        #[cfg_attr(feature = "serde", serde(rename = "externalIPs"))]
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub external_ips: Vec<String>,
        /// CIDRs that may use the load-balancer IPs.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub load_balancer_source_ranges: Vec<String>,
        /// `Cluster` (also when absent) or `Local`.
        pub external_traffic_policy: Option<String>,
        /// `Cluster` (also when absent) or `Local`.
        pub internal_traffic_policy: Option<String>,
        /// `None` (also when absent) or `ClientIP`.
        pub session_affinity: Option<String>,
        /// The timeout of `ClientIP`.
        pub session_affinity_config: Option<SessionAffinityConfig>,
        /// The node port for health checks; 0 is none.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub health_check_node_port: Option<i64>,
    }
}

object! {
    /// One entry of `spec.ports` of a Service.
    ServicePort {
        /// Name; absent is the empty name.
        pub name: Option<String>,
        /// `TCP` (also when absent), `UDP` or `SCTP`.
        pub protocol: Option<String>,
        /// Port.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub port: Option<i64>,
        /// Port of every node; 0 is none.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub node_port: Option<i64>,
    }
}

object! {
    /// `spec.sessionAffinityConfig` of a Service.
    SessionAffinityConfig {
        /// `clientIP`.
        #[cfg_attr(feature = "serde", serde(rename = "clientIP"))]
        pub client_ip: Option<ClientIpConfig>,
    }
}

object! {
    /// `spec.sessionAffinityConfig.clientIP` of a Service.
    ClientIpConfig {
        /// 1 to 86,400; absent means 10,800.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub timeout_seconds: Option<i64>,
    }
}

object! {
    /// `status` of a Service.
    ServiceStatus {
        /// What the load balancer says.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub load_balancer: LoadBalancerStatus,
    }
}

object! {
    /// `status.loadBalancer` of a Service.
    LoadBalancerStatus {
        /// Where the load balancer is reached.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub ingress: Vec<Ingress>,
    }
}

object! {
    /// One entry of `status.loadBalancer.ingress`.
    Ingress {
        /// Address; an entry with only a host name has none.
        pub ip: Option<String>,
        /// `VIP` (also when absent): the node answers at it; `Proxy`: it must not.
        pub ip_mode: Option<String>,
    }
}

object! {
    /// An EndpointSlice.
    EndpointSlice {
        /// `metadata`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub metadata: Metadata,
        /// `IPv4`, `IPv6` or `FQDN`.
        pub address_type: Option<String>,
        /// Ports.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub ports: Vec<EndpointPort>,
        /// Endpoints.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub endpoints: Vec<Endpoint>,
    }
}

object! {
    /// One entry of `ports` of an EndpointSlice.
    EndpointPort {
        /// Name; absent is the empty name.
        pub name: Option<String>,
        /// `TCP` (also when absent), `UDP` or `SCTP`.
        pub protocol: Option<String>,
        /// Port; absent or 0 leaves the entry unused.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub port: Option<i64>,
    }
}

object! {
    /// One entry of `endpoints` of an EndpointSlice.
    Endpoint {
        /// Addresses, of which the first counts.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub addresses: Vec<String>,
        /// Conditions.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub conditions: EndpointConditions,
        /// The node it runs on.
        pub node_name: Option<String>,
        /// The zone it runs in.
        pub zone: Option<String>,
        /// For whom it is meant.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub hints: EndpointHints,
    }
}

object! {
    /// `conditions` of an endpoint.
    #[derive(Copy)]
    EndpointConditions {
        /// Absent means true.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub ready: Option<bool>,
        /// Absent means true.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub serving: Option<bool>,
        /// Absent means false.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::exact"))]
        pub terminating: Option<bool>,
    }
}

object! {
    /// `hints` of an endpoint.
    EndpointHints {
        /// Zones.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub for_zones: Vec<HintName>,
        /// Nodes.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub for_nodes: Vec<HintName>,
    }
}

object! {
    /// One entry of `hints.forZones` or `hints.forNodes`.
    HintName {
        /// Name of the zone or node.
        pub name: Option<String>,
    }
}

object! {
    /// A Node.
    Node {
        /// `metadata`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub metadata: Metadata,
        /// `spec`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub spec: NodeSpec,
        /// `status`.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::or_default"))]
        pub status: NodeStatus,
    }
}

object! {
    /// `spec` of a Node.
    NodeSpec {
        /// The first pod CIDR, in objects without `pod_cidrs`.
        #[cfg_attr(feature = "serde", serde(rename = "podCIDR"))]
        pub pod_cidr: Option<String>,
        /// Pod CIDRs.
        #[cfg_attr(feature = "serde", serde(rename = "podCIDRs"))]
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub pod_cidrs: Vec<String>,
        /// Taints.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub taints: Vec<Taint>,
    }
}

object! {
    /// One entry of `spec.taints` of a Node.
    Taint {
        /// Key; value and effect do not matter here.
        pub key: Option<String>,
    }
}

object! {
    /// `status` of a Node.
    NodeStatus {
        /// Addresses.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::serde_object::list"))]
        pub addresses: Vec<NodeAddress>,
    }
}

object! {
    /// One entry of `status.addresses` of a Node.
    NodeAddress {
        /// `InternalIP`, `ExternalIP`, or a kind that is no address.
        #[cfg_attr(feature = "serde", serde(rename = "type"))]
        pub kind: Option<String>,
        /// The address.
        pub address: Option<String>,
    }
}
