//! Amounts and times as the group spells them.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

use crate::api::quantity::{self, Quantity};
use crate::client::node_api::Usage;

/// A list of resources: `cpu` and `memory`.
pub(super) type ResourceList = BTreeMap<String, ApiQuantity>;

/// What is ours beside metrics-server's: HTTP requests each second, of who serves any.
const REQUESTS: &str = "requests_per_second";

/// In metrics-server's units: billionths of a core, KiB.
pub(super) fn of(usage: &Usage) -> ResourceList {
    let amounts = [
        ("cpu", Some(format!("{}n", usage.cpu_nanocores))),
        ("memory", Some(format!("{}Ki", usage.memory_bytes >> 10))),
        (REQUESTS, usage.request_millis.map(|millis| format!("{millis}m"))),
    ];
    let canonical = |text: String| quantity::canonical(&text).unwrap_or(text);
    let amounts = amounts.into_iter().filter_map(|(name, text)| Some((name, text?)));
    amounts.map(|(name, text)| (name.to_owned(), ApiQuantity(canonical(text)))).collect()
}

/// The cells of `cpu` and `memory`: sums of all lists.
pub(super) fn cells<'a>(lists: impl Iterator<Item = &'a ResourceList> + Clone) -> [Value; 2] {
    ["cpu", "memory"].map(|name| {
        let amounts = lists.clone().filter_map(|list| Quantity::of(list.get(name)?).ok());
        amounts.fold(Quantity::ZERO, |sum, amount| sum + amount).to_string().into()
    })
}

/// As Go prints it, to the millisecond: `15.003s`, `1m2s`.
pub(super) fn go_duration(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    let fraction = match duration.subsec_millis() {
        0 => String::new(),
        millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, minutes) => format!("{minutes}m{seconds}{fraction}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let check = |millis, expect: &str| {
            assert_eq!(go_duration(Duration::from_millis(millis)), expect);
        };
        check(15_003, "15.003s");
        check(10_500, "10.5s");
        check(62_000, "1m2s");
        check(3_600_000, "1h0m0s");
    }

    #[test]
    fn amounts_are_canonical_and_add_up() {
        let usage = |cpu_nanocores, memory_bytes| {
            let (at, window) = (jiff::Timestamp::UNIX_EPOCH, Duration::from_secs(10));
            of(&Usage { at, window, cpu_nanocores, memory_bytes, request_millis: None })
        };
        let lists = [usage(1_500_000, 3 << 20), usage(500_000, 1 << 10)];
        assert_eq!((&*lists[0]["cpu"].0, &*lists[0]["memory"].0), ("1500u", "3Mi"));
        assert_eq!(cells(lists.iter()), ["2m", "3073Ki"]);
        assert_eq!(cells([].iter()), ["0", "0"]);
    }
}
