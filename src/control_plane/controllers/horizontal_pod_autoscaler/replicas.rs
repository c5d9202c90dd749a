//! From what Pods use to how many there should be: pure.
//!
//! Upstream: `pkg/controller/podautoscaler/replica_calculator.go`, `metrics/utilization.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use super::usage::{Sample, Samples};
use crate::api::quantity::Quantity;

/// Upstream's `--horizontal-pod-autoscaler-…` flags, as they are by default.
const TOLERANCE: f64 = 0.1;
const CPU_INITIALIZATION_PERIOD: SignedDuration = SignedDuration::from_mins(5);
const INITIAL_READINESS_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// How many Pods one metric asks for, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    /// Percent of what is asked for, for aims at a utilization.
    pub(super) utilization: Option<i32>,
    /// Of a Pod on average, or of the whole object: thousandths.
    pub(super) value: i64,
}

/// What an aim is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim<'a> {
    /// Now, by the scale's spec.
    pub(super) replicas: i32,
    pub(super) pods: &'a [Arc<Pod>],
    /// What is measured is CPU time: a Pod that starts says nothing of what it will use.
    pub(super) is_cpu: bool,
    pub(super) now: Timestamp,
}

/// Whose numbers count.
#[derive(Debug, Default)]
struct Groups {
    ready: usize,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Aim<'_> {
    /// Percent of what the Pods ask for, on average.
    ///
    /// # Errors
    /// If a container asks for nothing, or no Pod tells what it uses.
    pub(super) fn utilization(
        &self,
        resource: &str,
        container: Option<&str>,
        percent: i32,
        mut samples: Samples,
    ) -> Result<Proposal, String> {
        let groups = self.groups(&mut samples)?;
        let requests = requests(self.pods, resource, container)?;
        if samples.is_empty() {
            return Err(NOTHING_KNOWN.to_owned());
        }
        let (used, value) = utilization(&samples, &requests)?;
        let proposal = |replicas| Proposal { replicas, utilization: Some(used), value };
        let ratio = f64::from(used) / f64::from(percent);
        let fill = |name: &str| {
            let request = requests.get(name).copied().unwrap_or(0);
            request * i64::from(percent.max(100)) / 100
        };
        let Some(whole) = fill_in(&groups, ratio, fill, &mut samples, self.now) else {
            return Ok(proposal(self.scaled(ratio, groups.ready)));
        };
        let again = f64::from(utilization(&whole, &requests)?.0) / f64::from(percent);
        Ok(proposal(self.settled(ratio, again, whole.len())))
    }

    /// So many thousandths for each Pod, on average.
    ///
    /// # Errors
    /// If there are no Pods, or none tells.
    pub(super) fn average(&self, target: i64, mut samples: Samples) -> Result<Proposal, String> {
        let groups = self.groups(&mut samples)?;
        if samples.is_empty() {
            return Err(NOTHING_KNOWN.to_owned());
        }
        let value = mean(&samples);
        let proposal = |replicas| Proposal { replicas, utilization: None, value };
        let ratio = value as f64 / target as f64;
        let Some(whole) = fill_in(&groups, ratio, |_| target, &mut samples, self.now) else {
            return Ok(proposal(self.scaled(ratio, groups.ready)));
        };
        let again = mean(&whole) as f64 / target as f64;
        Ok(proposal(self.settled(ratio, again, whole.len())))
    }

    /// So many thousandths of the whole object.
    ///
    /// # Errors
    /// If there are no Pods though there should be.
    pub(super) fn whole(&self, target: i64, value: i64) -> Result<Proposal, String> {
        let ratio = value as f64 / target as f64;
        let replicas = match self.replicas {
            0 => times(ratio, 1),
            _ if is_near(ratio) => self.replicas,
            _ => times(ratio, self.ready()?),
        };
        Ok(Proposal { replicas, utilization: None, value })
    }

    /// So many thousandths for each Pod of what the whole object has. `observed`: how many there are by
    /// the scale's status.
    pub(super) fn share(&self, target: i64, value: i64, observed: i32) -> Proposal {
        let ratio = value as f64 / (target as f64 * f64::from(observed));
        let replicas = match observed {
            0 => times(value as f64 / target as f64, 1),
            _ if is_near(ratio) => observed,
            _ => times(value as f64 / target as f64, 1),
        };
        let value = (value as f64 / f64::from(observed.max(1))).ceil() as i64;
        Proposal { replicas, utilization: None, value }
    }

    fn ready(&self) -> Result<usize, String> {
        if self.pods.is_empty() {
            return Err(format!("unable to calculate ready pods: {NO_PODS}"));
        }
        let is_ready = |pod: &&Arc<Pod>| {
            phase(pod) == "Running" && ready_condition(pod).is_some_and(|(is, _)| is)
        };
        Ok(self.pods.iter().filter(is_ready).count())
    }

    /// The answer where every Pod's number is known.
    fn scaled(&self, ratio: f64, ready: usize) -> i32 {
        if is_near(ratio) { self.replicas } else { times(ratio, ready) }
    }

    /// The answer once the others' numbers have been guessed: never in another direction than before.
    fn settled(&self, before: f64, after: f64, pods: usize) -> i32 {
        let turned = (before < 1.0 && after > 1.0) || (before > 1.0 && after < 1.0);
        if is_near(after) || turned {
            return self.replicas;
        }
        let replicas = times(after, pods);
        let turned =
            (after < 1.0 && replicas > self.replicas) || (after > 1.0 && replicas < self.replicas);
        if turned { self.replicas } else { replicas }
    }

    /// Sorts the Pods, and takes away the numbers of those that do not count.
    fn groups(&self, samples: &mut Samples) -> Result<Groups, String> {
        if self.pods.is_empty() {
            return Err(NO_PODS.to_owned());
        }
        let mut groups = Groups::default();
        for pod in self.pods {
            let name = pod.metadata.name.clone().unwrap_or_default();
            if pod.metadata.deletion_timestamp.is_some() || phase(pod) == "Failed" {
                samples.remove(&name);
            } else if phase(pod) == "Pending" {
                samples.remove(&name);
                groups.unready.insert(name);
            } else if let Some(sample) = samples.get(&name).copied() {
                if self.is_cpu && is_starting(pod, sample, self.now) {
                    samples.remove(&name);
                    groups.unready.insert(name);
                } else {
                    groups.ready += 1;
                }
            } else {
                groups.missing.insert(name);
            }
        }
        Ok(groups)
    }
}

const NOTHING_KNOWN: &str = "did not receive metrics for targeted pods (pods might be unready)";
const NO_PODS: &str = "no pods returned by selector while calculating replica count";

/// Guesses for those of whom nothing is known: on the way down they use what they may (`most`), on the
/// way up nothing. `None` if there is nobody to guess for.
fn fill_in(
    groups: &Groups,
    ratio: f64,
    most: impl Fn(&str) -> i64,
    samples: &mut Samples,
    now: Timestamp,
) -> Option<Samples> {
    let grows = ratio > 1.0;
    let counts_unready = grows && !groups.unready.is_empty();
    if !counts_unready && groups.missing.is_empty() {
        return None;
    }
    let mut whole = std::mem::take(samples);
    let guess = |value| Sample { value, at: now, window: Duration::ZERO };
    if ratio < 1.0 {
        whole.extend(groups.missing.iter().map(|name| (name.clone(), guess(most(name)))));
    } else if grows {
        whole.extend(groups.missing.iter().map(|name| (name.clone(), guess(0))));
    }
    if counts_unready {
        whole.extend(groups.unready.iter().map(|name| (name.clone(), guess(0))));
    }
    Some(whole)
}

fn is_near(ratio: f64) -> bool {
    (1.0 - ratio).abs() <= TOLERANCE
}

fn times(ratio: f64, pods: usize) -> i32 {
    (ratio * pods as f64).ceil() as i32
}

fn mean(samples: &Samples) -> i64 {
    let sum: i64 = samples.values().map(|sample| sample.value).sum();
    sum / i64::try_from(samples.len()).unwrap_or(i64::MAX).max(1)
}

/// Percent of what is asked for, of those that tell; and what they use on average.
fn utilization(samples: &Samples, requests: &BTreeMap<String, i64>) -> Result<(i32, i64), String> {
    let (mut used, mut asked, mut pods) = (0_i64, 0_i64, 0_i64);
    for (name, sample) in samples {
        let Some(request) = requests.get(name) else { continue };
        used += sample.value;
        asked += request;
        pods += 1;
    }
    if asked == 0 {
        return Err("no metrics returned matched known pods".to_owned());
    }
    Ok((i32::try_from(used * 100 / asked).unwrap_or(i32::MAX), used / pods.max(1)))
}

/// What each Pod's containers ask for, those that run beside them from the start included.
fn requests(
    pods: &[Arc<Pod>],
    resource: &str,
    container: Option<&str>,
) -> Result<BTreeMap<String, i64>, String> {
    let mut requests = BTreeMap::new();
    for pod in pods {
        let (name, spec) = (pod.metadata.name.clone().unwrap_or_default(), pod.spec.as_ref());
        let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
        let sidecars = init.filter(|it| it.restart_policy.as_deref() == Some("Always"));
        let containers = spec.into_iter().flat_map(|spec| &spec.containers).chain(sidecars);
        let mut sum = 0;
        let is_wanted = |it: &&Container| container.is_none_or(|wanted| it.name == wanted);
        let mut found = false;
        for one in containers.filter(is_wanted) {
            found = true;
            sum += request(one, resource).ok_or_else(|| {
                format!("missing request for {resource} in container {} of Pod {name}", one.name)
            })?;
        }
        if let Some(wanted) = container.filter(|_| !found) {
            return Err(format!("container {wanted} not found in Pod {name}"));
        }
        requests.insert(name, sum);
    }
    Ok(requests)
}

fn request(container: &Container, resource: &str) -> Option<i64> {
    let amount = container.resources.as_ref()?.requests.as_ref()?.get(resource)?;
    Quantity::of(amount).ok().map(Quantity::millis)
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Whether the Pod is ready, and since when that is so.
fn ready_condition(pod: &Pod) -> Option<(bool, Timestamp)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    let since = ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    Some((ready.status == "True", since))
}

/// The CPU it uses is what its start takes: it has not been ready for a whole window, or never was.
fn is_starting(pod: &Pod, sample: Sample, now: Timestamp) -> bool {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    let (Some((is_ready, since)), Some(started)) = (ready_condition(pod), started) else {
        return true;
    };
    if started.0 + CPU_INITIALIZATION_PERIOD > now {
        return !is_ready || sample.at < since + sample.window;
    }
    !is_ready && started.0 + INITIAL_READINESS_DELAY > since
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";

    /// Old and ready, one container that asks for 1 CPU; `r` runs, `u` is not ready yet, `p` is
    /// pending, `f` has failed.
    fn pods(letters: &str) -> Vec<Arc<Pod>> {
        let pod = |(index, letter): (usize, char)| {
            let (phase, ready, started) = match letter {
                'r' => ("Running", "True", "2026-01-01T00:00:00Z"),
                'u' => ("Running", "False", "2026-01-01T00:59:50Z"),
                'p' => ("Pending", "False", "2026-01-01T00:59:50Z"),
                _ => ("Failed", "False", "2026-01-01T00:00:00Z"),
            };
            let pod = json!({"metadata": {"name": index.to_string()},
                "spec": {"containers": [{"name": "c",
                    "resources": {"requests": {"cpu": "1"}}}]},
                "status": {"phase": phase, "startTime": started, "conditions": [{"type": "Ready",
                    "status": ready, "lastTransitionTime": started}]}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        letters.chars().enumerate().map(pod).collect()
    }

    /// One number for each Pod, in thousandths; a negative one is missing.
    fn samples(values: &[i64]) -> Samples {
        let at = NOW.parse().unwrap();
        let sample = |value| Sample { value, at, window: Duration::from_secs(15) };
        let known = values.iter().enumerate().filter(|(_, value)| **value >= 0);
        known.map(|(index, value)| (index.to_string(), sample(*value))).collect()
    }

    #[track_caller]
    fn check(letters: &str, percent: i32, values: &[i64], expect: Result<(i32, i32), &str>) {
        let pods = pods(letters);
        let replicas = i32::try_from(pods.len()).unwrap();
        let now = NOW.parse().unwrap();
        let aim = Aim { replicas, pods: &pods, is_cpu: true, now };
        let found = aim.utilization("cpu", None, percent, samples(values));
        let found = found.map(|it| (it.replicas, it.utilization.unwrap()));
        assert_eq!(found, expect.map_err(str::to_owned));
    }

    #[test]
    fn what_is_used_decides() {
        check("rrr", 30, &[300, 500, 700], Ok((5, 50)));
        check("rrr", 50, &[100, 100, 100], Ok((1, 10)));
        // Within a tenth nothing changes.
        check("rrr", 50, &[540, 540, 540], Ok((3, 54)));
        check("rrr", 50, &[560, 560, 560], Ok((4, 56)));
    }

    #[test]
    fn who_starts_counts_for_nothing_on_the_way_up() {
        check("ruu", 30, &[900, 100, 100], Ok((3, 90)));
        check("rrp", 30, &[600, 900, -1], Ok((5, 75)));
        check("rrf", 30, &[500, 700, -1], Ok((4, 60)));
        check("uuu", 30, &[1, 1, 1], Err(NOTHING_KNOWN));
    }

    #[test]
    fn who_is_missing_is_guessed_against_the_change() {
        // On the way down a missing Pod uses all it asked for, on the way up nothing.
        check("rrrr", 50, &[100, 100, 100, -1], Ok((3, 10)));
        check("rrrr", 50, &[900, 900, 900, -1], Ok((6, 90)));
        check("rr", 50, &[400, -1], Ok((2, 40)));
        check("", 50, &[], Err(NO_PODS));
    }

    #[test]
    fn a_young_pod_must_have_been_ready_for_a_window() {
        let starting = |since: &str, window: u64| {
            let mut pods = pods("r");
            let pod = Arc::make_mut(&mut pods[0]);
            let status = pod.status.as_mut().unwrap();
            status.start_time = serde_json::from_value(json!("2026-01-01T00:58:00Z")).unwrap();
            status.conditions.as_mut().unwrap()[0].last_transition_time =
                serde_json::from_value(json!(since)).unwrap();
            let now = NOW.parse().unwrap();
            let sample = Sample { value: 1, at: now, window: Duration::from_secs(window) };
            is_starting(pod, sample, now)
        };
        assert!(starting("2026-01-01T00:59:50Z", 15));
        assert!(!starting("2026-01-01T00:59:40Z", 15));
    }

    #[test]
    fn containers_must_ask_for_what_is_measured() {
        let pods = pods("r");
        let missing = "missing request for memory in container c of Pod 0";
        assert_eq!(requests(&pods, "memory", None).unwrap_err(), missing);
        let missing = "container x not found in Pod 0";
        assert_eq!(requests(&pods, "cpu", Some("x")).unwrap_err(), missing);
    }

    #[test]
    fn an_object_is_shared_or_taken_whole() {
        let now = NOW.parse().unwrap();
        let three = pods("rrr");
        let aim = Aim { replicas: 3, pods: &three, is_cpu: false, now };
        assert_eq!(aim.whole(10_000, 20_000).unwrap().replicas, 6);
        assert_eq!(aim.whole(10_000, 10_900).unwrap().replicas, 3);
        let share = aim.share(10_000, 70_000, 3);
        assert_eq!((share.replicas, share.value), (7, 23_334));
        let none = Aim { replicas: 0, pods: &[], is_cpu: false, now };
        assert_eq!(none.whole(10_000, 0).unwrap().replicas, 0);
        assert_eq!(none.whole(10_000, 1).unwrap().replicas, 1);
        assert_eq!(none.share(10_000, 25_000, 0).replicas, 3);
        let average = aim.average(1_000, samples(&[2_000, 2_000, 2_000])).unwrap();
        assert_eq!((average.replicas, average.value), (6, 2_000));
    }
}
