//! A claim may grow once it is bound, if its class allows it.
//!
//! Upstream: `plugin/pkg/admission/storage/persistentvolume/resize/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::{Lookup, Operation, Plugin, Refusal, Request};
use crate::api::claim;

pub(super) struct PersistentVolumeClaimResize;

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        if request.operation != Operation::Update || !request.subresource.is_empty() {
            return Ok(());
        }
        let typed = |object: Option<&super::Object>| {
            object.and_then(|object| object.downcast_ref::<PersistentVolumeClaim>()).cloned()
        };
        let (new, old) = (typed(request.object.as_deref()), typed(request.old));
        let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
        if claim::requested(&new) <= claim::requested(&old) {
            return Ok(());
        }
        let forbidden = |cause: &str| Err(Refusal::Forbidden { cause: cause.to_owned() });
        if claim::phase_of_claim(&old) != "Bound" {
            return forbidden("Only bound persistent volume claims can be expanded");
        }
        let class = match claim::class_of_claim(&old) {
            "" => None,
            name => lookup.storage_class(name).await?,
        };
        if class.is_some_and(|class| class.allow_volume_expansion == Some(true)) {
            return Ok(());
        }
        forbidden(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions \
             the pvc must support resize",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Store, request_for};
    use super::*;

    fn claim(size: &str, class: &str, phase: &str) -> PersistentVolumeClaim {
        serde_json::from_value(json!({
            "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    async fn refusal(size: &str, class: &str, phase: &str) -> Option<String> {
        let old = claim("1Gi", class, phase);
        let mut new = claim(size, class, phase);
        let mut request = request_for(Operation::Update, "persistentvolumeclaims", &mut new);
        request.old = Some(&old);
        let answer = PersistentVolumeClaimResize.validate(&request, &Store).await;
        answer.err().map(|refusal| refusal.to_string())
    }

    #[tokio::test]
    async fn a_claim_grows_where_its_class_lets_it() {
        assert_eq!(refusal("2Gi", "standard", "Bound").await, None);
        assert_eq!(refusal("1Gi", "stiff", "Bound").await, None);
        let pending = refusal("2Gi", "standard", "Pending").await;
        assert_eq!(pending.unwrap(), "Only bound persistent volume claims can be expanded");
        for class in ["stiff", "gone", ""] {
            let told = refusal("2Gi", class, "Bound").await.unwrap();
            assert!(told.starts_with("only dynamically provisioned pvc can be resized"), "{told}");
        }
    }
}
