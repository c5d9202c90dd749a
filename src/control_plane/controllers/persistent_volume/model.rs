//! The plans against a world where users and a provisioner come and go and writes are late: no two claims
//! have one volume, what is to be retained stays, and in the end everybody has what can be had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use proptest::prelude::*;
use serde_json::json;

use super::plan::{Plan, Step};
use super::{claims, volumes};
use crate::api::claim::{self, LOCAL_PATH, PROVISIONED_BY, STORAGE_PROVISIONER};

/// What is stored, and writes that were planned and have yet to arrive.
struct World {
    claims: BTreeMap<String, Arc<PersistentVolumeClaim>>,
    volumes: BTreeMap<String, Arc<PersistentVolume>>,
    late: Vec<Step>,
    class: StorageClass,
    serial: u32,
    /// Volumes made by users, who have yet to delete them.
    kept: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Event {
    MakeClaim {
        name: u8,
        size: u8,
        dynamic: bool,
        volume: Option<u8>,
    },
    DeleteClaim(u8),
    MakeVolume {
        name: u8,
        size: u8,
        retain: bool,
        claim: Option<u8>,
    },
    DeleteVolume(u8),
    /// A plan is made; it is written now, or later, or never.
    Plan {
        at: usize,
        late: bool,
    },
    Arrive(usize),
    LosePlans,
    Provision(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let name = || 0u8..4;
    let maybe = || proptest::option::weighted(0.2, 0u8..4);
    prop_oneof![
        3 => (name(), 1u8..5, any::<bool>(), maybe())
            .prop_map(|(name, size, dynamic, volume)| Event::MakeClaim { name, size, dynamic, volume }),
        2 => name().prop_map(Event::DeleteClaim),
        3 => (name(), 1u8..5, any::<bool>(), maybe())
            .prop_map(|(name, size, retain, claim)| Event::MakeVolume { name, size, retain, claim }),
        1 => name().prop_map(Event::DeleteVolume),
        20 => (0usize..16, any::<bool>()).prop_map(|(at, late)| Event::Plan { at, late }),
        10 => (0usize..8).prop_map(Event::Arrive),
        1 => Just(Event::LosePlans),
        3 => name().prop_map(Event::Provision),
    ]
}

impl World {
    fn new() -> Self {
        let class = json!({"metadata": {"name": "standard"}, "provisioner": LOCAL_PATH,
            "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
        Self {
            claims: BTreeMap::new(),
            volumes: BTreeMap::new(),
            late: Vec::new(),
            class: serde_json::from_value(class).unwrap(),
            serial: 0,
            kept: BTreeSet::new(),
        }
    }

    fn next(&mut self) -> String {
        self.serial += 1;
        self.serial.to_string()
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::MakeClaim { name, size, dynamic, volume } => {
                let name = format!("c{name}");
                if self.claims.contains_key(&name) {
                    return;
                }
                let serial = self.next();
                let class = if dynamic { "standard" } else { "" };
                let claim = json!({
                    "metadata": {"name": name, "namespace": "n", "uid": serial, "resourceVersion": serial},
                    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
                        "volumeName": volume.map(|volume| format!("v{volume}")),
                        "resources": {"requests": {"storage": format!("{size}Gi")}}},
                    "status": {"phase": "Pending"},
                });
                self.claims.insert(name, Arc::new(serde_json::from_value(claim).unwrap()));
            }
            Event::DeleteClaim(name) => drop(self.claims.remove(&format!("c{name}"))),
            Event::MakeVolume { name, size, retain, claim } => {
                let name = format!("v{name}");
                if self.volumes.contains_key(&name) {
                    return;
                }
                let serial = self.next();
                let claim =
                    claim.map(|claim| json!({"namespace": "n", "name": format!("c{claim}")}));
                let volume = json!({
                    "metadata": {"name": name, "uid": serial, "resourceVersion": serial},
                    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
                        "capacity": {"storage": format!("{size}Gi")}, "claimRef": claim,
                        "persistentVolumeReclaimPolicy": if retain { "Retain" } else { "Delete" }},
                    "status": {"phase": "Pending"},
                });
                self.kept.insert(name.clone());
                self.volumes.insert(name, Arc::new(serde_json::from_value(volume).unwrap()));
            }
            // One that is bound is protected.
            Event::DeleteVolume(name) => {
                let name = format!("v{name}");
                let bound =
                    |volume: &Arc<PersistentVolume>| claim::phase_of_volume(volume) == "Bound";
                if !self.volumes.get(&name).is_some_and(bound) {
                    self.volumes.remove(&name);
                    self.kept.remove(&name);
                }
            }
            Event::Plan { at, late } => {
                let plan = self.plan(at);
                match plan.step {
                    Some(step) if late => self.late.push(step),
                    Some(step) => self.write(step),
                    None => {}
                }
            }
            Event::Arrive(at) if at < self.late.len() => {
                let step = self.late.remove(at);
                self.write(step);
            }
            Event::Arrive(_) => {}
            Event::LosePlans => self.late.clear(),
            Event::Provision(name) => self.provision(&format!("c{name}")),
        }
    }

    /// For the `at`th object.
    fn plan(&self, at: usize) -> Plan {
        let count = (self.claims.len() + self.volumes.len()).max(1);
        let at = at % count;
        match self.claims.values().nth(at) {
            Some(claim) => self.plan_claim(claim),
            None => match self.volumes.values().nth(at - self.claims.len()) {
                Some(volume) => self.plan_volume(volume),
                None => Plan::default(),
            },
        }
    }

    fn plan_claim(&self, claim: &Arc<PersistentVolumeClaim>) -> Plan {
        let dynamic = claim::class_of_claim(claim) == "standard";
        claims::plan(&claims::View {
            claim,
            volume: self.volumes.get(claim::volume_name(claim)),
            volumes: &|| self.volumes.values().cloned().collect(),
            class: dynamic.then_some(&self.class),
            default_class: &|| None,
        })
    }

    fn plan_volume(&self, volume: &Arc<PersistentVolume>) -> Plan {
        let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        let name = reference.and_then(|reference| reference.name.as_ref());
        let claim = name.and_then(|name| self.claims.get(name));
        volumes::plan(volume, claim.filter(|claim| claim::is_reserved_for(volume, claim)))
    }

    /// As the API server: refused if the object has changed meanwhile.
    fn write(&mut self, step: Step) {
        let version = self.next();
        match step {
            Step::Volume(volume) | Step::VolumeStatus(volume) => {
                let name = volume.metadata.name.clone().unwrap();
                let current = self.volumes.get(&name);
                if current.is_some_and(|old| {
                    old.metadata.resource_version == volume.metadata.resource_version
                }) {
                    let mut volume = volume;
                    volume.metadata.resource_version = Some(version);
                    self.volumes.insert(name, Arc::new(volume));
                }
            }
            Step::Claim(claim) | Step::ClaimStatus(claim) => {
                let name = claim.metadata.name.clone().unwrap();
                let current = self.claims.get(&name);
                if current.is_some_and(|old| {
                    old.metadata.resource_version == claim.metadata.resource_version
                }) {
                    let mut claim = claim;
                    claim.metadata.resource_version = Some(version);
                    self.claims.insert(name, Arc::new(claim));
                }
            }
            Step::Delete(volume) => {
                let name = volume.metadata.name.clone().unwrap();
                let policy =
                    volume.spec.as_ref().unwrap().persistent_volume_reclaim_policy.as_deref();
                assert_eq!(policy, Some("Delete"), "{name} was to be retained");
                let reference = volume.spec.as_ref().unwrap().claim_ref.as_ref().unwrap();
                let owner = self.claims.get(reference.name.as_ref().unwrap());
                let owner = owner.filter(|claim| claim.metadata.uid == reference.uid);
                assert!(
                    owner.is_none_or(|claim| claim::volume_name(claim) != name),
                    "{name} is deleted under its claim"
                );
                let current = self.volumes.get(&name);
                if current.is_some_and(|old| {
                    old.metadata.resource_version == volume.metadata.resource_version
                }) {
                    self.volumes.remove(&name);
                }
            }
        }
        self.check();
    }

    fn provision(&mut self, name: &str) {
        let Some(claim) = self.claims.get(name).cloned() else { return };
        let asked = claim::annotation(&claim.metadata, STORAGE_PROVISIONER) == LOCAL_PATH;
        let uid = claim.metadata.uid.clone().unwrap();
        let name = format!("pvc-{uid}");
        if !asked || !claim::volume_name(&claim).is_empty() || self.volumes.contains_key(&name) {
            return;
        }
        let serial = self.next();
        let spec = claim.spec.clone().unwrap();
        let volume = json!({
            "metadata": {"name": name, "uid": serial, "resourceVersion": serial,
                "annotations": {PROVISIONED_BY: LOCAL_PATH}},
            "spec": {"accessModes": spec.access_modes, "storageClassName": "standard",
                "capacity": spec.resources.unwrap().requests,
                "claimRef": {"namespace": "n", "name": claim.metadata.name, "uid": uid},
                "persistentVolumeReclaimPolicy": "Delete"},
            "status": {"phase": "Pending"},
        });
        self.volumes.insert(name, Arc::new(serde_json::from_value(volume).unwrap()));
    }

    fn check(&self) {
        let mut taken = BTreeMap::new();
        for claim in self.claims.values().filter(|claim| claim::phase_of_claim(claim) == "Bound") {
            let volume = claim::volume_name(claim);
            let other = taken.insert(volume, &claim.metadata.name);
            assert!(
                other.is_none(),
                "{volume} has two claims: {other:?}, {:?}",
                claim.metadata.name
            );
        }
        for name in &self.kept {
            assert!(self.volumes.contains_key(name), "nobody has deleted {name}");
        }
    }

    /// Everybody works until there is nothing left to do.
    fn settle(&mut self) {
        self.late.clear();
        for _ in 0..200 {
            let before = self.serial;
            for at in 0..self.claims.len() + self.volumes.len() {
                if let Some(step) = self.plan(at).step {
                    self.write(step);
                }
            }
            for name in self.claims.keys().cloned().collect::<Vec<_>>() {
                self.provision(&name);
            }
            if self.serial == before {
                return;
            }
        }
        panic!("it never settles");
    }

    /// What is left over in the end does not fit together.
    fn check_settled(&self) {
        let volumes: Vec<_> = self.volumes.values().cloned().collect();
        for claim in self.claims.values() {
            match claim::phase_of_claim(claim) {
                "Bound" => {
                    let volume = &self.volumes[claim::volume_name(claim)];
                    assert!(claim::is_reserved_for(volume, claim));
                    assert_eq!(claim::phase_of_volume(volume), "Bound");
                }
                "Lost" => assert!(
                    !self
                        .volumes
                        .get(claim::volume_name(claim))
                        .is_some_and(|volume| { claim::is_reserved_for(volume, claim) })
                ),
                _ if claim::volume_name(claim).is_empty() => {
                    assert_eq!(claim::class_of_claim(claim), "", "there is a provisioner for it");
                    assert!(claim::best_match(claim, &volumes, |_| true).is_none(), "{claim:?}");
                }
                _ => {}
            }
        }
        for volume in volumes.iter().filter(|volume| claim::phase_of_volume(volume) == "Bound") {
            let reference = volume.spec.as_ref().unwrap().claim_ref.as_ref().unwrap();
            assert!(self.claims.contains_key(reference.name.as_ref().unwrap()), "{volume:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn every_claim_gets_a_volume_of_its_own_and_nothing_is_lost(
        events in proptest::collection::vec(event(), 0..160),
    ) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
        world.settle();
        world.check_settled();
    }
}
