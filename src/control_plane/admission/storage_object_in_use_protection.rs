//! New claims and volumes are kept while they are in use: each gets the finalizer that its protection
//! controller takes away.
//!
//! Upstream: `plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Lookup, Operation, Plugin, Refusal, Request};
use crate::api::claim::{CLAIM_PROTECTION, VOLUME_PROTECTION};

pub(super) struct StorageObjectInUseProtection;

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    async fn mutate(&self, request: &mut Request<'_>, _lookup: &dyn Lookup) -> Result<(), Refusal> {
        if request.operation != Operation::Create {
            return Ok(());
        }
        if let Some(claim) = request.whole_mut::<PersistentVolumeClaim>() {
            protect(&mut claim.metadata, CLAIM_PROTECTION);
        } else if let Some(volume) = request.whole_mut::<PersistentVolume>() {
            protect(&mut volume.metadata, VOLUME_PROTECTION);
        }
        Ok(())
    }
}

fn protect(meta: &mut ObjectMeta, finalizer: &str) {
    let finalizers = meta.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|there| there == finalizer) {
        finalizers.push(finalizer.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Store, request_for};
    use super::*;

    #[tokio::test]
    async fn a_new_one_is_protected_once() {
        let mut claim = PersistentVolumeClaim::default();
        let mut volume = PersistentVolume::default();
        for _ in 0..2 {
            let create = Operation::Create;
            let mut request = request_for(create, "persistentvolumeclaims", &mut claim);
            StorageObjectInUseProtection.mutate(&mut request, &Store).await.unwrap();
            let mut request = request_for(create, "persistentvolumes", &mut volume);
            StorageObjectInUseProtection.mutate(&mut request, &Store).await.unwrap();
        }
        assert_eq!(claim.metadata.finalizers, Some(vec![CLAIM_PROTECTION.to_owned()]));
        assert_eq!(volume.metadata.finalizers, Some(vec![VOLUME_PROTECTION.to_owned()]));
    }
}
