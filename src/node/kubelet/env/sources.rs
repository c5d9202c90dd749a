//! ConfigMaps, Secrets and Services that a container's environment is made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};

/// What was found of what [`Needed`] named.
#[derive(Debug, Default)]
pub(in crate::node::kubelet) struct Sources {
    pub(in crate::node::kubelet) config_maps: HashMap<String, Arc<ConfigMap>>,
    pub(in crate::node::kubelet) secrets: HashMap<String, Arc<Secret>>,
    /// See [`super::of_services`].
    pub(in crate::node::kubelet) service_variables: BTreeMap<String, String>,
}

/// Names of objects in the Pod's namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Needed {
    pub(in crate::node::kubelet) config_maps: BTreeSet<String>,
    pub(in crate::node::kubelet) secrets: BTreeSet<String>,
}

impl Needed {
    pub(in crate::node::kubelet) fn by(container: &Container) -> Self {
        let mut needed = Self::default();
        for source in container.env_from.iter().flatten() {
            needed
                .config_maps
                .extend(source.config_map_ref.iter().map(|source| source.name.clone()));
            needed.secrets.extend(source.secret_ref.iter().map(|source| source.name.clone()));
        }
        for variable in container.env.iter().flatten() {
            let Some(from) = &variable.value_from else { continue };
            needed.config_maps.extend(from.config_map_key_ref.iter().map(|key| key.name.clone()));
            needed.secrets.extend(from.secret_key_ref.iter().map(|key| key.name.clone()));
        }
        needed
    }
}

impl Sources {
    /// All entries of a ConfigMap.
    ///
    /// # Errors
    /// Upstream's words for a ConfigMap that is missing, unless it is `optional`.
    pub(super) fn config_map(&self, name: &str, optional: bool) -> Result<Entries, String> {
        match self.config_maps.get(name) {
            Some(config_map) => Ok(config_map.data.clone().unwrap_or_default()),
            None if optional => Ok(Entries::new()),
            None => Err(format!("configmap {name:?} not found")),
        }
    }

    /// All entries of a Secret that are text.
    ///
    /// # Errors
    /// Upstream's words for a Secret that is missing, unless it is `optional`.
    pub(super) fn secret(&self, name: &str, optional: bool) -> Result<Entries, String> {
        match self.secrets.get(name) {
            Some(secret) => {
                let data = secret.data.iter().flatten();
                let text = data.map(|(key, bytes)| {
                    (key.clone(), String::from_utf8_lossy(&bytes.0).into_owned())
                });
                Ok(text.collect())
            }
            None if optional => Ok(Entries::new()),
            None => Err(format!("secret {name:?} not found")),
        }
    }
}

pub(super) type Entries = BTreeMap<String, String>;
