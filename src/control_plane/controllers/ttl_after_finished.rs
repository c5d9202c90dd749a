//! Deletes Jobs so many seconds after they have finished.
//!
//! Upstream: `pkg/controller/ttlafterfinished/ttlafterfinished_controller.go`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, DeleteParams, Preconditions};

use super::Context;
use super::ownership::namespace;
use super::reconcile::{self, Next, is_gone};
use crate::api::object::ObjectKey;

pub(super) async fn run(ctx: Context) {
    ctx.caches.jobs.synced().await;
    let keys = ctx.caches.jobs.changes();
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("ttl-after-finished-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_job(&ctx, &key).await }
    })
    .await;
}

async fn reconcile_job(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let job = ctx.caches.jobs.get(key);
    let now = ctx.clock.now();
    let Some((job, left)) = job.and_then(|job| time_left(&job, now).map(|left| (job, left))) else {
        return Ok(Next::Done);
    };
    if left > Duration::ZERO {
        return Ok(Next::After(left));
    }
    let precondition = Preconditions {
        uid: job.metadata.uid.clone(),
        // The time may have been changed meanwhile.
        resource_version: job.metadata.resource_version.clone(),
    };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::foreground() };
    let api: Api<Job> = Api::namespaced(ctx.client.kube(), namespace(&job.metadata));
    match api.delete(job.metadata.name.as_deref().unwrap_or_default(), &params).await {
        Err(error) if is_gone(&error) => Ok(Next::Done),
        outcome => outcome.map(|_| Next::Done),
    }
}

/// How long until the Job is to go; none if it is not, or is going already.
fn time_left(job: &Job, now: Timestamp) -> Option<Duration> {
    let seconds = job.spec.as_ref()?.ttl_seconds_after_finished?;
    if job.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut conditions = job.status.as_ref()?.conditions.iter().flatten();
    let end = conditions.find(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    })?;
    let due = end.last_transition_time.as_ref()?.0 + SignedDuration::from_secs(i64::from(seconds));
    Some(Duration::try_from(due.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(ttl: Value, conditions: Value, expect: Option<u64>) {
        let job = json!({"metadata": {"name": "j"}, "status": {"conditions": conditions},
            "spec": {"ttlSecondsAfterFinished": ttl, "template": {}}});
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let left = time_left(&serde_json::from_value(job).unwrap(), now);
        assert_eq!(left, expect.map(Duration::from_secs));
    }

    #[test]
    fn the_time_counts_from_the_end() {
        let ended = |type_: &str, status: &str| json!([{"type": type_, "status": status, "lastTransitionTime": "2026-01-01T00:00:30Z"}]);
        check(json!(100), ended("Complete", "True"), Some(70));
        check(json!(0), ended("Failed", "True"), Some(0));
        check(json!(100), ended("FailureTarget", "True"), None);
        check(json!(100), ended("Complete", "False"), None);
        check(Value::Null, ended("Complete", "True"), None);
    }
}
