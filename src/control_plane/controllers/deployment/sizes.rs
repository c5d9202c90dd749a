//! How many Pods each ReplicaSet of a Deployment shall have: the arithmetic of rollouts and of scaling.
//!
//! Upstream: `pkg/controller/deployment/{rolling,sync}.go`, `util/deployment_util.go`.

use std::cmp::Reverse;

use k8s_openapi::api::apps::v1::{DeploymentSpec, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::revisions::{annotation, note_sizes};

/// How far a rollout may stray from the wanted size, in Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leeway {
    pub(super) surge: i32,
    pub(super) unavailable: i32,
}

impl Leeway {
    /// None with the strategy Recreate. Shares of the size are rounded up for the surge and down for
    /// the unavailable; if both come to nothing, one may be unavailable.
    ///
    /// Upstream: `ResolveFenceposts`, `MaxSurge`, `MaxUnavailable`.
    pub(super) fn of(spec: &DeploymentSpec) -> Self {
        if !is_rolling(spec) {
            return Self { surge: 0, unavailable: 0 };
        }
        let size = wanted(spec);
        let update = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = update.and_then(|update| update.max_surge.as_ref());
        let surge = amount(surge, size, Rounding::Up);
        let unavailable = update.and_then(|update| update.max_unavailable.as_ref());
        let unavailable = match amount(unavailable, size, Rounding::Down) {
            0 if surge == 0 => 1,
            amount => amount,
        };
        Self { surge, unavailable: unavailable.min(size) }
    }
}

pub(super) fn is_rolling(spec: &DeploymentSpec) -> bool {
    let strategy = spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    strategy != Some("Recreate")
}

pub(super) fn wanted(spec: &DeploymentSpec) -> i32 {
    spec.replicas.unwrap_or(1)
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

fn amount(amount: Option<&IntOrString>, of: i32, rounding: Rounding) -> i32 {
    match amount {
        None => 0,
        Some(IntOrString::Int(number)) => (*number).max(0),
        Some(IntOrString::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let share = percent.saturating_mul(i64::from(of));
            let rounded = match rounding {
                Rounding::Up => share.saturating_add(99) / 100,
                Rounding::Down => share / 100,
            };
            i32::try_from(rounded.max(0)).unwrap_or(i32::MAX)
        }
    }
}

/// `spec.replicas` of a ReplicaSet.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// Those of its available Pods that it keeps whatever it deletes: a set that shrinks lets go of others
/// first, and its status may not show yet that it has shrunk.
fn kept_available(set: &ReplicaSet) -> i32 {
    available(set).min(size(set))
}

/// Makes `set` that large, and notes on it how large the whole is.
pub(super) fn resize(spec: &DeploymentSpec, set: &mut ReplicaSet, size: i32) {
    set.spec.get_or_insert_default().replicas = Some(size);
    note_sizes(set, wanted(spec), wanted(spec).saturating_add(Leeway::of(spec).surge));
}

/// The size of a new ReplicaSet beside `others`, as far as the surge allows; `current` is its own.
///
/// Upstream: `NewRSNewReplicas`.
pub(super) fn grown(spec: &DeploymentSpec, current: i32, others: i32) -> i32 {
    if !is_rolling(spec) {
        return wanted(spec);
    }
    let room = wanted(spec) + Leeway::of(spec).surge - others - current;
    current + room.min(wanted(spec) - current).max(0)
}

/// Gives a rollout's new ReplicaSet what room there is; answers whether that changes anything.
pub(super) fn grow_new(spec: &DeploymentSpec, new: &mut ReplicaSet, old: &[ReplicaSet]) -> bool {
    let current = size(new);
    let next = match current.cmp(&wanted(spec)) {
        std::cmp::Ordering::Equal => return false,
        std::cmp::Ordering::Greater => wanted(spec),
        std::cmp::Ordering::Less => grown(spec, current, old.iter().map(size).sum()),
    };
    if next != current {
        resize(spec, new, next);
    }
    next != current
}

/// Takes from a rollout's old ReplicaSets, oldest first, what the new one no longer needs: first what
/// is not available anyway, then as much as leaves enough available. Answers whether that changes
/// anything.
///
/// Upstream: `reconcileOldReplicaSets`.
pub(super) fn shrink_old(spec: &DeploymentSpec, new: &ReplicaSet, old: &mut [ReplicaSet]) -> bool {
    let min_available = wanted(spec) - Leeway::of(spec).unavailable;
    let all: i32 = old.iter().map(size).sum::<i32>() + size(new);
    let new_unavailable = size(new) - kept_available(new);
    let mut excess = all - min_available - new_unavailable;
    let mut changed = false;
    for set in &mut *old {
        let unhealthy = (size(set) - kept_available(set)).min(excess);
        if unhealthy > 0 {
            resize(spec, set, size(set) - unhealthy);
            excess -= unhealthy;
            changed = true;
        }
    }
    let all_available: i32 = old.iter().map(kept_available).sum::<i32>() + kept_available(new);
    let mut spare = (all_available - min_available).min(excess);
    for set in old {
        let fewer = size(set).min(spare);
        if fewer > 0 {
            resize(spec, set, size(set) - fewer);
            spare -= fewer;
            changed = true;
        }
    }
    changed
}

/// Whether the Deployment's size has changed since its ReplicaSets were sized.
///
/// Upstream: `isScalingEvent`.
pub(super) fn is_scaling<'a>(
    spec: &DeploymentSpec,
    mut sets: impl Iterator<Item = &'a ReplicaSet>,
) -> bool {
    sets.any(|set| {
        let noted = annotation(set, super::revisions::DESIRED).and_then(|text| text.parse().ok());
        size(set) > 0 && noted.is_some_and(|noted: i32| noted != wanted(spec))
    })
}

/// Brings the ReplicaSets to a new size of the Deployment. In the middle of a rollout each keeps its
/// share.
///
/// Upstream: `scale` in `sync.go`.
pub(super) fn scale(
    spec: &DeploymentSpec,
    status_replicas: i32,
    new: Option<&mut ReplicaSet>,
    old: &mut [ReplicaSet],
) {
    let is_saturated = new.as_deref().is_some_and(|new| is_saturated(spec, new));
    let has_new = new.is_some();
    // Oldest first, as they come; the new one last.
    let mut all: Vec<&mut ReplicaSet> = old.iter_mut().chain(new).collect();
    let active = all.iter().filter(|set| size(set) > 0).count();
    if active <= 1 {
        let active_or_latest = all.iter().position(|set| size(set) > 0);
        let latest = all.len().checked_sub(1);
        if let Some(at) = active_or_latest.or(latest) {
            resize(spec, all[at], wanted(spec));
        }
        return;
    }
    if is_saturated && has_new {
        all.pop();
        for set in all.into_iter().filter(|set| size(set) > 0) {
            resize(spec, set, 0);
        }
        return;
    }
    if is_rolling(spec) {
        all.retain(|set| size(set) > 0);
        scale_in_proportion(spec, status_replicas, &mut all);
    }
}

/// The new ReplicaSet is all there is meant to be.
fn is_saturated(spec: &DeploymentSpec, new: &ReplicaSet) -> bool {
    let noted = annotation(new, super::revisions::DESIRED).and_then(|text| text.parse().ok());
    let wanted = wanted(spec);
    size(new) == wanted && noted == Some(wanted) && available(new) == wanted
}

fn scale_in_proportion(spec: &DeploymentSpec, status_replicas: i32, sets: &mut [&mut ReplicaSet]) {
    let total: i32 = sets.iter().map(|set| size(set)).sum();
    let allowed = if wanted(spec) > 0 { wanted(spec) + Leeway::of(spec).surge } else { 0 };
    let to_add = allowed - total;
    // Larger ones first; of equals the newer one grows first, and the older one shrinks first.
    sets.reverse();
    if to_add < 0 {
        sets.reverse();
    }
    sets.sort_by_key(|set| Reverse(size(set)));
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(sets.len());
    for set in &*sets {
        let left = to_add - added;
        let share = if left == 0 { 0 } else { share(spec, status_replicas, set) };
        let part = if to_add > 0 { share.min(left) } else { share.max(left) };
        added += part;
        sizes.push(size(set) + part);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    for (set, size) in sets.iter_mut().zip(sizes) {
        resize(spec, set, size);
    }
}

/// By how much the set grows or shrinks if it keeps its part of the whole.
///
/// Upstream: `getReplicaSetFraction`.
fn share(spec: &DeploymentSpec, status_replicas: i32, set: &ReplicaSet) -> i32 {
    if wanted(spec) == 0 {
        return -size(set);
    }
    let noted = annotation(set, super::revisions::MAX).and_then(|text| text.parse::<i32>().ok());
    let before = noted.filter(|noted| *noted != 0).unwrap_or(status_replicas);
    if before == 0 {
        return 0;
    }
    let whole = f64::from(wanted(spec) + Leeway::of(spec).surge);
    let new_size = f64::from(size(set)) * whole / f64::from(before);
    // Sizes are far below where this would lose anything.
    new_size.round() as i32 - size(set)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(replicas: i32, surge: Value, unavailable: Value) -> DeploymentSpec {
        serde_json::from_value(json!({"replicas": replicas, "selector": {}, "template": {},
            "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}))
        .unwrap()
    }

    fn set(size: i32, available: i32) -> ReplicaSet {
        serde_json::from_value(json!({"metadata": {"name": size.to_string()},
            "spec": {"replicas": size, "selector": {}},
            "status": {"replicas": size, "availableReplicas": available}}))
        .unwrap()
    }

    #[track_caller]
    fn check_leeway(replicas: i32, surge: Value, unavailable: Value, expect: (i32, i32)) {
        let leeway = Leeway::of(&spec(replicas, surge, unavailable));
        assert_eq!((leeway.surge, leeway.unavailable), expect);
    }

    #[test]
    fn shares_are_rounded_in_favour_of_availability() {
        check_leeway(3, json!("25%"), json!("25%"), (1, 0));
        check_leeway(10, json!("25%"), json!("25%"), (3, 2));
        check_leeway(1, json!("0%"), json!("25%"), (0, 1));
        check_leeway(4, json!(2), json!(9), (2, 4));
        check_leeway(0, json!("25%"), json!("25%"), (0, 0));
    }

    #[test]
    fn a_new_set_grows_as_far_as_the_surge_allows() {
        let spec = spec(3, json!("25%"), json!("25%"));
        assert_eq!(grown(&spec, 0, 3), 1);
        assert_eq!(grown(&spec, 1, 3), 1);
        assert_eq!(grown(&spec, 1, 2), 2);
        assert_eq!(grown(&spec, 0, 0), 3);
        assert_eq!(grown(&spec, 0, 100), 0);
        let mut larger = set(9, 9);
        assert!(grow_new(&spec, &mut larger, &[]));
        assert_eq!(size(&larger), 3);
    }

    #[track_caller]
    fn check_shrink(new: ReplicaSet, old: &[ReplicaSet], expect: &[i32]) {
        let mut old = old.to_vec();
        shrink_old(&spec(10, json!(0), json!(2)), &new, &mut old);
        assert_eq!(old.iter().map(size).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn old_sets_shrink_as_far_as_enough_stay_available() {
        check_shrink(set(0, 0), &[set(10, 10)], &[8]);
        check_shrink(set(2, 0), &[set(8, 8)], &[8]);
        check_shrink(set(2, 2), &[set(8, 8)], &[6]);
        // Those that are not available go first, from whichever set.
        check_shrink(set(0, 0), &[set(8, 8), set(2, 0)], &[8, 0]);
        check_shrink(set(0, 0), &[set(10, 5)], &[8]);
        // Its status does not show yet that it has shrunk.
        check_shrink(set(2, 0), &[set(8, 10)], &[8]);
    }

    fn check_scale(replicas: i32, new: Option<ReplicaSet>, old: &[ReplicaSet], expect: &[i32]) {
        let (mut new, mut old) = (new, old.to_vec());
        let note = |set: &mut ReplicaSet| note_sizes(set, 10, 12);
        old.iter_mut().chain(new.as_mut()).for_each(note);
        scale(&spec(replicas, json!(2), json!(1)), 12, new.as_mut(), &mut old);
        let sizes: Vec<i32> = old.iter().chain(new.as_ref()).map(size).collect();
        assert_eq!(sizes, expect);
    }

    #[test]
    fn one_set_takes_the_whole_size() {
        check_scale(5, Some(set(3, 3)), &[set(0, 0)], &[0, 5]);
        check_scale(5, Some(set(0, 0)), &[set(0, 0)], &[0, 5]);
        check_scale(5, None, &[set(3, 3)], &[5]);
        check_scale(0, Some(set(3, 3)), &[], &[0]);
    }

    #[test]
    fn sets_of_a_rollout_keep_their_shares() {
        check_scale(20, Some(set(6, 3)), &[set(6, 6)], &[11, 11]);
        check_scale(28, Some(set(4, 3)), &[set(8, 8)], &[20, 10]);
        check_scale(4, Some(set(4, 3)), &[set(8, 8)], &[4, 2]);
        check_scale(0, Some(set(4, 3)), &[set(8, 8)], &[0, 0]);
        check_scale(10, Some(set(10, 10)), &[set(2, 2)], &[0, 10]);
    }

    #[test]
    fn a_changed_size_shows_on_the_sets() {
        let spec = spec(5, json!(1), json!(1));
        let mut noted = set(3, 3);
        note_sizes(&mut noted, 3, 4);
        assert!(is_scaling(&spec, [&noted].into_iter()));
        note_sizes(&mut noted, 5, 6);
        assert!(!is_scaling(&spec, [&noted].into_iter()));
        assert!(!is_scaling(&spec, [&set(3, 3)].into_iter()));
    }
}
