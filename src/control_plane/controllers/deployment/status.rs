//! How a Deployment is: counts, and the conditions Available, Progressing and ReplicaFailure.
//!
//! Upstream: `pkg/controller/deployment/{progress,sync}.go`, `util/deployment_util.go`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentSpec, DeploymentStatus, ReplicaSet,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::sizes::{Leeway, available, size, wanted};

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";

const PAUSED: &str = "DeploymentPaused";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const DONE: &str = "NewReplicaSetAvailable";

/// The Deployment, what it asks for, and when it is looked at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) spec: &'a DeploymentSpec,
    pub(super) now: Timestamp,
}

impl Subject<'_> {
    fn condition(
        &self,
        type_: &str,
        status: &str,
        reason: &str,
        message: impl Into<String>,
    ) -> DeploymentCondition {
        let now = Time(self.now.round(Unit::Second).unwrap_or(self.now));
        DeploymentCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            last_update_time: Some(now.clone()),
            last_transition_time: Some(now),
        }
    }

    /// How long a rollout may stand still; `None` if nobody asks.
    fn deadline(&self) -> Option<SignedDuration> {
        let seconds = self.spec.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)?;
        Some(SignedDuration::from_secs(i64::from(seconds)))
    }

    pub(super) fn old(&self) -> DeploymentStatus {
        self.deployment.status.clone().unwrap_or_default()
    }

    /// Notes that the rollout is paused or goes on, so that the pause does not count against the
    /// deadline.
    ///
    /// Upstream: `checkPausedConditions`.
    pub(super) fn note_pause(&self, status: &mut DeploymentStatus) {
        if self.deadline().is_none() {
            return;
        }
        let reason = progressing(status).and_then(|condition| condition.reason.as_deref());
        match (self.spec.paused == Some(true), reason) {
            (_, Some(TIMED_OUT)) | (true, Some(PAUSED)) => {}
            (true, _) => {
                let condition =
                    self.condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused");
                set(status, condition);
            }
            (false, Some(PAUSED)) => {
                let reason = "DeploymentResumed";
                let condition =
                    self.condition(PROGRESSING, "Unknown", reason, "Deployment is resumed");
                set(status, condition);
            }
            (false, _) => {}
        }
    }

    /// Notes the current ReplicaSet, where the Deployment said nothing of its progress so far.
    pub(super) fn note_found(&self, status: &mut DeploymentStatus, new: &ReplicaSet) {
        if self.deadline().is_some() && progressing(status).is_none() {
            let text = format!("Found new replica set {:?}", name(new));
            set(status, self.condition(PROGRESSING, "True", "FoundNewReplicaSet", text));
        }
    }

    pub(super) fn note_created(&self, status: &mut DeploymentStatus, new: &ReplicaSet) {
        if self.deadline().is_some() {
            let text = format!("Created new replica set {:?}", name(new));
            set(status, self.condition(PROGRESSING, "True", "NewReplicaSetCreated", text));
        }
    }

    pub(super) fn note_not_created(&self, status: &mut DeploymentStatus, text: String) {
        if self.deadline().is_some() {
            set(status, self.condition(PROGRESSING, "False", "ReplicaSetCreateError", text));
        }
    }

    /// Counts and availability; `status` brings the conditions.
    ///
    /// Upstream: `calculateStatus`.
    pub(super) fn count(
        &self,
        mut status: DeploymentStatus,
        new: Option<&ReplicaSet>,
        old: &[ReplicaSet],
    ) -> DeploymentStatus {
        let all = || old.iter().chain(new);
        let sum = |of: &dyn Fn(&ReplicaSet) -> i32| all().map(of).sum::<i32>();
        let available = sum(&available);
        status.observed_generation = self.deployment.metadata.generation;
        status.replicas = counted(sum(&observed));
        status.updated_replicas = counted(new.map_or(0, observed));
        status.ready_replicas = counted(sum(&ready));
        status.available_replicas = counted(available);
        status.unavailable_replicas = counted(sum(&size) - available);
        let enough = available >= wanted(self.spec) - Leeway::of(self.spec).unavailable;
        let condition = if enough {
            let text = "Deployment has minimum availability.";
            self.condition(AVAILABLE, "True", "MinimumReplicasAvailable", text)
        } else {
            let text = "Deployment does not have minimum availability.";
            self.condition(AVAILABLE, "False", "MinimumReplicasUnavailable", text)
        };
        set(&mut status, condition);
        status
    }

    /// [`Subject::count`], and whether the rollout gets on, is done, or has stood still for too long.
    ///
    /// Upstream: `syncRolloutStatus`.
    pub(super) fn follow(
        &self,
        status: DeploymentStatus,
        new: Option<&ReplicaSet>,
        old: &[ReplicaSet],
    ) -> DeploymentStatus {
        let mut status = self.count(status, new, old);
        let reason = progressing(&status).and_then(|condition| condition.reason.as_deref());
        let was_done = status.replicas == status.updated_replicas && reason == Some(DONE);
        match self.deadline() {
            None => remove(&mut status, PROGRESSING),
            Some(_) if was_done => {}
            Some(deadline) => self.judge(&mut status, new, deadline),
        }
        match failure(new, old) {
            Some(condition) => set(&mut status, condition),
            None => remove(&mut status, REPLICA_FAILURE),
        }
        status
    }

    fn judge(
        &self,
        status: &mut DeploymentStatus,
        new: Option<&ReplicaSet>,
        deadline: SignedDuration,
    ) {
        let who = match new {
            Some(new) => format!("ReplicaSet {:?}", name(new)),
            None => {
                let name = self.deployment.metadata.name.as_deref().unwrap_or_default();
                format!("Deployment {name:?}")
            }
        };
        if self.is_complete(status) {
            let text = format!("{who} has successfully progressed.");
            set(status, self.condition(PROGRESSING, "True", DONE, text));
        } else if self.has_moved(status) {
            // The same reason again, but a later time: the deadline counts from here.
            let text = format!("{who} is progressing.");
            let mut condition = self.condition(PROGRESSING, "True", "ReplicaSetUpdated", text);
            if let Some(old) = progressing(status).filter(|old| old.status == "True") {
                condition.last_transition_time.clone_from(&old.last_transition_time);
            }
            remove(status, PROGRESSING);
            status.conditions.get_or_insert_default().push(condition);
        } else if self.is_late(status, deadline) {
            let text = format!("{who} has timed out progressing.");
            set(status, self.condition(PROGRESSING, "False", TIMED_OUT, text));
        }
    }

    /// Every Pod is of the current template, and available.
    pub(super) fn is_complete(&self, status: &DeploymentStatus) -> bool {
        let wanted = counted(wanted(self.spec));
        status.updated_replicas == wanted
            && status.replicas == wanted
            && status.available_replicas == wanted
            && status.observed_generation >= self.deployment.metadata.generation
    }

    fn has_moved(&self, status: &DeploymentStatus) -> bool {
        let before = self.old();
        let of_old = |status: &DeploymentStatus| {
            status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0)
        };
        status.updated_replicas > before.updated_replicas
            || of_old(status) < of_old(&before)
            || status.ready_replicas > before.ready_replicas
            || status.available_replicas > before.available_replicas
    }

    fn is_late(&self, status: &DeploymentStatus, deadline: SignedDuration) -> bool {
        let Some(condition) = progressing(status) else { return false };
        match condition.reason.as_deref() {
            Some(DONE) => false,
            Some(TIMED_OUT) => true,
            _ => updated(condition) + deadline < self.now,
        }
    }

    /// When to look whether the rollout has stood still for too long; `None` if there is nothing to
    /// wait for.
    ///
    /// Upstream: `requeueStuckDeployment`.
    pub(super) fn late_in(&self, status: &DeploymentStatus) -> Option<Duration> {
        let deadline = self.deadline()?;
        let condition = progressing(status)?;
        let over = matches!(condition.reason.as_deref(), Some(TIMED_OUT | DONE | PAUSED));
        if over || self.is_complete(status) {
            return None;
        }
        let left = (updated(condition) + deadline).duration_since(self.now);
        Some(Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1))
    }
}

fn updated(condition: &DeploymentCondition) -> Timestamp {
    condition.last_update_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// Zero is left out, as Go leaves it out.
fn counted(count: i32) -> Option<i32> {
    Some(count).filter(|count| *count > 0)
}

fn name(set: &ReplicaSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

fn observed(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

fn ready(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0)
}

fn progressing(status: &DeploymentStatus) -> Option<&DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == PROGRESSING)
}

/// The first ReplicaSet's failure, the new one's before all others.
fn failure(new: Option<&ReplicaSet>, old: &[ReplicaSet]) -> Option<DeploymentCondition> {
    let sets = new.into_iter().chain(old);
    let conditions = sets.filter_map(|set| set.status.as_ref()?.conditions.as_ref()).flatten();
    let failed = conditions.into_iter().find(|condition| condition.type_ == REPLICA_FAILURE)?;
    Some(DeploymentCondition {
        type_: REPLICA_FAILURE.to_owned(),
        status: failed.status.clone(),
        reason: failed.reason.clone(),
        message: failed.message.clone(),
        last_update_time: failed.last_transition_time.clone(),
        last_transition_time: failed.last_transition_time.clone(),
    })
}

fn remove(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != type_);
    }
}

/// Puts a condition in the place of the one of its type, unless that says the same.
///
/// Upstream: `SetDeploymentCondition`.
fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    let conditions = status.conditions.get_or_insert_default();
    if let Some(old) = conditions.iter().find(|old| old.type_ == condition.type_) {
        if old.status == condition.status && old.reason == condition.reason {
            return;
        }
        if old.status == condition.status {
            condition.last_transition_time.clone_from(&old.last_transition_time);
        }
    }
    conditions.retain(|old| old.type_ != condition.type_);
    conditions.push(condition);
}
