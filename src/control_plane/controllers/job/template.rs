//! A Job's new Pods.
//!
//! Upstream: `manageJob` and `pkg/controller/job/indexed_job_utils.go`.

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod};

use super::pod::{self, COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES, TRACKING};
use super::progress::View;
use crate::control_plane::controllers::pod_writes;

/// Where a Pod finds its index, if its author has not called something else so.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// Bound of a generated name's given part, in bytes. Upstream's `MaxGeneratedNameLength`.
const GENERATE_NAME_BYTES_MAX: usize = 58;

pub(super) fn pod(view: &View<'_>) -> Pod {
    let mut pod = pod_writes::from_template(view.job, &view.spec.template);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
        finalizers.push(TRACKING.to_owned());
    }
    pod
}

/// `before` is the last Pod of this index that has failed, if failures of the index are counted.
pub(super) fn indexed_pod(view: &View<'_>, index: i32, before: Option<&Pod>) -> Pod {
    let mut pod = pod(view);
    let name = view.job.metadata.name.as_deref().unwrap_or_default();
    pod.metadata.generate_name = Some(generate_name(name, index));
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(COMPLETION_INDEX.to_owned(), index.to_string());
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(COMPLETION_INDEX.to_owned(), index.to_string());
    if view.spec.backoff_limit_per_index.is_some() {
        let (failures, ignored) = before.map_or((0, 0), |before| failures(view, before));
        annotations.insert(INDEX_FAILURES.to_owned(), failures.to_string());
        if ignored > 0 {
            annotations.insert(INDEX_IGNORED_FAILURES.to_owned(), ignored.to_string());
        }
    }
    if let Some(spec) = &mut pod.spec {
        spec.hostname = Some(format!("{name}-{index}"));
        spec.init_containers.iter_mut().flatten().for_each(tell_index);
        spec.containers.iter_mut().for_each(tell_index);
    }
    pod
}

/// `job-index-`, cut so that the index stays.
fn generate_name(name: &str, index: i32) -> String {
    let end = format!("-{index}-");
    let length = name.len().min(GENERATE_NAME_BYTES_MAX.saturating_sub(end.len()));
    format!("{}{end}", &name[..length])
}

/// The failures of the index with this one, those that count and those that do not.
fn failures(view: &View<'_>, failed: &Pod) -> (i32, i32) {
    let (failures, ignored) = (pod::failures(failed), pod::ignored_failures(failed));
    if view.judge(failed).counts() { (failures + 1, ignored) } else { (failures, ignored + 1) }
}

fn tell_index(container: &mut Container) {
    let env = container.env.get_or_insert_default();
    if env.iter().any(|variable| variable.name == INDEX_VARIABLE) {
        return;
    }
    let field_ref = ObjectFieldSelector {
        api_version: None,
        field_path: format!("metadata.labels['{COMPLETION_INDEX}']"),
    };
    env.push(EnvVar {
        name: INDEX_VARIABLE.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() }),
    });
}
