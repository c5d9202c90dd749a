//! Hands what is about to be written to the admission plugins, and looks up what they ask for.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;

use super::ApiServer;
use super::allocation::Turn;
use super::call::Call;
use super::status::{Failure, Outcome};
use crate::api::object::GroupResource;
use crate::api::status;
use crate::control_plane::admission::{
    self, Lookup, LookupError, Object, Operation, Refusal, Request,
};
use crate::control_plane::registry::{AnyObject, AnyResource, Decoded, KubeObject, RESOURCES};
use crate::control_plane::storage::{ListQuery, Revision, Stored};

/// Bound: how long a write waits for a namespace's first ServiceAccount.
const SERVICE_ACCOUNT_TIMEOUT: Duration = Duration::from_secs(1);

/// Marks the IngressClass that Ingresses get which name none.
const DEFAULT_INGRESS_CLASS: &[&str] = &["ingressclass.kubernetes.io/is-default-class"];

/// Marks the StorageClass that claims get which name none; the second is what it was called before.
const DEFAULT_STORAGE_CLASS: &[&str] = &[
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

type AnyObjectMut<'a> = &'a mut (dyn AnyObject + 'static);
type AnyObjectRef<'a> = &'a (dyn AnyObject + 'static);

impl Call {
    /// Lets the plugins change the object.
    ///
    /// # Errors
    /// A plugin's refusal.
    pub(crate) async fn admit(
        &self,
        operation: Operation,
        object: Option<AnyObjectMut<'_>>,
        old: Option<AnyObjectRef<'_>>,
    ) -> Outcome<()> {
        let name = self.name_to_tell(object.as_deref());
        let mut request = self.admission_request(operation, object, old);
        let answer = admission::mutate(&mut request, &self.server).await;
        answer.map_err(|refusal| self.refused(&name, &refusal))
    }

    /// Lets the plugins look at the object as it will be written. `Some` where what is written is counted:
    /// the caller keeps the turn until it has written the object.
    ///
    /// # Errors
    /// A plugin's refusal.
    pub(crate) async fn review(
        &self,
        operation: Operation,
        object: Option<AnyObjectMut<'_>>,
        old: Option<AnyObjectRef<'_>>,
    ) -> Outcome<Option<Turn>> {
        let name = self.name_to_tell(object.as_deref());
        let counts = operation != Operation::Delete && self.is_counted().await?;
        let turn = match counts {
            true => Some(self.server.counting().lock_owned().await),
            false => None,
        };
        let request = self.admission_request(operation, object, old);
        let answer = admission::validate(&request, &self.server).await;
        answer.map_err(|refusal| self.refused(&name, &refusal))?;
        Ok(turn)
    }

    /// Whether the object counts in ResourceQuotas of its namespace.
    async fn is_counted(&self) -> Outcome<bool> {
        let whole = self.request.subresource.is_none() && !self.namespace().is_empty();
        if !whole || self.resource.names().plural == "events" {
            return Ok(false);
        }
        let quotas = self.server.resource_quotas(self.namespace()).await;
        Ok(!quotas.map_err(|error| Failure::internal(&error))?.is_empty())
    }

    /// Adds the kind's own warnings about the object.
    pub(crate) fn warn(&mut self, object: &dyn AnyObject) {
        self.warnings.extend(self.resource.warnings(object));
    }

    fn admission_request<'a>(
        &'a self,
        operation: Operation,
        object: Option<AnyObjectMut<'a>>,
        old: Option<AnyObjectRef<'a>>,
    ) -> Request<'a> {
        Request {
            operation,
            group: self.resource.group(),
            resource: self.resource.names().plural,
            subresource: self.request.subresource.as_deref().unwrap_or_default(),
            namespace: self.namespace(),
            name: self.name(),
            object: object.map(|object| -> &mut Object { object }),
            old: old.map(|old| -> &Object { old }),
        }
    }

    /// The name in the path; for a new object its own, or what it is generated from.
    ///
    /// Upstream: `extractResourceName` in `k8s.io/apiserver/pkg/admission/errors.go`.
    fn name_to_tell(&self, object: Option<AnyObjectRef<'_>>) -> String {
        let meta = object.map(AnyObject::metadata);
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let generated = meta.and_then(|meta| said(&meta.generate_name));
        let own = meta.and_then(|meta| said(&meta.name));
        self.request.name.clone().or(generated).or(own).unwrap_or_default()
    }

    fn refused(&self, name: &str, refusal: &Refusal) -> Failure {
        let forbidden = |cause| status::forbidden(&self.group_resource(), name, cause);
        match refusal {
            Refusal::Forbidden { cause } => forbidden(cause.clone()).into(),
            Refusal::NamespaceTerminating { namespace } => {
                let mut status = forbidden(refusal.to_string());
                let cause = StatusCause {
                    reason: Some("NamespaceTerminating".to_owned()),
                    message: Some(format!("namespace {namespace} is being terminated")),
                    field: Some("metadata.namespace".to_owned()),
                };
                status.details.get_or_insert_default().causes = Some(vec![cause]);
                status.into()
            }
            Refusal::NamespaceNotFound { namespace } => {
                status::not_found(&GroupResource::new("", "namespaces"), namespace).into()
            }
            Refusal::Lookup(err) => Failure::internal(err),
        }
    }
}

#[async_trait]
impl Lookup for ApiServer {
    async fn namespace(&self, name: &str) -> Result<Option<Arc<Namespace>>, LookupError> {
        self.look_up("", name).await
    }

    async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<ServiceAccount>>, LookupError> {
        let before = self.storage().revision().await.map_err(lookup_error)?;
        if let Some(account) = self.look_up(namespace, name).await? {
            return Ok(Some(account));
        }
        if name == "default" {
            tokio::select! {
                waited = self.wait_for_account(namespace, before) => waited?,
                () = self.clock().sleep(SERVICE_ACCOUNT_TIMEOUT) => {}
            }
        }
        self.look_up(namespace, name).await
    }

    async fn limit_ranges(&self, namespace: &str) -> Result<Vec<Arc<LimitRange>>, LookupError> {
        self.all_of(Some(namespace)).await
    }

    async fn resource_quotas(
        &self,
        namespace: &str,
    ) -> Result<Vec<Arc<ResourceQuota>>, LookupError> {
        self.all_of(Some(namespace)).await
    }

    async fn objects(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
    ) -> Result<Vec<Arc<Object>>, LookupError> {
        let is_it = |kind: &&&dyn AnyResource| {
            kind.group() == group && kind.names().plural == resource && kind.is_stored()
        };
        let Some(resource) = RESOURCES.iter().find(is_it) else { return Ok(Vec::new()) };
        let prefix = resource.prefix(Some(namespace));
        let all = self.storage().list(&prefix, ListQuery::default()).await;
        let all = all.map_err(lookup_error)?.items;
        let typed = |stored: &Arc<Stored>| -> Result<Arc<Object>, LookupError> {
            Ok(resource.decoded(stored).map_err(lookup_error)?)
        };
        all.iter().map(typed).collect()
    }

    async fn priority_class(&self, name: &str) -> Result<Option<Arc<PriorityClass>>, LookupError> {
        self.look_up("", name).await
    }

    async fn default_priority_class(&self) -> Result<Option<Arc<PriorityClass>>, LookupError> {
        let all = self.all_of::<PriorityClass>(None).await?;
        let defaults = all.into_iter().filter(|class| class.global_default == Some(true));
        Ok(defaults.min_by_key(|class| class.value))
    }

    async fn default_ingress_class(&self) -> Result<Option<String>, LookupError> {
        self.default_class("networking.k8s.io", "ingressclasses", DEFAULT_INGRESS_CLASS).await
    }

    fn suffix(&self) -> String {
        self.ids().suffix()
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    async fn default_storage_class(&self) -> Result<Option<String>, LookupError> {
        self.default_class("storage.k8s.io", "storageclasses", DEFAULT_STORAGE_CLASS).await
    }

    async fn storage_class(&self, name: &str) -> Result<Option<Arc<StorageClass>>, LookupError> {
        self.look_up("", name).await
    }
}

impl ApiServer {
    /// The name of the class with one of these marks; of several the newest.
    async fn default_class(
        &self,
        group: &str,
        plural: &str,
        marks: &[&str],
    ) -> Result<Option<String>, LookupError> {
        let Some(resource) = self.resource(group, "v1", plural) else { return Ok(None) };
        let all = self.storage().list(&resource.prefix(None), ListQuery::default()).await;
        let all = all.map_err(lookup_error)?.items;
        let classes = all.iter().filter_map(|stored| resource.decoded(stored).ok());
        let defaults = classes.filter(|class| {
            let annotations = class.metadata().annotations.as_ref();
            let value = |mark: &&str| annotations.and_then(|all| all.get(*mark));
            marks.iter().filter_map(value).any(|value| value == "true")
        });
        let made =
            |class: &Decoded| class.metadata().creation_timestamp.as_ref().map(|time| time.0);
        Ok(defaults.max_by_key(made).and_then(|class| class.metadata().name.clone()))
    }

    /// All objects of a kind, or those of a namespace, by name.
    async fn all_of<K: KubeObject>(
        &self,
        namespace: Option<&str>,
    ) -> Result<Vec<Arc<K>>, LookupError> {
        let resource = self.resource_of_kind(K::GROUP, K::VERSION, K::KIND);
        let Some(resource) = resource else { return Ok(Vec::new()) };
        let all = self.storage().list(&resource.prefix(namespace), ListQuery::default()).await;
        let all = all.map_err(lookup_error)?.items;
        let typed = |stored: &Arc<Stored>| {
            let any: Arc<dyn Any + Send + Sync> = resource.decoded(stored).map_err(lookup_error)?;
            any.downcast().map_err(|_| lookup_error("an object of another kind"))
        };
        all.iter().map(typed).collect()
    }

    /// Waits until some ServiceAccount of the namespace has changed after `before`.
    async fn wait_for_account(&self, namespace: &str, before: Revision) -> Result<(), LookupError> {
        let Some(resource) = self.resource("", "v1", "serviceaccounts") else { return Ok(()) };
        let prefix = resource.prefix(Some(namespace));
        let mut watch = self.storage().watch(&prefix, before).await.map_err(lookup_error)?;
        watch.next().await.map_err(lookup_error)?;
        Ok(())
    }

    async fn look_up<K: KubeObject>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<K>>, LookupError> {
        let resource = self.resource_of_kind(K::GROUP, K::VERSION, K::KIND);
        let Some(resource) = resource else { return Ok(None) };
        let stored: Option<Arc<Stored>> =
            self.storage().get(&resource.key(namespace, name)).await.map_err(lookup_error)?;
        let Some(stored) = stored else { return Ok(None) };
        let object = resource.decoded(&stored).map_err(lookup_error)?;
        let any: Arc<dyn Any + Send + Sync> = object;
        Ok(any.downcast().ok())
    }
}

fn lookup_error(err: impl std::fmt::Display) -> LookupError {
    LookupError(err.to_string())
}
