//! What an autoscaler does now, and what it says of itself: pure.
//!
//! Upstream: `reconcileAutoscaler`, `computeReplicasForMetrics` and `computeStatusFor…` in
//! `pkg/controller/podautoscaler/horizontal.go`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerSpec,
    HorizontalPodAutoscalerStatus, MetricSpec, MetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::limits::{Memory, Wish};
use super::metrics::{self, Failure, Measured};
use super::replicas::Aim;
use super::usage::PodMetrics;
use crate::client::clock::whole_second;
use crate::client::events::EventType;

/// The target's size, as its scale shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) wanted: i32,
    pub(super) observed: i32,
}

/// Everything that decides.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) scaler: &'a HorizontalPodAutoscaler,
    pub(super) size: Size,
    /// Those that the target's selector picks; or why there is no selector.
    pub(super) pods: &'a Result<Vec<Arc<Pod>>, Failure>,
    /// What they use.
    pub(super) usage: &'a Result<Vec<PodMetrics>, String>,
    /// For each metric of the kind Object: how much the object has, in thousandths.
    pub(super) objects: &'a [Option<Result<i64, String>>],
    pub(super) now: Timestamp,
}

/// A note for an Event.
pub(super) type Note = (EventType, &'static str, String);

/// What to do. The status says already how it goes, but for the outcome of a resize.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) status: HorizontalPodAutoscalerStatus,
    pub(super) resize: Option<Resize>,
    pub(super) notes: Vec<Note>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resize {
    pub(super) to: i32,
    pub(super) reason: String,
}

pub(super) fn plan(view: &View<'_>, memory: &mut Memory) -> Plan {
    let none = HorizontalPodAutoscalerSpec::default();
    let spec = view.scaler.spec.as_ref().unwrap_or(&none);
    let mut step = Step { view: *view, spec, plan: Plan::default() };
    step.plan.status = view.scaler.status.clone().unwrap_or_default();
    let able = "the HPA controller was able to get the target's current scale";
    step.say("AbleToScale", true, "SucceededGetScale", able);
    memory.begin(view.size.wanted, view.now);
    step.decide(memory);
    step.plan
}

/// The target's scale cannot be had.
pub(super) fn without_scale(scaler: &HorizontalPodAutoscaler, why: &str, now: Timestamp) -> Plan {
    let mut plan = Plan { status: scaler.status.clone().unwrap_or_default(), ..Plan::default() };
    let text = format!("the HPA controller was unable to get the target's current scale: {why}");
    set_condition(&mut plan.status, "AbleToScale", false, "FailedGetScale", &text, now);
    plan.notes.push((EventType::Warning, "FailedGetScale", why.to_owned()));
    plan
}

impl Plan {
    /// Notes what came of the resize.
    pub(super) fn resized(
        &mut self,
        resize: &Resize,
        from: i32,
        outcome: Result<(), String>,
        now: Timestamp,
    ) {
        let Resize { to, reason } = resize;
        match outcome {
            Ok(()) => {
                let text =
                    format!("the HPA controller was able to update the target scale to {to}");
                let status = &mut self.status;
                set_condition(status, "AbleToScale", true, "SucceededRescale", &text, now);
                let text = format!("New size: {to}; reason: {reason}");
                self.notes.push((EventType::Normal, "SuccessfulRescale", text));
                self.status.last_scale_time = Some(Time(whole_second(now)));
                self.status.desired_replicas = *to;
            }
            Err(why) => {
                let text =
                    format!("the HPA controller was unable to update the target scale: {why}");
                let status = &mut self.status;
                set_condition(status, "AbleToScale", false, "FailedUpdateScale", &text, now);
                let text = format!("New size: {to}; reason: {reason}; error: {why}");
                self.notes.push((EventType::Warning, "FailedRescale", text));
                self.status.desired_replicas = from;
            }
        }
    }
}

struct Step<'a> {
    view: View<'a>,
    spec: &'a HorizontalPodAutoscalerSpec,
    plan: Plan,
}

/// What all metrics together come to.
struct Verdict {
    replicas: i32,
    metric: String,
}

impl Step<'_> {
    fn decide(&mut self, memory: &mut Memory) {
        let current = self.view.size.wanted;
        let (min, max) = (self.spec.min_replicas.unwrap_or(1), self.spec.max_replicas);
        self.plan.status.current_replicas = Some(current);
        self.plan.status.desired_replicas = current;
        if current == 0 && min != 0 {
            let text = "scaling is disabled since the replica count of the target is zero";
            self.say("ScalingActive", false, "ScalingDisabled", text);
            self.plan.status.current_metrics = None;
            return;
        }
        let bound = if current > max {
            Some((max, "Current number of replicas above Spec.MaxReplicas"))
        } else if current < min {
            Some((min, "Current number of replicas below Spec.MinReplicas"))
        } else {
            None
        };
        if let Some((to, reason)) = bound {
            self.plan.status.current_metrics = None;
            self.plan.resize = Some(Resize { to, reason: reason.to_owned() });
            return;
        }
        let Some(verdict) = self.measure() else { return };
        let desired = verdict.replicas.max(0);
        let behavior = self.spec.behavior.as_ref();
        let now = self.view.now;
        let granted = memory.grant(Wish { current, desired, min, max, behavior, now });
        self.say("AbleToScale", true, granted.able.0, granted.able.1);
        let (reason, text) = granted.limited;
        self.say("ScalingLimited", granted.is_limited, reason, text);
        let reason = match desired.cmp(&current) {
            std::cmp::Ordering::Greater => format!("{} above target", verdict.metric),
            std::cmp::Ordering::Less => "All metrics below target".to_owned(),
            std::cmp::Ordering::Equal => String::new(),
        };
        let resize = Resize { to: granted.replicas, reason };
        self.plan.resize = (granted.replicas != current).then_some(resize);
    }

    /// The most that any metric asks for. `None` if that cannot be told: then the size stays.
    fn measure(&mut self) -> Option<Verdict> {
        let view = self.view;
        let pods = match view.pods {
            Ok(pods) => pods,
            Err(failure) => {
                let failure = failure.clone();
                self.plan.status.current_metrics = None;
                self.give_up(failure.clone(), failure.text);
                return None;
            }
        };
        let specs = self.spec.metrics.as_deref().unwrap_or_default();
        let aim = Aim { replicas: view.size.wanted, pods, is_cpu: false, now: view.now };
        let mut statuses = Vec::new();
        let mut verdict: Option<Verdict> = None;
        let mut failures = Vec::new();
        for (index, metric) in specs.iter().enumerate() {
            match self.measure_one(metric, index, aim) {
                Ok(Measured { proposal, name, status }) => {
                    statuses.push(status);
                    let most = verdict.as_ref().map_or(0, |verdict| verdict.replicas);
                    if most == 0 || proposal.replicas > most {
                        verdict = Some(Verdict { replicas: proposal.replicas, metric: name });
                    }
                }
                Err(failure) => {
                    // A place of its own, so that the others keep theirs.
                    statuses.push(MetricStatus::default());
                    failures.push(failure);
                }
            }
        }
        self.plan.status.current_metrics = Some(statuses);
        for failure in &failures {
            self.plan.notes.push((EventType::Warning, failure.reason, failure.cause.clone()));
        }
        let replicas = verdict.as_ref().map(|verdict| verdict.replicas);
        let is_safe = replicas.is_some_and(|replicas| replicas >= view.size.wanted);
        match failures.first() {
            Some(first) if !is_safe => {
                let (bad, all) = (failures.len(), specs.len());
                let text = format!(
                    "invalid metrics ({bad} invalid out of {all}), first error is: {}",
                    first.text
                );
                self.give_up(first.clone(), text);
                None
            }
            _ => {
                let verdict = verdict?;
                let text = format!(
                    "the HPA was able to successfully calculate a replica count from {}",
                    verdict.metric
                );
                self.say("ScalingActive", true, "ValidMetricFound", &text);
                Some(verdict)
            }
        }
    }

    fn measure_one(
        &self,
        metric: &MetricSpec,
        index: usize,
        aim: Aim<'_>,
    ) -> Result<Measured, Failure> {
        let object = self.view.objects.get(index).and_then(Option::as_ref);
        metrics::measure(metric, aim, self.view.size.observed, self.view.usage, object)
    }

    /// Nothing is scaled: `failure` is the first of what went wrong, `text` says it all.
    fn give_up(&mut self, failure: Failure, text: String) {
        self.say("ScalingActive", false, failure.reason, &failure.condition());
        self.plan.notes.push((EventType::Warning, "FailedComputeMetricsReplicas", text));
    }

    fn say(&mut self, type_: &str, holds: bool, reason: &str, text: &str) {
        set_condition(&mut self.plan.status, type_, holds, reason, text, self.view.now);
    }
}

/// A condition's time is that of its last turn.
fn set_condition(
    status: &mut HorizontalPodAutoscalerStatus,
    type_: &str,
    holds: bool,
    reason: &str,
    text: &str,
    now: Timestamp,
) {
    let word = if holds { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let at = conditions.iter().position(|condition| condition.type_ == type_);
    let at = at.unwrap_or_else(|| {
        let type_ = type_.to_owned();
        conditions.push(HorizontalPodAutoscalerCondition { type_, ..Default::default() });
        conditions.len() - 1
    });
    let condition = &mut conditions[at];
    if condition.status != word {
        condition.status = word.to_owned();
        condition.last_transition_time = Some(Time(whole_second(now)));
    }
    condition.reason = Some(reason.to_owned());
    condition.message = Some(text.to_owned());
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
