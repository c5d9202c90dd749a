//! How fast and how far: what becomes of a wish for so many Pods. Pure, with what is remembered handed in.
//!
//! Upstream: `normalizeDesiredReplicas…` and what they call in `pkg/controller/podautoscaler/horizontal.go`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior as Behavior;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules};

/// Upstream's `--horizontal-pod-autoscaler-downscale-stabilization`.
const DOWNSCALE_STABILIZATION_SECONDS: i32 = 300;

/// What is remembered of an autoscaler between two looks; lost when sampan restarts, as upstream's.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Wishes. Bound: those of the longest window, an hour, one for each look.
    recommendations: Vec<(Timestamp, i32)>,
    /// How many Pods came, and went. Bound: those of the longest period, half an hour.
    ups: Vec<(Timestamp, i32)>,
    downs: Vec<(Timestamp, i32)>,
}

/// A wish, and between what it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) current: i32,
    pub(super) desired: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) behavior: Option<&'a Behavior>,
    pub(super) now: Timestamp,
}

/// A reason and a message of a condition.
pub(super) type Words = (&'static str, &'static str);

/// What a wish comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) replicas: i32,
    /// For AbleToScale.
    pub(super) able: Words,
    /// For ScalingLimited, and whether it is.
    pub(super) limited: Words,
    pub(super) is_limited: bool,
}

impl Memory {
    /// So that the first look after a start never scales down at once.
    pub(super) fn begin(&mut self, current: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
    }

    pub(super) fn grant(&mut self, wish: Wish<'_>) -> Granted {
        let (stable, why) = self.stabilized(&wish);
        let able = match stable == wish.desired {
            true => ("ReadyForNewScale", "recommended size matches current size"),
            false => why,
        };
        let (replicas, limited) = match wish.behavior {
            None => by_default_rate(&wish, stable),
            Some(behavior) => self.by_rate(&wish, behavior, stable),
        };
        Granted { replicas, able, limited, is_limited: replicas != stable }
    }

    /// Notes that the target was resized.
    pub(super) fn resized(
        &mut self,
        behavior: Option<&Behavior>,
        from: i32,
        to: i32,
        now: Timestamp,
    ) {
        let Some(behavior) = behavior else { return };
        let (events, rules) = match to > from {
            true => (&mut self.ups, &behavior.scale_up),
            false => (&mut self.downs, &behavior.scale_down),
        };
        let policies = rules.iter().filter_map(|rules| rules.policies.as_ref()).flatten();
        let longest = policies.map(|policy| policy.period_seconds).max().unwrap_or(0);
        events.retain(|(at, _)| *at > now - seconds(longest));
        events.push((now, (to - from).abs()));
    }

    /// Not below the highest wish of the window in which sizes go down, nor above the lowest of the one in
    /// which they go up.
    fn stabilized(&mut self, wish: &Wish<'_>) -> (i32, Words) {
        let window = |rules: &Option<HPAScalingRules>, default| {
            let rules = rules.as_ref();
            rules.and_then(|rules| rules.stabilization_window_seconds).unwrap_or(default)
        };
        let (up, down) = match wish.behavior {
            None => (0, DOWNSCALE_STABILIZATION_SECONDS),
            Some(behavior) => (
                window(&behavior.scale_up, 0),
                window(&behavior.scale_down, DOWNSCALE_STABILIZATION_SECONDS),
            ),
        };
        let (up, down) = (wish.now - seconds(up), wish.now - seconds(down));
        let (mut lowest, mut highest) = (wish.desired, wish.desired);
        for (at, replicas) in &self.recommendations {
            if *at > up {
                lowest = lowest.min(*replicas);
            }
            if *at > down {
                highest = highest.max(*replicas);
            }
        }
        self.recommendations.retain(|(at, _)| *at > up || *at > down);
        self.recommendations.push((wish.now, wish.desired));
        let stable = match wish.behavior {
            None => highest,
            Some(_) => wish.current.max(lowest).min(highest),
        };
        let words = if wish.behavior.is_some() && wish.desired >= wish.current {
            (
                "ScaleUpStabilized",
                "recent recommendations were lower than current one, applying the lowest recent \
                 recommendation",
            )
        } else {
            (
                "ScaleDownStabilized",
                "recent recommendations were higher than current one, applying the highest recent \
                 recommendation",
            )
        };
        (stable, words)
    }

    fn by_rate(&self, wish: &Wish<'_>, behavior: &Behavior, stable: i32) -> (i32, Words) {
        if stable > wish.current {
            let limit = self.limit(wish, behavior.scale_up.as_ref(), true).max(wish.current);
            let (most, words) =
                if wish.max > limit { (limit, TOO_FAST_UP) } else { (wish.max, TOO_MANY) };
            if stable > most {
                return (most, words);
            }
        } else if stable < wish.current {
            let limit = self.limit(wish, behavior.scale_down.as_ref(), false).min(wish.current);
            let (least, words) =
                if wish.min < limit { (limit, TOO_FAST_DOWN) } else { (wish.min, TOO_FEW) };
            if stable < least {
                return (least, words);
            }
        }
        (stable, WITHIN)
    }

    /// How far the policies let the size go, up or down.
    fn limit(&self, wish: &Wish<'_>, rules: Option<&HPAScalingRules>, up: bool) -> i32 {
        let Some(rules) = rules else { return wish.current };
        let select = rules.select_policy.as_deref().unwrap_or("Max");
        if select == "Disabled" {
            return wish.current;
        }
        let policies = rules.policies.iter().flatten();
        let ends = policies.map(|policy| end_of(policy, self.at_start(wish, policy), up));
        // The policy that changes most, or least.
        let end = if up == (select == "Max") { ends.max() } else { ends.min() };
        end.unwrap_or(wish.current)
    }

    /// How many there were when the policy's period began.
    fn at_start(&self, wish: &Wish<'_>, policy: &HPAScalingPolicy) -> i32 {
        let since = wish.now - seconds(policy.period_seconds);
        let sum = |events: &[(Timestamp, i32)]| -> i32 {
            events.iter().filter(|(at, _)| *at > since).map(|(_, change)| change).sum()
        };
        wish.current - sum(&self.ups) + sum(&self.downs)
    }
}

fn end_of(policy: &HPAScalingPolicy, start: i32, up: bool) -> i32 {
    let part = f64::from(policy.value) / 100.0;
    match (policy.type_.as_str(), up) {
        ("Pods", true) => start.saturating_add(policy.value),
        ("Pods", false) => start.saturating_sub(policy.value),
        (_, true) => (f64::from(start) * (1.0 + part)).ceil() as i32,
        (_, false) => (f64::from(start) * (1.0 - part)) as i32,
    }
}

const TOO_FAST_UP: Words =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_FAST_DOWN: Words = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
);
const TOO_MANY: Words =
    ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Words =
    ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const WITHIN: Words = ("DesiredWithinRange", "the desired count is within the acceptable range");

/// Without a behavior: at most twice as many, or four.
fn by_default_rate(wish: &Wish<'_>, stable: i32) -> (i32, Words) {
    let limit = wish.current.saturating_mul(2).max(4);
    let (most, words) = if wish.max > limit { (limit, TOO_FAST_UP) } else { (wish.max, TOO_MANY) };
    if stable < wish.min {
        (wish.min, TOO_FEW)
    } else if stable > most {
        (most, words)
    } else {
        (stable, WITHIN)
    }
}

fn seconds(seconds: i32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    struct Scaler {
        memory: Memory,
        behavior: Option<Behavior>,
        current: i32,
    }

    impl Scaler {
        fn new(current: i32, behavior: Value) -> Self {
            let behavior = serde_json::from_value(behavior).unwrap();
            let mut memory = Memory::default();
            memory.begin(current, at(-1000));
            Self { memory, behavior, current }
        }

        #[track_caller]
        fn check(&mut self, seconds: i64, desired: i32, expect: i32, reason: &str) {
            let (current, now) = (self.current, at(seconds));
            let behavior = self.behavior.as_ref();
            let wish = Wish { current, desired, min: 1, max: 100, behavior, now };
            let granted = self.memory.grant(wish);
            let told = if granted.is_limited { granted.limited.0 } else { granted.able.0 };
            assert_eq!((granted.replicas, told), (expect, reason), "at {seconds}");
            if granted.replicas != current {
                self.memory.resized(behavior, current, granted.replicas, now);
                self.current = granted.replicas;
            }
        }
    }

    #[test]
    fn without_a_behavior_it_doubles_at_most_and_shrinks_after_five_minutes() {
        let mut scaler = Scaler::new(1, json!(null));
        scaler.check(0, 50, 4, "ScaleUpLimit");
        scaler.check(15, 50, 8, "ScaleUpLimit");
        scaler.check(30, 50, 16, "ScaleUpLimit");
        scaler.check(45, 12, 32, "ScaleUpLimit");
        scaler.check(60, 200, 64, "ScaleUpLimit");
        scaler.check(75, 200, 100, "TooManyReplicas");
        scaler.check(90, 0, 100, "TooManyReplicas");
        scaler.check(374, 0, 100, "TooManyReplicas");
        scaler.check(375, 2, 2, "ReadyForNewScale");
    }

    #[test]
    fn windows_hold_changes_back_in_both_directions() {
        let percent = json!([{"type": "Percent", "value": 1000, "periodSeconds": 15}]);
        let rules = json!({"stabilizationWindowSeconds": 60, "selectPolicy": "Max",
            "policies": percent});
        let mut scaler = Scaler::new(5, json!({"scaleUp": rules, "scaleDown": rules}));
        scaler.check(0, 5, 5, "ReadyForNewScale");
        scaler.check(15, 8, 5, "ScaleUpStabilized");
        scaler.check(59, 9, 5, "ScaleUpStabilized");
        scaler.check(60, 9, 8, "ScaleUpStabilized");
        scaler.check(75, 2, 8, "ScaleDownStabilized");
        scaler.check(118, 3, 8, "ScaleDownStabilized");
        scaler.check(120, 2, 3, "ScaleDownStabilized");
    }

    #[test]
    fn policies_bound_the_rate() {
        let behavior = json!({
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 60},
                {"type": "Percent", "value": 50, "periodSeconds": 60}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Min", "policies": [
                {"type": "Pods", "value": 3, "periodSeconds": 60},
                {"type": "Percent", "value": 10, "periodSeconds": 60}]},
        });
        let mut scaler = Scaler::new(2, behavior);
        scaler.check(0, 40, 6, "ScaleUpLimit");
        scaler.check(15, 40, 6, "ScaleUpLimit");
        scaler.check(60, 40, 10, "ScaleUpLimit");
        scaler.check(120, 40, 15, "ScaleUpLimit");
        // 10% of 15 is less than 3 Pods.
        scaler.check(200, 1, 13, "ScaleDownLimit");
        scaler.check(215, 1, 13, "ScaleDownLimit");
        scaler.check(260, 1, 11, "ScaleDownLimit");
    }

    #[test]
    fn a_direction_can_be_shut() {
        let shut = json!({"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]});
        let mut scaler = Scaler::new(5, json!({"scaleDown": shut, "scaleUp": shut}));
        scaler.check(0, 1, 5, "ScaleDownLimit");
        scaler.check(15, 9, 5, "ScaleUpLimit");
    }
}
