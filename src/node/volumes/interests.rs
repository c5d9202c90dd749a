//! Which Pods show which objects.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::api::object::ObjectKey;

/// What a volume may show, or be made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Object {
    ConfigMap(ObjectKey),
    Secret(ObjectKey),
    /// With the volume that it is bound to.
    Claim(ObjectKey),
}

/// Who is to be told when an object changes. Bound: the objects that Pods of this node name.
#[derive(Debug, Default)]
pub(super) struct Interests(Mutex<HashMap<Object, Vec<Weak<Notify>>>>);

impl Interests {
    /// Has `whom` told of every change from now on, as long as it lives.
    pub(super) fn add(&self, objects: Vec<Object>, whom: &Arc<Notify>) {
        let mut interests = self.0.lock();
        for object in objects {
            let all = interests.entry(object).or_default();
            // Those that went make room for those that come: not at every step, for that would be a
            // walk along all Pods that show the object.
            if all.len() == all.capacity() {
                all.retain(|one| one.strong_count() > 0);
            }
            all.push(Arc::downgrade(whom));
        }
    }

    pub(super) fn tell(&self, object: &Object) {
        let mut interests = self.0.lock();
        let Some(all) = interests.get_mut(object) else { return };
        all.retain(|one| {
            one.upgrade().is_some_and(|one| {
                one.notify_one();
                true
            })
        });
        if all.is_empty() {
            interests.remove(object);
        }
    }
}
