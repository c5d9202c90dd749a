//! What a Deployment needs next, as a function of what is there.
//!
//! Each reconcile takes one step and waits until the caches show it; the change brings the next
//! reconcile. Upstream: `syncDeployment` in `pkg/controller/deployment/deployment_controller.go`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};

use super::revisions::{self, REVISION, annotation};
use super::sizes::{self, size, wanted};
use super::status::Subject;

/// What there is.
pub(super) struct View<'a> {
    pub(super) deployment: &'a Deployment,
    /// Those that it manages.
    pub(super) sets: &'a [Arc<ReplicaSet>],
    /// Given a ReplicaSet's uid, whether Pods of it still run or are about to end.
    pub(super) has_pods: &'a dyn Fn(&ReplicaSet) -> bool,
    pub(super) now: Timestamp,
}

/// What shall be.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Option<ReplicaSet>,
    /// As they were and as they shall be.
    pub(super) change: Vec<(Arc<ReplicaSet>, ReplicaSet)>,
    pub(super) delete: Vec<ReplicaSet>,
    /// If what comes before it succeeds.
    pub(super) status: DeploymentStatus,
    /// The Deployment's own annotation.
    pub(super) revision: Option<String>,
    /// When to look again even if nothing changes.
    pub(super) again: Option<Duration>,
}

pub(super) fn plan(view: &View<'_>) -> Plan {
    let deployment = view.deployment;
    let Some(spec) = &deployment.spec else { return Plan::default() };
    let subject = Subject { deployment, spec, now: view.now };
    let mut old: Vec<ReplicaSet> = view.sets.iter().map(|set| (**set).clone()).collect();
    revisions::by_age(&mut old);
    let mut new = revisions::take_new(spec, &mut old);
    let mut status = subject.old();
    if deployment.metadata.deletion_timestamp.is_some() {
        let status = subject.count(status, new.as_ref(), &old);
        return Plan { status, ..Plan::default() };
    }
    subject.note_pause(&mut status);
    if let Some(new) = &mut new {
        revisions::sync(deployment, new, &old);
        new.spec.get_or_insert_default().min_ready_seconds = spec.min_ready_seconds;
        subject.note_found(&mut status, new);
    }
    let mut plan = Plan::default();
    let paused = spec.paused == Some(true);
    if paused || sizes::is_scaling(spec, old.iter().chain(&new)) {
        let before = status.replicas.unwrap_or(0);
        sizes::scale(spec, before, new.as_mut(), &mut old);
        if paused {
            plan.delete = revisions::forgotten(spec, &old);
        }
        plan.status = subject.count(status, new.as_ref(), &old);
    } else {
        let step = if sizes::is_rolling(spec) { roll } else { recreate };
        step(view, subject, &mut plan, &mut new, &mut old);
        if let Some(created) = &plan.create {
            subject.note_created(&mut status, created);
        }
        plan.status = subject.follow(status, new.as_ref(), &old);
        plan.again = subject.late_in(&plan.status);
    }
    let current = plan.create.as_ref().or(new.as_ref());
    plan.revision = current.and_then(|set| annotation(set, REVISION)).map(str::to_owned);
    plan.change = changes(view.sets, old.into_iter().chain(new));
    plan
}

/// One step of a rolling update.
fn roll(
    _: &View<'_>,
    subject: Subject<'_>,
    plan: &mut Plan,
    new: &mut Option<ReplicaSet>,
    old: &mut [ReplicaSet],
) {
    let spec = subject.spec;
    let Some(new) = new else {
        plan.create = Some(revisions::new_set(subject.deployment, spec, old));
        return;
    };
    if sizes::grow_new(spec, new, old) || sizes::shrink_old(spec, new, old) {
        return;
    }
    if subject.is_complete(&subject.old()) {
        plan.delete = revisions::forgotten(spec, old);
    }
}

/// One step of the strategy Recreate: all old Pods end before the first new one is made.
fn recreate(
    view: &View<'_>,
    subject: Subject<'_>,
    plan: &mut Plan,
    new: &mut Option<ReplicaSet>,
    old: &mut [ReplicaSet],
) {
    let spec = subject.spec;
    let mut shrunk = false;
    for set in old.iter_mut().filter(|set| size(set) > 0) {
        sizes::resize(spec, set, 0);
        shrunk = true;
    }
    let still_there = |set: &ReplicaSet| {
        set.status.as_ref().is_some_and(|status| status.replicas > 0) || (view.has_pods)(set)
    };
    if shrunk || old.iter().any(still_there) {
        return;
    }
    let Some(new) = new else {
        plan.create = Some(revisions::new_set(subject.deployment, spec, old));
        return;
    };
    if size(new) != wanted(spec) {
        sizes::resize(spec, new, wanted(spec));
    } else if subject.is_complete(&subject.old()) {
        plan.delete = revisions::forgotten(spec, old);
    }
}

/// Those that are not as they were.
fn changes(
    before: &[Arc<ReplicaSet>],
    after: impl Iterator<Item = ReplicaSet>,
) -> Vec<(Arc<ReplicaSet>, ReplicaSet)> {
    let pairs = after.filter_map(|set| {
        let was = before.iter().find(|was| was.metadata.uid == set.metadata.uid)?;
        (**was != set).then(|| (was.clone(), set))
    });
    pairs.collect()
}
