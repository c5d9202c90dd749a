//! The StorageClasses that every cluster has: `standard`, the default, whose claims are bound at once, and
//! `local-path`, whose claims wait for their first Pod, as k3s has it.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::api::claim::LOCAL_PATH;

const CLASSES: [(&str, &str, &str); 2] =
    [("standard", "Immediate", "true"), ("local-path", "WaitForFirstConsumer", "false")];

/// Makes those that are not there. One that a user has changed stays as it is.
///
/// # Errors
/// What the API server answers.
pub(super) async fn ensure(client: kube::Client) -> Result<(), kube::Error> {
    let api = Api::<StorageClass>::all(client);
    for (name, binding_mode, is_default) in CLASSES {
        let class = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": is_default},
            },
            "provisioner": LOCAL_PATH,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": binding_mode,
            "allowVolumeExpansion": true,
        }));
        let class: StorageClass = class.expect("it is written above as its type wants it");
        match api.create(&PostParams::default(), &class).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            made => drop(made?),
        }
    }
    Ok(())
}
