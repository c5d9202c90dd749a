//! Whether a Pod's claims have their volumes where it would run, and what must be written first so that
//! they get them.
//!
//! A claim whose class waits for its first Pod is prepared once the node is known: a free volume there is
//! set aside for it, or the node is written on it for the provisioner. Then the Pod waits; when the claim is
//! bound, it is looked at again like any other.
//!
//! Upstream: `pkg/scheduler/framework/plugins/{volumebinding,volumerestrictions}`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::filters::Refusal;
use crate::api::claim::{self, BOUND_BY_CONTROLLER, SELECTED_NODE};
use crate::api::scheduling::affinity;

/// The claims of a Pod, as they are now.
#[derive(Debug, Default)]
pub(super) struct PodClaims {
    pub(super) claims: Vec<PodClaim>,
    /// All volumes, if one of the claims has none yet.
    pub(super) volumes: Vec<Arc<PersistentVolume>>,
    /// Another Pod uses a claim that only one may use.
    pub(super) is_taken: bool,
}

#[derive(Debug, Default)]
pub(super) struct PodClaim {
    pub(super) name: String,
    /// It is made for the Pod.
    pub(super) is_ephemeral: bool,
    /// Why a claim of that name is not the one that is made for the Pod.
    pub(super) not_its: Option<String>,
    pub(super) claim: Option<Arc<PersistentVolumeClaim>>,
    /// What the claim is bound to.
    pub(super) volume: Option<Arc<PersistentVolume>>,
    pub(super) class: Option<Arc<StorageClass>>,
}

/// A write that brings a claim its volume.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Preparation {
    /// The volume is set aside for a claim.
    SetAside(Box<PersistentVolume>),
    /// The claim is told where its Pod will be.
    Select(Box<PersistentVolumeClaim>),
    /// All is written; the claim has yet to be bound.
    Await,
}

impl PodClaims {
    /// Why the Pod can go nowhere.
    pub(super) fn refusal(&self) -> Option<String> {
        self.claims.iter().find_map(PodClaim::refusal).or_else(|| {
            let is_unbound = |one: &PodClaim| !one.is_bound() && !one.waits_for_pod();
            let unbound = self.claims.iter().any(is_unbound);
            unbound.then(|| "pod has unbound immediate PersistentVolumeClaims".to_owned())
        })
    }

    /// What must be written before the Pod can run on the node; nothing if all is there.
    ///
    /// # Errors
    /// The node's refusal.
    pub(super) fn check(&self, node: &Node) -> Result<Vec<Preparation>, Refusal> {
        let refuse = |reason: &str, unresolvable| {
            Err(Refusal { reasons: vec![reason.to_owned()], unresolvable })
        };
        if self.is_taken {
            let reason = "node has pod using PersistentVolumeClaim with the same name and \
                          ReadWriteOncePod access mode";
            return refuse(reason, false);
        }
        let mut preparations = Vec::new();
        for one in &self.claims {
            match (one.is_bound(), &one.volume, &one.claim) {
                (true, Some(volume), _) if is_near(volume, node) => {}
                (true, Some(_), _) => {
                    return refuse("node(s) had volume node affinity conflict", true);
                }
                (true, None, _) => {
                    let reason = "node(s) unavailable due to one or more pvc(s) bound to \
                                  non-existent pv(s)";
                    return refuse(reason, true);
                }
                (false, _, Some(claim)) => {
                    let Some(preparation) = self.prepare(one, claim, node, &preparations) else {
                        let reason = "node(s) didn't find available persistent volumes to bind";
                        return refuse(reason, true);
                    };
                    preparations.push(preparation);
                }
                (false, _, None) => {}
            }
        }
        Ok(preparations)
    }

    /// A free volume near the node that no other claim of the Pod has, else a new one if the class has
    /// somebody to make it.
    fn prepare(
        &self,
        one: &PodClaim,
        claim: &PersistentVolumeClaim,
        node: &Node,
        others: &[Preparation],
    ) -> Option<Preparation> {
        let is_free = |volume: &PersistentVolume| {
            !others.iter().any(|other| {
                matches!(other, Preparation::SetAside(taken) if taken.metadata.uid == volume.metadata.uid)
            })
        };
        let fits = |volume: &PersistentVolume| is_near(volume, node) && is_free(volume);
        if let Some(volume) = claim::best_match(claim, &self.volumes, fits) {
            if !is_near(volume, node) {
                return None;
            }
            if claim::is_reserved_for(volume, claim) {
                return Some(Preparation::Await);
            }
            let mut volume = Box::new((**volume).clone());
            set_aside(&mut volume, claim);
            return Some(Preparation::SetAside(volume));
        }
        let provisioner = one.class.as_ref().map(|class| class.provisioner.as_str());
        if provisioner.is_none_or(|name| name.starts_with("kubernetes.io/")) {
            return None;
        }
        let name = node.metadata.name.clone().unwrap_or_default();
        if claim::annotation(&claim.metadata, SELECTED_NODE) == name {
            return Some(Preparation::Await);
        }
        let mut claim = claim.clone();
        let annotations = claim.metadata.annotations.get_or_insert_default();
        annotations.insert(SELECTED_NODE.to_owned(), name);
        Some(Preparation::Select(Box::new(claim)))
    }
}

impl PodClaim {
    fn is_bound(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim::is_bound(claim))
    }

    fn waits_for_pod(&self) -> bool {
        let mode = self.class.as_ref().and_then(|class| class.volume_binding_mode.as_deref());
        let named = self.claim.as_ref().is_some_and(|claim| !claim::volume_name(claim).is_empty());
        mode == Some("WaitForFirstConsumer") && !named
    }

    fn refusal(&self) -> Option<String> {
        let name = &self.name;
        let Some(claim) = &self.claim else {
            if self.is_ephemeral {
                return Some(format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim \
                     {name:?}"
                ));
            }
            return Some(format!("persistentvolumeclaim {name:?} not found"));
        };
        if claim::phase_of_claim(claim) == "Lost" {
            let volume = claim::volume_name(claim);
            return Some(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
            ));
        }
        let is_going = claim.metadata.deletion_timestamp.is_some();
        let going = is_going.then(|| format!("persistentvolumeclaim {name:?} is being deleted"));
        going.or_else(|| self.not_its.clone())
    }
}

/// Whether the volume can be used on the node.
fn is_near(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|selector| affinity::selects(selector, node))
}

fn set_aside(volume: &mut PersistentVolume, claim: &PersistentVolumeClaim) {
    let annotations = volume.metadata.annotations.get_or_insert_default();
    annotations.insert(BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned());
    volume.spec.get_or_insert_default().claim_ref = Some(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        namespace: claim.metadata.namespace.clone(),
        name: claim.metadata.name.clone(),
        uid: claim.metadata.uid.clone(),
        resource_version: claim.metadata.resource_version.clone(),
        field_path: None,
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node() -> Node {
        serde_json::from_value(json!({"metadata": {"name": "sampan",
            "labels": {"kubernetes.io/hostname": "sampan"}}}))
        .unwrap()
    }

    fn volume(host: &str) -> Arc<PersistentVolume> {
        let is_there = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [host]});
        let terms = json!([{"matchExpressions": [is_there]}]);
        let volume = json!({
            "metadata": {"name": host, "uid": host},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": "lazy",
                "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}},
            "status": {"phase": "Available"},
        });
        Arc::new(serde_json::from_value(volume).unwrap())
    }

    fn one(name: &str, bound_to: &str, provisioner: &str, mode: &str) -> PodClaim {
        let bound = (!bound_to.is_empty()).then_some("yes");
        let claim = json!({
            "metadata": {"name": name, "namespace": "n", "uid": name,
                "annotations": bound.map(|yes| json!({claim::BIND_COMPLETED: yes}))},
            "spec": {"volumeName": bound_to, "storageClassName": "lazy",
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        });
        let class = json!({"provisioner": provisioner, "volumeBindingMode": mode});
        PodClaim {
            name: name.to_owned(),
            is_ephemeral: false,
            not_its: None,
            claim: Some(Arc::new(serde_json::from_value(claim).unwrap())),
            volume: (!bound_to.is_empty()).then(|| volume(bound_to)),
            class: Some(Arc::new(serde_json::from_value(class).unwrap())),
        }
    }

    fn of(claims: Vec<PodClaim>, volumes: Vec<Arc<PersistentVolume>>) -> PodClaims {
        PodClaims { claims, volumes, is_taken: false }
    }

    const LAZY: &str = "WaitForFirstConsumer";

    #[test]
    fn what_is_missing_is_named() {
        let missing = |is_ephemeral| {
            let there = one("x", "", "a.b/c", "Immediate");
            let missing = PodClaim { is_ephemeral, claim: None, class: None, ..there };
            of(vec![missing], Vec::new()).refusal().unwrap()
        };
        assert_eq!(missing(false), "persistentvolumeclaim \"x\" not found");
        let expect =
            "waiting for ephemeral volume controller to create the persistentvolumeclaim \"x\"";
        assert_eq!(missing(true), expect);
        let unbound = of(vec![one("x", "", "a.b/c", "Immediate")], Vec::new()).refusal();
        let expect = "pod has unbound immediate PersistentVolumeClaims";
        assert_eq!(unbound.as_deref(), Some(expect));
        assert_eq!(of(vec![one("x", "sampan", "a.b/c", "Immediate")], Vec::new()).refusal(), None);
        assert_eq!(of(vec![one("x", "", "a.b/c", LAZY)], Vec::new()).refusal(), None);
    }

    #[test]
    fn a_bound_claim_goes_where_its_volume_is() {
        let reasons = |claims: PodClaims| claims.check(&node()).map_err(|refusal| refusal.reasons);
        let here = of(vec![one("x", "sampan", "a.b/c", LAZY)], Vec::new());
        assert_eq!(reasons(here), Ok(Vec::new()));
        let there = of(vec![one("x", "elsewhere", "a.b/c", LAZY)], Vec::new());
        let expect = vec!["node(s) had volume node affinity conflict".to_owned()];
        assert_eq!(reasons(there), Err(expect));
        let mut taken = of(vec![one("x", "sampan", "a.b/c", LAZY)], Vec::new());
        taken.is_taken = true;
        assert!(!taken.check(&node()).unwrap_err().unresolvable);
    }

    #[test]
    fn an_unbound_claim_is_prepared_for_the_node() {
        let none = "kubernetes.io/no-provisioner";
        let both = || vec![volume("elsewhere"), volume("sampan")];
        let found = of(vec![one("x", "", none, LAZY)], both()).check(&node()).unwrap();
        let [Preparation::SetAside(volume)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(volume.metadata.name.as_deref(), Some("sampan"));
        let two = vec![one("x", "", none, LAZY), one("y", "", none, LAZY)];
        let refusal = of(two, both()).check(&node()).unwrap_err();
        let expect = "node(s) didn't find available persistent volumes to bind";
        assert_eq!(refusal.reasons, [expect]);
        let made = of(vec![one("x", "", "a.b/c", LAZY)], Vec::new()).check(&node()).unwrap();
        let [Preparation::Select(claim)] = &made[..] else { panic!("{made:?}") };
        assert_eq!(claim::annotation(&claim.metadata, SELECTED_NODE), "sampan");
        let mut again = one("x", "", "a.b/c", LAZY);
        again.claim = Some(Arc::new((**claim).clone()));
        let needed = of(vec![again], Vec::new()).check(&node()).unwrap();
        assert_eq!(needed, [Preparation::Await]);
    }
}
