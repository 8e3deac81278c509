//! Objects as they come from the API server: only the fields that a proxy reads are decoded.

use std::borrow::Cow;
use std::fmt::Debug;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use proxy_core::api;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::source::Object;

/// A kind of object that is watched.
pub(super) trait Watchable:
    Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// `NamespaceResourceScope` or `ClusterResourceScope`.
    type Scope;
    /// API group, empty for the core group.
    const GROUP: &'static str;
    /// As in `kind`.
    const KIND: &'static str;
    /// As in paths.
    const PLURAL: &'static str;

    /// `metadata`.
    fn metadata(&mut self) -> &mut api::Metadata;

    /// The object among others.
    fn into_object(self) -> Object;
}

impl Watchable for api::Service {
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = "";
    const KIND: &'static str = "Service";
    const PLURAL: &'static str = "services";

    fn metadata(&mut self) -> &mut api::Metadata {
        &mut self.metadata
    }

    fn into_object(self) -> Object {
        Object::Service(Box::new(self))
    }
}

impl Watchable for api::EndpointSlice {
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = "discovery.k8s.io";
    const KIND: &'static str = "EndpointSlice";
    const PLURAL: &'static str = "endpointslices";

    fn metadata(&mut self) -> &mut api::Metadata {
        &mut self.metadata
    }

    fn into_object(self) -> Object {
        Object::Slice(self)
    }
}

impl Watchable for api::Node {
    type Scope = ClusterResourceScope;
    const GROUP: &'static str = "";
    const KIND: &'static str = "Node";
    const PLURAL: &'static str = "nodes";

    fn metadata(&mut self) -> &mut api::Metadata {
        &mut self.metadata
    }

    fn into_object(self) -> Object {
        Object::Node(self)
    }
}

/// An object with what the client must know of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "T", bound(deserialize = "T: Watchable"))]
pub(super) struct Watched<T> {
    meta: ObjectMeta,
    pub(super) object: T,
}

impl<T> Watched<T> {
    /// What a watch goes on from.
    pub(super) fn version(&self) -> Option<String> {
        self.meta.resource_version.clone()
    }
}

impl<T: Watchable> From<T> for Watched<T> {
    fn from(mut object: T) -> Self {
        let resource_version = object.metadata().resource_version.take();
        Self { meta: ObjectMeta { resource_version, ..ObjectMeta::default() }, object }
    }
}

impl<T: Watchable> Resource for Watched<T> {
    type DynamicType = ();
    type Scope = T::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        T::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
