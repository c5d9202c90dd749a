//! Makes a Job whenever a CronJob's schedule says, and keeps as many finished ones as it likes.
//!
//! What to do is decided in [`plan`], from what the caches show; this file carries it out.
//!
//! Upstream: `pkg/controller/cronjob/cronjob_controllerv2.go`.

mod plan;
#[cfg(test)]
mod tests;
mod times;

use std::sync::Arc;

use futures::stream;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use kube::api::{Api, DeleteParams, PostParams, Preconditions};

use super::Context;
use super::ownership::{namespace, owner_of, reference, revision, uid};
use super::pod_writes::is_namespace_going;
use super::reconcile::{self, Next, is_gone, text_of};
use crate::api::object::ObjectKey;
use crate::client::cache::controller_of;
use crate::client::events::EventType;
use plan::{Note, Plan};

pub(super) async fn run(ctx: Context) {
    ctx.caches.jobs.synced().await;
    ctx.caches.cron_jobs.synced().await;
    let own = ctx.caches.cron_jobs.changes();
    let of_jobs = ctx.caches.jobs.changes_as(owner_of::<CronJob, _>);
    let keys = stream::select(own, of_jobs);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("cronjob-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_cron_job(&ctx, &key).await }
    })
    .await;
}

async fn reconcile_cron_job(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(cron_job) = ctx.caches.cron_jobs.get(key) else { return Ok(Next::Done) };
    let jobs = ctx.caches.jobs.controlled_by(uid(&cron_job.metadata));
    let Some(plan) = plan::plan(&cron_job, &jobs, ctx.clock.now()) else { return Ok(Next::Done) };
    let Plan { notes, delete, create, mut status, again } = plan;
    tell(ctx, &cron_job, notes);
    for job in &delete {
        delete_job(ctx, &cron_job, job).await?;
    }
    if let Some(plan::Create { job, time }) = create {
        match create_job(ctx, &cron_job, &job).await {
            Ok(Some(job)) => plan::note_created(&mut status, &job, time),
            // Somebody else's has the name: the time is theirs.
            Ok(None) => {}
            Err(error) => {
                // What else was found out is told all the same.
                write_status(ctx, &cron_job, status).await?;
                return Err(error);
            }
        }
    }
    write_status(ctx, &cron_job, status).await?;
    Ok(again.map_or(Next::Done, Next::After))
}

fn tell(ctx: &Context, cron_job: &CronJob, notes: Vec<Note>) {
    for Note { type_, reason, text } in notes {
        ctx.recorder.record(&reference(cron_job), type_, reason, text);
    }
}

fn api(ctx: &Context, cron_job: &CronJob) -> Api<Job> {
    Api::namespaced(ctx.client.kube(), namespace(&cron_job.metadata))
}

/// The new Job; the one that is there already if it is ours: its making was not noted. None: it is another's.
async fn create_job(
    ctx: &Context,
    cron_job: &CronJob,
    job: &Job,
) -> Result<Option<Job>, kube::Error> {
    let api = api(ctx, cron_job);
    let error = match api.create(&PostParams::default(), job).await {
        Ok(job) => {
            ctx.caches.jobs.reached(revision(&job.metadata)).await;
            let name = job.metadata.name.as_deref().unwrap_or_default();
            let text = format!("Created job {name}");
            ctx.recorder.record(&reference(cron_job), EventType::Normal, "SuccessfulCreate", text);
            return Ok(Some(job));
        }
        Err(error) => error,
    };
    if matches!(&error, kube::Error::Api(answer) if answer.is_already_exists()) {
        let there = api.get(job.metadata.name.as_deref().unwrap_or_default()).await?;
        let owner = controller_of(&there.metadata).map(|owner| owner.uid.as_str());
        let is_ours = owner == Some(uid(&cron_job.metadata));
        return Ok(Some(there).filter(|_| is_ours));
    }
    if !is_namespace_going(&error) {
        let text = format!("Error creating job: {}", text_of(&error));
        ctx.recorder.record(&reference(cron_job), EventType::Warning, "FailedCreate", text);
    }
    Err(error)
}

/// Deletes a Job and, in the background, its Pods.
async fn delete_job(ctx: &Context, cron_job: &CronJob, job: &Job) -> Result<(), kube::Error> {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let precondition = Preconditions { uid: job.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::background() };
    let (type_, reason, text, outcome) = match api(ctx, cron_job).delete(name, &params).await {
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => {
            let text = format!("Deleted job: {}", text_of(&error));
            (EventType::Warning, "FailedDelete", text, Err(error))
        }
        Ok(_) => (EventType::Normal, "SuccessfulDelete", format!("Deleted job {name}"), Ok(())),
    };
    ctx.recorder.record(&reference(cron_job), type_, reason, text);
    outcome
}

/// Writes the status if it is another one, and waits until the cache shows it.
async fn write_status(
    ctx: &Context,
    cron_job: &Arc<CronJob>,
    status: CronJobStatus,
) -> Result<(), kube::Error> {
    if cron_job.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut changed = (**cron_job).clone();
    changed.status = Some(status);
    let api: Api<CronJob> = Api::namespaced(ctx.client.kube(), namespace(&cron_job.metadata));
    let name = cron_job.metadata.name.as_deref().unwrap_or_default();
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => ctx.caches.cron_jobs.reached(revision(&written.metadata)).await,
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
