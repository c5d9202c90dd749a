//! The PriorityClasses that every cluster has: those of what the cluster, or a node, cannot do without.

use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};

use super::registry::SYSTEM_PRIORITIES;

/// Makes those that are not there.
///
/// # Errors
/// What the API server answers.
pub(super) async fn ensure(client: kube::Client) -> Result<(), kube::Error> {
    let api = Api::<PriorityClass>::all(client);
    for (name, value) in SYSTEM_PRIORITIES {
        let description = if name == "system-node-critical" {
            "Used for system critical pods that must not be moved from their current node."
        } else {
            "Used for system critical pods that must run in the cluster, but can be moved to another \
             node if necessary."
        };
        let class = PriorityClass {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            value,
            description: Some(description.to_owned()),
            ..PriorityClass::default()
        };
        match api.create(&PostParams::default(), &class).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            made => drop(made?),
        }
    }
    Ok(())
}
