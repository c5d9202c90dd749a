//! Who claims what: several Services and Pods may want the same address, and Services share names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;

use crate::api::object::ObjectKey;

/// Who claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    Service(ObjectKey),
    Pod(ObjectKey),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => write!(f, "Service {key}"),
            Self::Pod(key) => write!(f, "Pod {key}"),
        }
    }
}

/// What each owner claims of some table. Who has what only one can have does not depend on the order
/// in which they came.
#[derive(Debug)]
pub(super) struct Claims<K, V> {
    by_key: HashMap<K, BTreeMap<Owner, V>>,
    by_owner: HashMap<Owner, BTreeSet<K>>,
}

impl<K, V> Default for Claims<K, V> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), by_owner: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash, V: PartialEq> Claims<K, V> {
    /// Makes `claims` all that `owner` claims, and adds to `changed` what differs from before.
    pub(super) fn set(&mut self, owner: &Owner, claims: BTreeMap<K, V>, changed: &mut BTreeSet<K>) {
        let before = self.by_owner.remove(owner).unwrap_or_default();
        for key in before.into_iter().filter(|key| !claims.contains_key(key)) {
            let owners =
                self.by_key.get_mut(&key).expect("what an owner claims is known by its key");
            owners.remove(owner);
            if owners.is_empty() {
                self.by_key.remove(&key);
            }
            changed.insert(key);
        }
        if !claims.is_empty() {
            self.by_owner.insert(owner.clone(), claims.keys().cloned().collect());
        }
        for (key, value) in claims {
            let owners = self.by_key.entry(key.clone()).or_default();
            if owners.get(owner) != Some(&value) {
                owners.insert(owner.clone(), value);
                changed.insert(key);
            }
        }
    }

    /// Who has it, and what they want with it: the lowest rank, then the first by name.
    pub(super) fn first<R: Ord>(&self, key: &K, rank: impl Fn(&V) -> R) -> Option<(&Owner, &V)> {
        self.by_key.get(key)?.iter().min_by_key(|(_, value)| rank(value))
    }

    /// Everybody who wants it, and what for.
    pub(super) fn all(&self, key: &K) -> impl Iterator<Item = (&Owner, &V)> {
        self.by_key.get(key).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_told_and_the_lowest_or_first_by_name_has_it() {
        let mut claims = Claims::default();
        let owner = |name| Owner::Service(ObjectKey::new("n", name));
        let (a, b) = (owner("a"), owner("b"));
        let mut set = |owner: &Owner, values: &[(&'static str, u8)]| {
            let mut changed = BTreeSet::new();
            claims.set(owner, values.iter().copied().collect(), &mut changed);
            let first = claims
                .first(&"x", |value| value / 10)
                .map(|(owner, value)| (owner.to_string(), *value));
            (changed.into_iter().collect::<Vec<_>>(), first)
        };
        assert_eq!(
            set(&b, &[("x", 1), ("y", 1)]),
            (vec!["x", "y"], Some(("Service n/b".to_owned(), 1)))
        );
        assert_eq!(
            set(&b, &[("x", 1), ("y", 2)]),
            (vec!["y"], Some(("Service n/b".to_owned(), 1)))
        );
        assert_eq!(set(&a, &[("x", 7)]), (vec!["x"], Some(("Service n/a".to_owned(), 7))));
        assert_eq!(set(&a, &[("x", 70)]), (vec!["x"], Some(("Service n/b".to_owned(), 1))));
        assert_eq!(set(&a, &[]), (vec!["x"], Some(("Service n/b".to_owned(), 1))));
        assert_eq!(set(&b, &[]), (vec!["x", "y"], None));
        assert_eq!(claims.all(&"x").count(), 0);
        assert!(claims.by_key.is_empty() && claims.by_owner.is_empty());
    }
}
