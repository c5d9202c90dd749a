//! POST of `pods/eviction`: deletes a Pod if its PodDisruptionBudget allows it.
//!
//! Upstream: `pkg/registry/core/pod/storage/eviction.go`.

use std::any::Any;
use std::sync::Arc;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::{Eviction, PodDisruptionBudget};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions, Status, Time};

use crate::api::disruption::{
    self, DISRUPTION_TARGET, being_processed, has_ended, is_free, name_of, needs_no_budget,
};
use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::{self, Call};
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::apiserver::verbs::{self, Part, modify};
use crate::control_plane::registry::{AnyObject, AnyResource, Decoded, Evictions, Kind};
use crate::control_plane::storage::{ListQuery, Stored};

static KIND: Kind<Evictions> = Kind::NEW;

/// Bound: how often it is tried again after a lost race.
const ATTEMPTS_MAX: usize = 5;

pub(super) async fn run(mut call: Call) -> Outcome<Response<Body>> {
    let options = read(&mut call)?;
    let values = options.dry_run.iter().flatten().map(String::as_str);
    let dry = call::dry_run(values, "DeleteOptions")?;
    evict(&mut call, &options, dry).await?;
    let done = Status {
        status: Some("Success".to_owned()),
        code: Some(i32::from(StatusCode::CREATED.as_u16())),
        ..Status::default()
    };
    Ok(render::response(StatusCode::CREATED, call.output.encoding, render::json(&done)?))
}

/// How the Pod shall be deleted. The request's own `dryRun` counts too.
fn read(call: &mut Call) -> Outcome<DeleteOptions> {
    let validation = decode::field_validation(&call.query, "CreateOptions")?;
    let any: Box<dyn Any> = decode::object_of(call, &KIND, validation)?;
    let eviction: Box<Eviction> =
        any.downcast().map_err(|_| Failure::internal(&"not an Eviction"))?;
    if eviction.metadata.name.as_deref().unwrap_or_default() != call.name() {
        return Err(Failure::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut options = eviction.delete_options.unwrap_or_default();
    let asked: Vec<String> = call.query.all("dryRun").map(str::to_owned).collect();
    let own = options.dry_run.take().unwrap_or_default();
    if !own.is_empty() && !asked.is_empty() && own != asked {
        let text = "Non-matching dry-run options in request and content";
        return Err(Failure::bad_request(format!("{text}: {asked:?} and {own:?}")));
    }
    options.dry_run = Some(if own.is_empty() { asked } else { own });
    Ok(options)
}

async fn evict(call: &mut Call, options: &DeleteOptions, dry: bool) -> Outcome<()> {
    let given = options.preconditions.as_ref();
    let names_revision = given.is_some_and(|given| given.resource_version.is_some());
    for _ in 0..ATTEMPTS_MAX {
        let pod = pod(call).await?;
        if !needs_no_budget(&pod) {
            return evict_by_budget(call, options, &pod, names_revision, dry).await;
        }
        // It does not count as healthy; it must not become so before it is gone.
        let pins = !has_ended(&pod) && !names_revision;
        let options = if pins { at_revision(options, &pod) } else { options.clone() };
        match delete(call, &options, dry).await {
            Err(failure) if failure.code() == StatusCode::CONFLICT && !names_revision => {}
            outcome => return outcome,
        }
    }
    Err(call.conflict(status::MODIFIED))
}

async fn pod(call: &Call) -> Outcome<Arc<Pod>> {
    let stored = verbs::stored(call).await?;
    let any: Arc<dyn Any + Send + Sync> = call.resource.decoded(&stored)?;
    any.downcast().map_err(|_| Failure::internal(&"not a Pod"))
}

async fn evict_by_budget(
    call: &mut Call,
    options: &DeleteOptions,
    pod: &Pod,
    names_revision: bool,
    dry: bool,
) -> Outcome<()> {
    let budgets = budgets_of(call, pod).await?;
    let budget = match budgets.as_slice() {
        [] => return delete(call, options, dry).await,
        [budget] => budget,
        _ => {
            let text = "This pod has more than one PodDisruptionBudget, which the eviction \
                        subresource does not support.";
            return Err(status::of_code(500, text).into());
        }
    };
    if !is_free(budget, pod) {
        take_off(call, budget, pod, dry).await?;
        return delete(call, options, dry).await;
    }
    if names_revision {
        return delete(call, options, dry).await;
    }
    match delete(call, &at_revision(options, pod), dry).await {
        Err(failure) if failure.code() == StatusCode::CONFLICT => {
            Err(being_processed(name_of(budget)).into())
        }
        outcome => outcome,
    }
}

async fn budgets_of(call: &Call, pod: &Pod) -> Outcome<Vec<Arc<PodDisruptionBudget>>> {
    let resource = budgets(call)?;
    let prefix = resource.prefix(Some(call.namespace()));
    let all = call.server.storage().list(&prefix, ListQuery::default()).await?.items;
    let mut found = Vec::new();
    for stored in &all {
        let any: Arc<dyn Any + Send + Sync> = resource.decoded(stored)?;
        let budget: Arc<PodDisruptionBudget> =
            any.downcast().map_err(|_| Failure::internal(&"not a PodDisruptionBudget"))?;
        if disruption::covers(&budget, pod) {
            found.push(budget);
        }
    }
    Ok(found)
}

fn budgets(call: &Call) -> Outcome<&'static dyn AnyResource> {
    let found = call.server.resource("policy", "v1", "poddisruptionbudgets");
    found.ok_or_else(|| Failure::internal(&"the kind PodDisruptionBudget is missing"))
}

/// Takes the Pod off the budget; who comes at the same time sees what is left.
async fn take_off(call: &Call, budget: &PodDisruptionBudget, pod: &Pod, dry: bool) -> Outcome<()> {
    let mut own = call.about(budgets(call)?, name_of(budget), "status");
    let name = pod.metadata.name.clone().unwrap_or_default();
    let propose = |call: &mut Call, _: &Stored, old: &Decoded| {
        let any: &dyn Any = &**old;
        let budget = any.downcast_ref::<PodDisruptionBudget>().ok_or_else(|| call.not_found())?;
        let mut budget = budget.clone();
        disruption::grant(&mut budget, &name, call.now).map_err(Failure)?;
        Ok(Box::new(budget) as Box<dyn AnyObject>)
    };
    match modify(&mut own, Part::Decided, dry, propose).await {
        Err(failure) if failure.code() == StatusCode::CONFLICT => {
            let name = name_of(budget);
            let text = format!("couldn't update PodDisruptionBudget {name:?} due to conflicts");
            Err(status::timeout(text, 10).into())
        }
        outcome => outcome.map(drop),
    }
}

/// The options, and that the Pod must be as it was seen.
fn at_revision(options: &DeleteOptions, pod: &Pod) -> DeleteOptions {
    let mut options = options.clone();
    let preconditions = options.preconditions.get_or_insert_with(Preconditions::default);
    preconditions.resource_version.clone_from(&pod.metadata.resource_version);
    options
}

/// Says on the Pod why it goes, and deletes it.
///
/// Upstream: `addConditionAndDeletePod`.
async fn delete(call: &mut Call, options: &DeleteOptions, dry: bool) -> Outcome<()> {
    let mut options = options.clone();
    if !dry {
        let preconditions = options.preconditions.clone().unwrap_or_default();
        let propose = |call: &mut Call, _: &Stored, old: &Decoded| {
            let any: &dyn Any = &**old;
            let pod = any.downcast_ref::<Pod>().ok_or_else(|| call.not_found())?;
            Ok(Box::new(marked(call, pod, &preconditions)?) as Box<dyn AnyObject>)
        };
        let shown = modify(call, Part::Decided, false, propose).await?;
        if let Some(given) = options.preconditions.as_mut().filter(|p| p.resource_version.is_some())
            && let Shown::Stored(stored) = shown
        {
            given.resource_version = Some(stored.revision.to_string());
        }
    }
    verbs::remove(call, &options, dry).await.map(drop)
}

fn marked(call: &Call, pod: &Pod, given: &Preconditions) -> Outcome<Pod> {
    let meta = &pod.metadata;
    let pairs = [("UID", &given.uid, &meta.uid)];
    let more = [("ResourceVersion", &given.resource_version, &meta.resource_version)];
    for (what, wanted, found) in pairs.into_iter().chain(more) {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| Some(*wanted) != found.as_ref()) {
            let found = found.as_deref().unwrap_or_default();
            let about = "The object might have been";
            let became = if what == "UID" { "deleted and then recreated" } else { "modified" };
            return Err(call.conflict(format_args!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record \
                 ({found}). {about} {became}"
            )));
        }
    }
    let mut pod = pod.clone();
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    let old = conditions.iter().position(|condition| condition.type_ == DISRUPTION_TARGET);
    let old = old.map(|at| conditions.remove(at));
    let since = old.filter(|old| old.status == "True").and_then(|old| old.last_transition_time);
    conditions.push(PodCondition {
        type_: DISRUPTION_TARGET.to_owned(),
        status: "True".to_owned(),
        reason: Some("EvictionByEvictionAPI".to_owned()),
        message: Some("Eviction API: evicting".to_owned()),
        last_transition_time: since.or(Some(Time(call.now))),
        ..PodCondition::default()
    });
    Ok(pod)
}
