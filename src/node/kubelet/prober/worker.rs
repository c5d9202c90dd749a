//! One probe of one container: a plain state machine. Times are of the monotonic clock.
//!
//! Upstream: `pkg/kubelet/prober/worker.go` (`doProbe`).

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;

/// Upstream's kubelet sees that a container runs about so long after it began (its relist period), and
/// asks then. We ask at once, so that who is quick is ready at once; what fails before this time is not
/// counted, and asked again then.
pub(super) const FIRST: Duration = Duration::from_secs(1);

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

/// What one question came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It came too early to say anything.
    Ignored,
    Counted,
    /// Something else holds of the container now.
    Changed,
}

/// When to ask, and how many like answers in a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) initial_delay: Duration,
    /// At least a second.
    pub(super) period: Duration,
    /// At least 1.
    pub(super) success_threshold: u32,
    /// At least 1.
    pub(super) failure_threshold: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Worker {
    kind: Kind,
    timing: Timing,
    state: State,
    began: Duration,
    /// What holds of the container; `None`: nothing is known.
    result: Option<Outcome>,
    /// The last answer, and how many of the kind there were in a row.
    last: Option<(Outcome, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No container runs, or nobody wants to know any more.
    Still,
    Waiting {
        until: Duration,
    },
    /// Since the tick at this time.
    Asking {
        tick: Duration,
    },
    /// The container is being restarted for what was found out.
    OnHold,
}

impl fmt::Display for Kind {
    /// As Events begin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        })
    }
}

impl Timing {
    /// With the API's defaults for what is not there.
    pub(super) fn of(probe: &Probe) -> Self {
        let number = |value: Option<i32>, default: u32| {
            value.and_then(|value| u32::try_from(value).ok()).filter(|n| *n > 0).unwrap_or(default)
        };
        let seconds = |value, default| Duration::from_secs(number(value, default).into());
        Self {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            success_threshold: number(probe.success_threshold, 1),
            failure_threshold: number(probe.failure_threshold, 3),
        }
    }
}

impl Worker {
    pub(super) fn new(kind: Kind, timing: Timing) -> Self {
        let (state, began) = (State::Still, Duration::ZERO);
        Self { kind, timing, state, began, result: None, last: None }
    }

    /// The container has begun to run; `spread` holds the first question back.
    pub(super) fn begin(&mut self, now: Duration, spread: Duration) {
        self.began = now;
        self.state = State::Waiting { until: now + self.timing.initial_delay + spread };
        self.last = None;
        self.result = match self.kind {
            Kind::Startup => None,
            Kind::Readiness => Some(Outcome::Failure),
            Kind::Liveness => Some(Outcome::Success),
        };
    }

    /// The container runs no more.
    pub(super) fn end(&mut self) {
        self.state = State::Still;
        self.result = Some(Outcome::Failure);
    }

    /// The Pod is ending: who ends need not be alive, nor start any more.
    pub(super) fn pod_ends(&mut self) {
        if self.kind != Kind::Readiness && self.state != State::Still {
            self.state = State::Still;
            self.result = Some(Outcome::Success);
        }
    }

    pub(super) fn period(&self) -> Duration {
        self.timing.period
    }

    pub(super) fn result(&self) -> Option<Outcome> {
        self.result
    }

    /// When to ask next; `None` while nothing is to be asked. Readiness and liveness wait until the
    /// container `has_started`, and then nobody asks for that any more.
    pub(super) fn due(&self, has_started: bool) -> Option<Duration> {
        match self.state {
            State::Waiting { until } if has_started != (self.kind == Kind::Startup) => Some(until),
            _ => None,
        }
    }

    pub(super) fn ask(&mut self, now: Duration) {
        if let State::Waiting { until } = self.state {
            self.state = State::Asking { tick: self.last_tick(until, now) };
        }
    }

    /// What came of the question; `None` if it could not be asked, which counts as nothing.
    pub(super) fn answered(&mut self, outcome: Option<Outcome>, now: Duration) -> Effect {
        let State::Asking { tick } = self.state else { return Effect::Ignored };
        let first = self.began + FIRST;
        if outcome == Some(Outcome::Failure) && now < first {
            self.state = State::Waiting { until: first };
            return Effect::Ignored;
        }
        // As a ticker of Go's: of the ticks that came meanwhile one is made up for.
        let until = self.last_tick(tick, now).max(tick + self.timing.period);
        self.state = State::Waiting { until };
        let Some(outcome) = outcome else { return Effect::Counted };
        let in_a_row = match self.last {
            Some((last, in_a_row)) if last == outcome => in_a_row.saturating_add(1),
            _ => 1,
        };
        self.last = Some((outcome, in_a_row));
        let threshold = match outcome {
            Outcome::Success => self.timing.success_threshold,
            Outcome::Failure => self.timing.failure_threshold,
        };
        if in_a_row < threshold {
            return Effect::Counted;
        }
        if outcome == Outcome::Failure && self.kind != Kind::Readiness {
            self.state = State::OnHold;
        }
        match self.result.replace(outcome) {
            Some(before) if before == outcome => Effect::Counted,
            _ => Effect::Changed,
        }
    }

    /// The last tick until `now` of those that come each period from `tick` on.
    fn last_tick(&self, tick: Duration, now: Duration) -> Duration {
        let since = now.saturating_sub(tick).as_nanos();
        let periods = since / self.timing.period.as_nanos().max(1);
        tick + self.timing.period * u32::try_from(periods).unwrap_or(u32::MAX)
    }
}
