//! What users are told of cold starts: an annotation of the Service, for `kubectl describe`.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tracing::debug;

use crate::api::object::ObjectKey;
use crate::node::proxy::start::Context;

const COLD_STARTS: &str = "sampan.dev/cold-starts";
/// Bound: the last cold starts of a Service that the quantiles are of.
const LAST: usize = 256;

/// By Service. Bound: the Services that sleep; what goes with them is small and stays.
#[derive(Debug, Default)]
pub(super) struct ColdStarts(HashMap<ObjectKey, History>);

#[derive(Debug, Default)]
struct History {
    count: u64,
    last: VecDeque<Duration>,
}

impl ColdStarts {
    pub(super) fn add(&mut self, service: &ObjectKey, waited: Duration) {
        let history = self.0.entry(service.clone()).or_default();
        history.count += 1;
        history.last.push_back(waited);
        if history.last.len() > LAST {
            history.last.pop_front();
        }
    }

    /// Writes the Service's annotation.
    pub(super) async fn tell(&self, ctx: &Context, service: &ObjectKey) {
        let Some(history) = self.0.get(service) else { return };
        let patch = json!({"metadata": {"annotations": {COLD_STARTS: history.text()}}});
        let api: Api<Service> = Api::namespaced(ctx.rooms.client.kube(), &service.namespace);
        let params = PatchParams::default();
        // The next cold start writes it again.
        if let Err(error) = api.patch(&service.name, &params, &Patch::Merge(&patch)).await {
            debug!(%service, %error, "Failed to note a cold start");
        }
    }
}

impl History {
    fn text(&self) -> String {
        let mut sorted: Vec<Duration> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        let quantile = |hundredths: usize| {
            let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
            let at = sorted.get(rank - 1).copied().unwrap_or_default();
            format!("{:.1}ms", at.as_secs_f64() * 1000.0)
        };
        format!(
            "count={} last={} p50={} p99={} max={}",
            self.count,
            format_args!(
                "{:.1}ms",
                self.last.back().copied().unwrap_or_default().as_secs_f64() * 1000.0
            ),
            quantile(50),
            quantile(99),
            quantile(100),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_those_that_happened() {
        let (mut starts, service) = (ColdStarts::default(), ObjectKey::new("n", "s"));
        for millis in [30, 10, 20] {
            starts.add(&service, Duration::from_millis(millis));
        }
        let text = starts.0[&service].text();
        assert_eq!(text, "count=3 last=20.0ms p50=20.0ms p99=30.0ms max=30.0ms");
    }
}
