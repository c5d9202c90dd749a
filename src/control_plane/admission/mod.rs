//! Between authorization and storage: plugins change a request, then judge it.
//!
//! Enter by [`mutate`], before validation, and [`validate`], after it; each runs [`PLUGINS`] in
//! order and stops at the first refusal. To add a plugin: one file with a [`Plugin`], one line in
//! the table. What a plugin must look up comes through [`Lookup`], so that every decision is a
//! function of its arguments.
//!
//! Upstream: `k8s.io/apiserver/pkg/admission`, `plugin/pkg/admission`.

mod default_ingress_class;
mod default_storage_class;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod persistent_volume_claim_resize;
mod priority;
mod resource_quota;
mod service_account;
mod storage_object_in_use_protection;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, Pod, ResourceQuota, ServiceAccount};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;

/// In the order in which they run; upstream's order.
pub(super) static PLUGINS: &[&dyn Plugin] = &[
    &namespace_lifecycle::NamespaceLifecycle,
    &limit_ranger::LimitRanger,
    &service_account::ServiceAccounts,
    &default_toleration_seconds::DefaultTolerationSeconds,
    &priority::Priority,
    &default_storage_class::DefaultStorageClass,
    &storage_object_in_use_protection::StorageObjectInUseProtection,
    &persistent_volume_claim_resize::PersistentVolumeClaimResize,
    &default_ingress_class::DefaultIngressClass,
    // The last: what it counts must not change any more.
    &resource_quota::ResourceQuotas,
];

/// An object as its k8s-openapi type.
pub(super) type Object = dyn Any + Send + Sync;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

/// What is asked of the server.
pub(super) struct Request<'a> {
    pub operation: Operation,
    /// Empty for the core group.
    pub group: &'a str,
    pub resource: &'a str,
    /// Empty for the resource itself.
    pub subresource: &'a str,
    /// Empty for cluster-scoped kinds.
    pub namespace: &'a str,
    /// Empty while `generateName` has not made one.
    pub name: &'a str,
    /// The object to store; `None` for deletions.
    pub object: Option<&'a mut Object>,
    /// What is stored now; `None` for creations.
    pub old: Option<&'a Object>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// 403, naming the request's own resource and name; `cause` follows the colon.
    #[error("{cause}")]
    Forbidden { cause: String },
    /// 403 as above, with a cause of the type `NamespaceTerminating` in the details.
    #[error("unable to create new content in namespace {namespace} because it is being terminated")]
    NamespaceTerminating { namespace: String },
    /// 404 for the namespace, not for the object.
    #[error("namespaces {namespace:?} not found")]
    NamespaceNotFound { namespace: String },
    /// 500: the lookup failed.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

/// What is stored could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("admission could not read the store: {0}")]
pub(super) struct LookupError(pub String);

/// What plugins ask the store.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn namespace(&self, name: &str) -> Result<Option<Arc<Namespace>>, LookupError>;

    /// A namespace's `default` account is made by a controller a moment after the namespace:
    /// implementations wait for it, up to a second, before they answer `None`.
    async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<ServiceAccount>>, LookupError>;

    /// Those of a namespace, by name.
    async fn limit_ranges(&self, namespace: &str) -> Result<Vec<Arc<LimitRange>>, LookupError>;

    /// Those of a namespace, by name.
    async fn resource_quotas(
        &self,
        namespace: &str,
    ) -> Result<Vec<Arc<ResourceQuota>>, LookupError>;

    /// All objects of a resource in a namespace, as their types.
    async fn objects(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
    ) -> Result<Vec<Arc<Object>>, LookupError>;

    async fn priority_class(&self, name: &str) -> Result<Option<Arc<PriorityClass>>, LookupError>;

    /// The one that is marked as the default; of several, the least.
    async fn default_priority_class(&self) -> Result<Option<Arc<PriorityClass>>, LookupError>;

    /// The name of the IngressClass that is marked as the default; of several, the newest.
    async fn default_ingress_class(&self) -> Result<Option<String>, LookupError>;

    /// The name of the StorageClass that is marked as the default; of several, the newest.
    async fn default_storage_class(&self) -> Result<Option<String>, LookupError>;

    async fn storage_class(&self, name: &str) -> Result<Option<Arc<StorageClass>>, LookupError>;

    /// Five random characters, to make a name of.
    fn suffix(&self) -> String;

    fn now(&self) -> Timestamp;
}

/// One rule of admission.
#[async_trait]
pub(super) trait Plugin: Send + Sync {
    /// As upstream's `--enable-admission-plugins` calls it.
    fn name(&self) -> &'static str;

    /// Changes the object, or refuses. May run again on its own result.
    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let _ = (request, lookup);
        Ok(())
    }

    /// Refuses what mutation and validation made of the object.
    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let _ = (request, lookup);
        Ok(())
    }
}

/// Lets every plugin change the object.
///
/// # Errors
/// The first plugin's [`Refusal`].
pub(super) async fn mutate(request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
    for plugin in PLUGINS {
        plugin.mutate(request, lookup).await?;
    }
    Ok(())
}

/// Lets every plugin judge the final object.
///
/// # Errors
/// The first plugin's [`Refusal`].
pub(super) async fn validate(request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
    for plugin in PLUGINS {
        plugin.validate(request, lookup).await?;
    }
    Ok(())
}

impl Request<'_> {
    /// The Pod that is created or updated as a whole; `None` for anything else.
    fn pod_mut(&mut self) -> Option<&mut Pod> {
        self.whole_mut()
    }

    /// The object, if it is of this kind and created or updated as a whole.
    fn whole_mut<K: 'static>(&mut self) -> Option<&mut K> {
        if !self.subresource.is_empty() {
            return None;
        }
        self.object.as_deref_mut()?.downcast_mut()
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.operation)
            .field("resource", &self.resource)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for dyn Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod testing {
    //! A store of two objects, and a request to fill in.

    use serde_json::json;

    use super::*;

    /// Knows the namespace `default` with its account `default`, and the namespace `going`, which is
    /// being deleted.
    pub(super) struct Store;

    #[async_trait]
    impl Lookup for Store {
        async fn namespace(&self, name: &str) -> Result<Option<Arc<Namespace>>, LookupError> {
            let phase = match name {
                "default" => "Active",
                "going" => "Terminating",
                _ => return Ok(None),
            };
            let namespace = json!({"metadata": {"name": name}, "status": {"phase": phase}});
            Ok(Some(Arc::new(serde_json::from_value(namespace).unwrap())))
        }

        async fn service_account(
            &self,
            namespace: &str,
            name: &str,
        ) -> Result<Option<Arc<ServiceAccount>>, LookupError> {
            if (namespace, name) != ("default", "default") {
                return Ok(None);
            }
            let account = json!({"imagePullSecrets": [{"name": "pull"}]});
            Ok(Some(Arc::new(serde_json::from_value(account).unwrap())))
        }

        /// `ranged` has one.
        async fn limit_ranges(&self, name: &str) -> Result<Vec<Arc<LimitRange>>, LookupError> {
            let range = json!({"spec": {"limits": [
                {"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"},
                 "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "250m"},
                 "maxLimitRequestRatio": {"memory": "2"}},
                {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"},
                 "max": {"storage": "2Gi"}},
            ]}});
            let range = (name == "ranged").then(|| serde_json::from_value(range).unwrap());
            Ok(range.into_iter().map(Arc::new).collect())
        }

        /// `rationed` has one.
        async fn resource_quotas(
            &self,
            name: &str,
        ) -> Result<Vec<Arc<ResourceQuota>>, LookupError> {
            let quota = json!({"metadata": {"name": "ration"},
                "spec": {"hard": {"pods": "2", "requests.cpu": "1"}}});
            let quota = (name == "rationed").then(|| serde_json::from_value(quota).unwrap());
            Ok(quota.into_iter().map(Arc::new).collect())
        }

        async fn objects(
            &self,
            _: &str,
            resource: &str,
            namespace: &str,
        ) -> Result<Vec<Arc<Object>>, LookupError> {
            if (resource, namespace) != ("pods", "rationed") {
                return Ok(Vec::new());
            }
            let requests = json!({"requests": {"cpu": "600m"}});
            let one = pod(json!({"containers": [{"name": "c", "resources": requests}]}));
            Ok(vec![Arc::new(one)])
        }

        /// None is the default. `meek` sends nobody away.
        async fn priority_class(
            &self,
            name: &str,
        ) -> Result<Option<Arc<PriorityClass>>, LookupError> {
            let (value, policy) = match name {
                "system-node-critical" => (2_000_001_000, None),
                "high" => (1000, Some("PreemptLowerPriority")),
                "meek" => (7, Some("Never")),
                _ => return Ok(None),
            };
            let class =
                json!({"metadata": {"name": name}, "value": value, "preemptionPolicy": policy});
            Ok(Some(Arc::new(serde_json::from_value(class).unwrap())))
        }

        async fn default_priority_class(&self) -> Result<Option<Arc<PriorityClass>>, LookupError> {
            Ok(None)
        }

        async fn default_ingress_class(&self) -> Result<Option<String>, LookupError> {
            Ok(Some("sampan".to_owned()))
        }

        async fn default_storage_class(&self) -> Result<Option<String>, LookupError> {
            Ok(Some("standard".to_owned()))
        }

        /// `standard` lets claims grow, `stiff` does not; there are no others.
        async fn storage_class(
            &self,
            name: &str,
        ) -> Result<Option<Arc<StorageClass>>, LookupError> {
            let grows = match name {
                "standard" => true,
                "stiff" => false,
                _ => return Ok(None),
            };
            let class = json!({"provisioner": "a.b/c", "allowVolumeExpansion": grows});
            Ok(Some(Arc::new(serde_json::from_value(class).unwrap())))
        }

        fn suffix(&self) -> String {
            "abcde".to_owned()
        }

        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    /// A request for a Pod in `default`.
    pub(super) fn request(operation: Operation, pod: &mut Pod) -> Request<'_> {
        request_for(operation, "pods", pod)
    }

    /// A request for an object of the core group.
    pub(super) fn request_for<'a>(
        operation: Operation,
        resource: &'a str,
        object: &'a mut Object,
    ) -> Request<'a> {
        Request {
            operation,
            group: "",
            resource,
            subresource: "",
            namespace: "default",
            name: "p",
            object: Some(object),
            old: None,
        }
    }

    pub(super) fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    /// What the plugin makes of the Pod's spec, or its refusal.
    pub(super) async fn mutated(
        plugin: &dyn Plugin,
        operation: Operation,
        spec: serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        let mut pod = pod(spec);
        let mut request = request(operation, &mut pod);
        plugin.mutate(&mut request, &Store).await.map_err(|refusal| refusal.to_string())?;
        Ok(serde_json::to_value(&pod).unwrap()["spec"].take())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::testing::{Store, pod, request};
    use super::*;

    #[test]
    fn no_two_plugins_share_a_name() {
        let names: BTreeSet<_> = PLUGINS.iter().map(|plugin| plugin.name()).collect();
        assert_eq!(names.len(), PLUGINS.len());
    }

    #[tokio::test]
    async fn a_second_run_changes_nothing() {
        let mut pod = pod(json!({"containers": []}));
        mutate(&mut request(Operation::Create, &mut pod), &Store).await.unwrap();
        let once = pod.clone();
        mutate(&mut request(Operation::Create, &mut pod), &Store).await.unwrap();
        assert_eq!(pod, once);
        validate(&request(Operation::Create, &mut pod), &Store).await.unwrap();
    }

    #[tokio::test]
    async fn subresources_are_left_alone() {
        let mut pod = pod(json!({"containers": []}));
        let before = pod.clone();
        let mut request = request(Operation::Update, &mut pod);
        request.subresource = "status";
        mutate(&mut request, &Store).await.unwrap();
        assert_eq!(pod, before);
    }
}
