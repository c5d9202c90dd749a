//! When probes ask, and what they make of the answers.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::container::{ContainerProbes, News};
use super::worker::{Effect, Kind, Outcome, Timing, Worker};
use crate::node::kubelet::pod_worker::Health;

const FAILED: Option<Outcome> = Some(Outcome::Failure);
const PASSED: Option<Outcome> = Some(Outcome::Success);

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn probes(fields: Value) -> ContainerProbes {
    let mut container = json!({"name": "web"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let container: Container = serde_json::from_value(container).unwrap();
    ContainerProbes::of(&container).unwrap()
}

/// Asks what is due next, which must be this, and answers it after `takes` seconds.
#[track_caller]
fn answer(
    probes: &mut ContainerProbes,
    due: (f64, Kind),
    takes: f64,
    outcome: Option<Outcome>,
) -> Option<News> {
    let next = probes.next().map(|(at, kind)| (at.as_secs_f64(), kind));
    assert_eq!(next, Some(due));
    let (from, kind) = due;
    probes.ask(kind, at(from));
    probes.answered(kind, outcome, at(from + takes)).1
}

fn health(started: bool, ready: bool) -> Option<News> {
    Some(News::Health(Health { started, ready }))
}

#[test]
fn readiness_is_asked_at_once_and_then_each_period() {
    let mut it = probes(json!({"readinessProbe": {"periodSeconds": 5}}));
    assert_eq!(it.next(), None);
    it.begin(at(100.0), 0.0);
    assert_eq!(it.health(), Health { started: true, ready: false });
    assert_eq!(answer(&mut it, (100.0, Kind::Readiness), 0.1, PASSED), health(true, true));
    assert_eq!(answer(&mut it, (105.0, Kind::Readiness), 0.1, FAILED), None);
    assert_eq!(answer(&mut it, (110.0, Kind::Readiness), 0.1, FAILED), None);
    assert_eq!(answer(&mut it, (115.0, Kind::Readiness), 0.1, FAILED), health(true, false));
    assert_eq!(answer(&mut it, (120.0, Kind::Readiness), 0.1, FAILED), None);
    assert_eq!(answer(&mut it, (125.0, Kind::Readiness), 0.1, PASSED), health(true, true));
    it.end();
    assert_eq!((it.next(), it.health().ready), (None, false));
}

#[test]
fn what_fails_in_the_first_second_is_asked_again_then() {
    let mut it = probes(json!({"livenessProbe": {"periodSeconds": 10, "failureThreshold": 1}}));
    it.begin(at(7.0), 0.0);
    let kind = Kind::Liveness;
    it.ask(kind, at(7.0));
    assert_eq!(it.answered(kind, FAILED, at(7.5)), (Effect::Ignored, None));
    assert_eq!(answer(&mut it, (8.0, kind), 0.0, PASSED), None);
    assert_eq!(answer(&mut it, (18.0, kind), 0.0, FAILED), Some(News::Failed(kind)));
}

#[test]
fn a_threshold_of_successes_is_kept_and_errors_count_as_nothing() {
    let readiness = json!({"periodSeconds": 1, "successThreshold": 3, "initialDelaySeconds": 2});
    let mut it = probes(json!({"readinessProbe": readiness}));
    it.begin(at(0.0), 0.0);
    assert_eq!(answer(&mut it, (2.0, Kind::Readiness), 0.0, PASSED), None);
    assert_eq!(answer(&mut it, (3.0, Kind::Readiness), 0.0, PASSED), None);
    assert_eq!(answer(&mut it, (4.0, Kind::Readiness), 0.0, FAILED), None);
    assert_eq!(answer(&mut it, (5.0, Kind::Readiness), 0.0, PASSED), None);
    assert_eq!(answer(&mut it, (6.0, Kind::Readiness), 0.0, None), None);
    assert_eq!(answer(&mut it, (7.0, Kind::Readiness), 0.0, PASSED), None);
    assert_eq!(answer(&mut it, (8.0, Kind::Readiness), 0.0, PASSED), health(true, true));
}

#[test]
fn startup_holds_the_others_back_and_is_asked_no_more_afterwards() {
    let mut it = probes(json!({
        "startupProbe": {"periodSeconds": 3, "failureThreshold": 5},
        "livenessProbe": {"periodSeconds": 10},
        "readinessProbe": {"periodSeconds": 10},
    }));
    it.begin(at(0.0), 0.0);
    assert_eq!(it.health(), Health { started: false, ready: false });
    assert_eq!(answer(&mut it, (0.0, Kind::Startup), 1.0, FAILED), None);
    assert_eq!(answer(&mut it, (3.0, Kind::Startup), 0.0, FAILED), None);
    assert_eq!(answer(&mut it, (6.0, Kind::Startup), 0.0, PASSED), health(true, false));
    // Who waits to be ready is asked now, and so is, since it was due, who is to be alive.
    it.ask(Kind::Readiness, at(6.0));
    it.ask(Kind::Liveness, at(6.0));
    assert_eq!(it.answered(Kind::Readiness, PASSED, at(6.1)).1, health(true, true));
    assert_eq!(it.answered(Kind::Liveness, PASSED, at(6.1)).1, None);
    assert_eq!(it.next().map(|(at, _)| at), Some(at(10.0)));
}

#[test]
fn a_failed_startup_is_on_hold_until_another_run() {
    let mut it = probes(json!({"startupProbe": {"periodSeconds": 1, "failureThreshold": 2}}));
    for begin in [0.0, 50.0] {
        it.begin(at(begin), 0.0);
        assert_eq!(answer(&mut it, (begin, Kind::Startup), 1.0, FAILED), None);
        let failed = answer(&mut it, (begin + 1.0, Kind::Startup), 0.0, FAILED);
        assert_eq!(failed, Some(News::Failed(Kind::Startup)));
        assert_eq!((it.next(), it.health().started), (None, false));
        it.end();
    }
}

#[test]
fn failures_of_one_run_are_forgotten_by_the_next() {
    let mut it = probes(json!({"livenessProbe": {"periodSeconds": 1, "failureThreshold": 2}}));
    it.begin(at(0.0), 0.0);
    assert_eq!(answer(&mut it, (0.0, Kind::Liveness), 1.0, FAILED), None);
    it.end();
    it.begin(at(9.0), 0.0);
    assert_eq!(answer(&mut it, (9.0, Kind::Liveness), 1.0, FAILED), None);
    let failed = answer(&mut it, (10.0, Kind::Liveness), 1.0, FAILED);
    assert_eq!(failed, Some(News::Failed(Kind::Liveness)));
}

#[test]
fn who_ends_is_asked_for_readiness_only() {
    let mut it = probes(json!({"startupProbe": {}, "livenessProbe": {}, "readinessProbe": {}}));
    it.begin(at(0.0), 0.0);
    it.pod_ends();
    assert_eq!(it.health(), Health { started: true, ready: false });
    assert_eq!(answer(&mut it, (0.0, Kind::Readiness), 0.0, PASSED), health(true, true));
    assert_eq!(it.next(), Some((at(10.0), Kind::Readiness)));
}

#[test]
fn an_answer_that_took_long_makes_up_for_one_tick() {
    let mut it = probes(json!({"livenessProbe": {"periodSeconds": 2, "timeoutSeconds": 60}}));
    it.begin(at(0.0), 0.0);
    assert_eq!(answer(&mut it, (0.0, Kind::Liveness), 7.0, PASSED), None);
    assert_eq!(it.next(), Some((at(6.0), Kind::Liveness)));
    it.ask(Kind::Liveness, at(7.0));
    it.answered(Kind::Liveness, PASSED, at(7.1));
    assert_eq!(it.next(), Some((at(8.0), Kind::Liveness)));
}

#[test]
fn liveness_of_those_taken_up_again_is_spread() {
    let mut it = probes(json!({"livenessProbe": {"periodSeconds": 20}, "readinessProbe": {}}));
    it.begin(at(0.0), 0.25);
    assert_eq!(it.next(), Some((at(0.0), Kind::Readiness)));
    it.ask(Kind::Readiness, at(0.0));
    assert_eq!(it.next(), Some((at(5.0), Kind::Liveness)));
}

/// What upstream's worker comes to, by counting over all answers.
fn by_counting(kind: Kind, timing: Timing, answers: &[Option<Outcome>]) -> Option<Outcome> {
    let mut holds = match kind {
        Kind::Startup => None,
        Kind::Readiness => Some(Outcome::Failure),
        Kind::Liveness => Some(Outcome::Success),
    };
    let counted: Vec<Outcome> = answers.iter().flatten().copied().collect();
    for end in 1..=counted.len() {
        let last = counted[end - 1];
        let in_a_row = counted[..end].iter().rev().take_while(|one| **one == last).count();
        let threshold = match last {
            Outcome::Success => timing.success_threshold,
            Outcome::Failure => timing.failure_threshold,
        };
        if in_a_row >= usize::try_from(threshold).unwrap() {
            holds = Some(last);
            if last == Outcome::Failure && kind != Kind::Readiness {
                break;
            }
        }
    }
    holds
}

proptest! {
    #[test]
    fn a_worker_comes_to_what_counting_comes_to(
        kind in prop_oneof![Just(Kind::Startup), Just(Kind::Readiness), Just(Kind::Liveness)],
        thresholds in (1u32..4, 1u32..4),
        period in 1u64..5,
        answers in prop::collection::vec((0u8..3, 0.0f64..9.0), 0..40),
    ) {
        let timing = Timing {
            initial_delay: Duration::from_secs(1),
            period: Duration::from_secs(period),
            success_threshold: thresholds.0,
            failure_threshold: thresholds.1,
        };
        let mut worker = Worker::new(kind, timing);
        worker.begin(Duration::ZERO, Duration::ZERO);
        let (mut given, mut now) = (Vec::new(), Duration::ZERO);
        for (outcome, takes) in answers {
            let outcome = [None, PASSED, FAILED][usize::from(outcome)];
            let Some(due) = worker.due(kind != Kind::Startup) else { break };
            let asked_before = now;
            now = now.max(due);
            // Never more than one tick is made up for.
            prop_assert!(due + timing.period > asked_before);
            worker.ask(now);
            prop_assert_eq!(worker.due(kind != Kind::Startup), None);
            now += Duration::from_secs_f64(takes);
            let before = worker.result();
            let effect = worker.answered(outcome, now);
            given.push(outcome);
            prop_assert_eq!(effect == Effect::Changed, worker.result() != before);
            prop_assert_eq!(worker.result(), by_counting(kind, timing, &given));
        }
    }
}
