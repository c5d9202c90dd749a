//! Runs a Job's Pods until enough of them have succeeded, or too many have failed.
//!
//! ```text
//! progress: what the Pods come to ── act: make some, delete some ── track: count who has ended
//! ```
//!
//! All three are functions of the Job and its Pods; this file carries out what they say, one write after the
//! other, each of which may be the last.
//!
//! Upstream: `pkg/controller/job/job_controller.go`. There, syncs are a second apart to save writes; here, the
//! next one begins when the last has ended, and takes together what has come meanwhile.

mod act;
mod backoff;
mod conditions;
mod failure_policy;
mod indexes;
#[cfg(test)]
mod model;
mod open_pods;
mod pod;
mod progress;
mod template;
#[cfg(test)]
mod tests;
mod track;
mod writes;

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

use super::Context;
use super::ownership::{self, Concern, uid};
use super::pod_writes;
use super::reconcile::{self, Next};
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::{controller_of, key_of};
use act::Act;
use backoff::Record;
use open_pods::OpenPods;
use progress::{Progress, View};
use track::Tracking;

pub(super) use progress::is_finished;

/// Who looks after Jobs that name nobody.
const MANAGER: &str = "kubernetes.io/job-controller";

pub(super) async fn run(ctx: Context) {
    ctx.caches.pods.synced().await;
    ctx.caches.jobs.synced().await;
    let controller = Arc::new(Controller {
        open: OpenPods::new(&ctx.caches.pods),
        records: Mutex::new(HashMap::new()),
        ctx,
    });
    futures::join!(run_jobs(&controller), run_orphans(&controller));
}

struct Controller {
    ctx: Context,
    open: OpenPods,
    /// Bound: one entry per Job that has not finished.
    records: Mutex<HashMap<ObjectKey, Record>>,
}

async fn run_jobs(controller: &Arc<Controller>) {
    let caches = &controller.ctx.caches;
    let jobs = caches.jobs.changes();
    let pods = caches.pods.changes_as(Concern::of::<Job, _>);
    let cache = caches.jobs.clone();
    let of_pods = pods.flat_map(move |concern| stream::iter(concern.keys(&cache, selector)));
    let keys = stream::select(jobs, of_pods);
    let (clock, stop) = (controller.ctx.clock.clone(), controller.ctx.stop.clone());
    reconcile::run("job-controller", clock, stop, keys, |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

/// Lets Pods go that no Job will count: nobody manages them any more.
async fn run_orphans(controller: &Arc<Controller>) {
    let is_orphan = |pod: &Pod| controller_of(&pod.metadata).is_none() && pod::is_tracked(pod);
    let pods = &controller.ctx.caches.pods;
    let keys = pods.changes_as(move |pod| is_orphan(pod).then(|| key_of(pod)));
    let (clock, stop) = (controller.ctx.clock.clone(), controller.ctx.stop.clone());
    reconcile::run("job-controller-orphans", clock, stop, keys, |key| {
        let controller = controller.clone();
        async move {
            let pod = controller.ctx.caches.pods.get(&key);
            let orphans: Vec<_> = pod.into_iter().filter(|pod| is_orphan(pod)).collect();
            writes::release(&controller.ctx, &orphans).await.result
        }
    })
    .await;
}

fn selector(job: &Job) -> Labels {
    // One that cannot be read was refused when it came; it picks nothing.
    let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    match selector {
        Some(selector) => Labels::from_typed(Some(selector)).unwrap_or_else(|_| Labels::nothing()),
        None => Labels::nothing(),
    }
}

fn is_managed_elsewhere(job: &Job) -> bool {
    let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    manager.is_some_and(|manager| manager != MANAGER)
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, kube::Error> {
        let job = self.ctx.caches.jobs.get(key);
        let is_own = |pod: &Arc<Pod>| {
            let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str());
            job.as_ref().is_some_and(|job| owner == Some(uid(&job.metadata)))
        };
        let (own, bereft): (Vec<_>, Vec<_>) = self.open.of(key).into_iter().partition(is_own);
        // Their Job is gone; another one may have its name.
        writes::release(&self.ctx, &bereft).await.result?;
        let Some(job) = job else {
            self.records.lock().remove(key);
            return Ok(Next::Done);
        };
        if is_managed_elsewhere(&job) {
            return Ok(Next::Done);
        }
        if is_finished(&job) {
            self.records.lock().remove(key);
            writes::release(&self.ctx, &own).await.result?;
            return Ok(Next::Done);
        }
        self.advance(key, &job, own).await
    }

    /// One step of a Job that has not finished.
    async fn advance(
        &self,
        key: &ObjectKey,
        job: &Arc<Job>,
        own: Vec<Arc<Pod>>,
    ) -> Result<Next, kube::Error> {
        let (ctx, cache) = (&self.ctx, &self.ctx.caches.pods);
        let selector = selector(job);
        let pods = ownership::claim_of(
            &ctx.client,
            &**job,
            &selector,
            cache,
            own,
            |_| true,
            Some(pod::TRACKING),
        );
        let mut pods = pods.await?;
        let now = ctx.clock.now();
        let record = self.records.lock().get(key).copied().unwrap_or_default();
        let Some(view) = View::new(job, &pods, now) else { return Ok(Next::Done) };
        let progress = Progress::of(&view);
        let new_record = record.after(&progress.new_succeeded, &progress.new_failed);
        let (act, again) = act::act(&view, &progress, new_record);
        let failure = match &act {
            Act::Nothing => None,
            Act::Create(new) => pod_writes::create(ctx, &**job, new).await,
            Act::End(active) => pod_writes::delete(ctx, &**job, active).await,
            Act::Remove(excess) => writes::remove(ctx, job, excess).await,
        };
        if act != Act::Nothing {
            // What was done is in the cache.
            pods = self.open.of(key);
            pods.retain(|pod| {
                let labels = pod.metadata.labels.clone().unwrap_or_default();
                let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str());
                owner == Some(uid(&job.metadata)) && selector.matches(&labels)
            });
        }
        let Some(view) = View::new(job, &pods, now) else { return Ok(Next::Done) };
        let progress = Progress::of(&view);
        let new_record = record.after(&progress.new_succeeded, &progress.new_failed);
        self.track(key, &view, &progress, new_record).await?;
        match failure {
            Some(pod_writes::Failure { error: Some(error), .. }) => Err(error),
            _ => Ok(again.map_or(Next::Done, Next::After)),
        }
    }

    /// Writes what has become of the Pods.
    async fn track(
        &self,
        key: &ObjectKey,
        view: &View<'_>,
        progress: &Progress,
        record: Record,
    ) -> Result<(), kube::Error> {
        let ctx = &self.ctx;
        let Tracking { status, release, finish, suspended } = track::track(view, progress);
        let job = writes::status(ctx, view.job, status).await?;
        self.records.lock().insert(key.clone(), record);
        if let Some(suspended) = suspended {
            writes::tell_suspended(ctx, &job, suspended);
        }
        let released = writes::release(ctx, &release).await;
        let mut held = track::tracked(view.pods);
        held.retain(|uid| !released.uids.contains(uid));
        let status = job.status.clone().unwrap_or_default();
        let (status, is_over) = track::settle(status, &held, finish.as_ref(), view.now);
        let job = writes::status(ctx, &job, status).await?;
        if let Some(finish) = finish.filter(|_| is_over) {
            writes::tell_finished(ctx, &job, &finish);
        }
        released.result
    }
}
