//! One metric: how many Pods it asks for, and its status. Pure.
//!
//! Upstream: `computeStatusFor…Metric` in `pkg/controller/podautoscaler/horizontal.go`.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
    ObjectMetricSource, ObjectMetricStatus, PodsMetricSource, PodsMetricStatus,
    ResourceMetricStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::replicas::{Aim, Proposal};
use super::usage::{self, PodMetrics};
use crate::api::quantity::Quantity;

/// The metric that sampan measures beside CPU and memory.
pub(super) const REQUESTS: &str = "requests_per_second";

/// What came of a metric.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) proposal: Proposal,
    /// As messages call it.
    pub(super) name: String,
    pub(super) status: MetricStatus,
}

/// Why a metric says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Of the Event and of the condition ScalingActive.
    pub(super) reason: &'static str,
    /// What the Event says.
    pub(super) cause: String,
    /// What the sum of all failures says.
    pub(super) text: String,
    /// The condition says the cause as it is.
    pub(super) is_plain: bool,
}

impl Failure {
    fn new(reason: &'static str, cause: String, what: &str) -> Self {
        let text = format!("failed to get {what}: {cause}");
        Self { reason, cause, text, is_plain: false }
    }

    pub(super) fn condition(&self) -> String {
        if self.is_plain {
            return self.cause.clone();
        }
        format!("the HPA was unable to compute the replica count: {}", self.cause)
    }
}

type Usage = Result<Vec<PodMetrics>, String>;

pub(super) fn measure(
    metric: &MetricSpec,
    aim: Aim<'_>,
    observed: i32,
    usage: &Usage,
    object: Option<&Result<i64, String>>,
) -> Result<Measured, Failure> {
    let type_ = metric.type_.clone();
    if let Some(source) = &metric.resource {
        let name = source.name.as_str();
        let what = format!("{name} resource metric value");
        let (proposal, told) = of_resource(name, None, &source.target, aim, usage)
            .map_err(|cause| Failure::new("FailedGetResourceMetric", cause, &what))?;
        let current = current(&source.target, proposal);
        let resource = Some(ResourceMetricStatus { name: name.to_owned(), current });
        let status = MetricStatus { type_, resource, ..MetricStatus::default() };
        return Ok(Measured { proposal, name: told, status });
    }
    if let Some(source) = &metric.container_resource {
        let (name, container) = (source.name.clone(), source.container.clone());
        let what = format!("{name} container metric value");
        let (proposal, told) = of_resource(&name, Some(&container), &source.target, aim, usage)
            .map_err(|cause| Failure::new("FailedGetContainerResourceMetric", cause, &what))?;
        let current = current(&source.target, proposal);
        let resource = ContainerResourceMetricStatus { name, container, current };
        let container_resource = Some(resource);
        let status = MetricStatus { type_, container_resource, ..MetricStatus::default() };
        return Ok(Measured { proposal, name: told, status });
    }
    if let Some(source) = &metric.pods {
        let proposal = of_pods(source, aim, usage)
            .map_err(|cause| Failure::new("FailedGetPodsMetric", cause, "pods metric value"))?;
        let current = current(&source.target, proposal);
        let pods = Some(PodsMetricStatus { metric: source.metric.clone(), current });
        let status = MetricStatus { type_, pods, ..MetricStatus::default() };
        let name = format!("pods metric {}", source.metric.name);
        return Ok(Measured { proposal, name, status });
    }
    if let Some(source) = &metric.object {
        let proposal = of_object(source, aim, observed, object)
            .map_err(|cause| Failure::new("FailedGetObjectMetric", cause, "object metric value"))?;
        let current = current(&source.target, proposal);
        let described_object = source.described_object.clone();
        let name = format!("{} metric {}", described_object.kind, source.metric.name);
        let metric = source.metric.clone();
        let object = Some(ObjectMetricStatus { described_object, metric, current });
        let status = MetricStatus { type_, object, ..MetricStatus::default() };
        return Ok(Measured { proposal, name, status });
    }
    if let Some(source) = &metric.external {
        let name = &source.metric.name;
        let cause = format!(
            "unable to get external metric {name}: no external metrics API is served: sampan has no \
             metrics from outside the cluster"
        );
        return Err(Failure::new(
            "FailedGetExternalMetric",
            cause,
            &format!("external metric {name}"),
        ));
    }
    let cause = format!("unknown metric source type {type_:?}");
    Err(Failure { reason: "InvalidMetricSourceType", text: cause.clone(), cause, is_plain: false })
}

fn of_resource(
    name: &str,
    container: Option<&str>,
    target: &MetricTarget,
    aim: Aim<'_>,
    usage: &Usage,
) -> Result<(Proposal, String), String> {
    let aim = Aim { is_cpu: name == "cpu", ..aim };
    let samples = || {
        let samples = match usage {
            Ok(pods) => usage::of_resource(pods, name, container),
            Err(error) => Err(error.clone()),
        };
        samples.map_err(|why| format!("unable to get metrics for resource {name}: {why}"))
    };
    let place = if container.is_some() { "container resource" } else { "resource" };
    if let Some(average) = &target.average_value {
        let proposal = samples().and_then(|samples| aim.average(millis(average), samples));
        let proposal = proposal.map_err(|why| format!("failed to get {name} usage: {why}"))?;
        return Ok((proposal, format!("{name} {place}")));
    }
    let Some(percent) = target.average_utilization else {
        let text = "invalid resource metric source: neither an average utilization target nor an \
                    average value (usage) target was set";
        return Err(text.to_owned());
    };
    let proposal = samples().and_then(|samples| aim.utilization(name, container, percent, samples));
    let proposal = proposal.map_err(|why| format!("failed to get {name} utilization: {why}"))?;
    Ok((proposal, format!("{name} {place} utilization (percentage of request)")))
}

fn of_pods(source: &PodsMetricSource, aim: Aim<'_>, usage: &Usage) -> Result<Proposal, String> {
    let name = &source.metric.name;
    let failed = |why: &str| format!("unable to get metric {name}: {why}");
    if name != REQUESTS {
        return Err(failed(&not_measured(name, "pods")));
    }
    let pods = usage.as_ref().map_err(|why| failed(why))?;
    let target = source.target.average_value.as_ref().map(millis).unwrap_or_default();
    aim.average(target, usage::of_metric(pods, name))
}

fn of_object(
    source: &ObjectMetricSource,
    aim: Aim<'_>,
    observed: i32,
    value: Option<&Result<i64, String>>,
) -> Result<Proposal, String> {
    let (name, object) = (&source.metric.name, &source.described_object);
    let value = value.cloned().unwrap_or_else(|| Err(not_measured(name, &object.kind)));
    let value = value.map_err(|why| {
        format!("unable to get metric {name}: {} on {}: {why}", object.kind, object.name)
    })?;
    match (&source.target.value, &source.target.average_value) {
        (Some(target), _) if source.target.type_ == "Value" => aim.whole(millis(target), value),
        (_, Some(target)) => Ok(aim.share(millis(target), value, observed)),
        _ => {
            Err("invalid object metric source: neither a value target nor an average value target \
                  was set"
                .to_owned())
        }
    }
}

/// What there is instead of a custom metrics API.
pub(super) fn not_measured(metric: &str, of: &str) -> String {
    format!(
        "the server could not find the metric {metric} for {of}: sampan measures {REQUESTS}, of \
         Services and of Pods"
    )
}

fn millis(amount: &ApiQuantity) -> i64 {
    // Validation let only well-formed quantities in.
    Quantity::of(amount).map(Quantity::millis).unwrap_or_default()
}

fn current(target: &MetricTarget, proposal: Proposal) -> MetricValueStatus {
    let value = Some(Quantity::from_millis(proposal.value).to_api());
    if target.type_ == "Value" {
        return MetricValueStatus { value, ..MetricValueStatus::default() };
    }
    let average_utilization = proposal.utilization;
    MetricValueStatus { average_value: value, average_utilization, value: None }
}
