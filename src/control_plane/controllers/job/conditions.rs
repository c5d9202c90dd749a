//! A Job's conditions.
//!
//! Upstream: `newCondition`, `ensureJobConditionStatus` in `pkg/controller/job/job_controller.go`.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::JobCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::client::clock::whole_second;

pub(super) const COMPLETE: &str = "Complete";
pub(super) const FAILED: &str = "Failed";
pub(super) const FAILURE_TARGET: &str = "FailureTarget";
pub(super) const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
pub(super) const SUSPENDED: &str = "Suspended";

pub(super) fn condition(
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> JobCondition {
    let now = Some(Time(whole_second(now)));
    JobCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: now.clone(),
        last_transition_time: now,
    }
}

/// The condition of that type, if it holds.
pub(super) fn find_true<'a>(
    conditions: &'a [JobCondition],
    type_: &str,
) -> Option<&'a JobCondition> {
    conditions.iter().find(|one| one.type_ == type_ && one.status == "True")
}

/// Sets a condition; answers whether that changed anything. One that never was is not set to False.
pub(super) fn ensure(conditions: &mut Vec<JobCondition>, wanted: JobCondition) -> bool {
    let said = |one: &JobCondition| (one.status.clone(), one.reason.clone(), one.message.clone());
    match conditions.iter_mut().find(|one| one.type_ == wanted.type_) {
        Some(known) if said(known) == said(&wanted) => return false,
        Some(known) => *known = wanted,
        None if wanted.status == "False" => return false,
        None => conditions.push(wanted),
    }
    true
}
