//! A claim that names no class gets the default one; one that names the empty class wants none.
//!
//! Upstream: `plugin/pkg/admission/storage/storageclass/setdefault/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::{Lookup, Operation, Plugin, Refusal, Request};
use crate::api::claim;

pub(super) struct DefaultStorageClass;

#[async_trait]
impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        if request.operation != Operation::Create {
            return Ok(());
        }
        let Some(claim) = request.whole_mut::<PersistentVolumeClaim>() else { return Ok(()) };
        let is_said = claim::has_annotation(&claim.metadata, claim::BETA_STORAGE_CLASS);
        let spec = claim.spec.get_or_insert_default();
        if !is_said && spec.storage_class_name.is_none() {
            spec.storage_class_name = lookup.default_storage_class().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Store, request_for};
    use super::*;

    async fn class_of(meta: Value, spec: Value, operation: Operation) -> Option<String> {
        let mut claim: PersistentVolumeClaim =
            serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap();
        let mut request = request_for(operation, "persistentvolumeclaims", &mut claim);
        DefaultStorageClass.mutate(&mut request, &Store).await.unwrap();
        claim.spec.unwrap().storage_class_name
    }

    #[tokio::test]
    async fn only_who_names_none_gets_the_default() {
        let named = |name: &str| Some(name.to_owned());
        let create = Operation::Create;
        assert_eq!(class_of(json!({}), json!({}), create).await, named("standard"));
        let none = json!({"storageClassName": ""});
        assert_eq!(class_of(json!({}), none, create).await, named(""));
        let old = json!({"annotations": {claim::BETA_STORAGE_CLASS: "slow"}});
        assert_eq!(class_of(old, json!({}), create).await, None);
        assert_eq!(class_of(json!({}), json!({}), Operation::Update).await, None);
    }
}
