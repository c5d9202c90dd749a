//! Events: short-lived notes on what happened to an object.
//!
//! Upstream: `pkg/registry/core/event/strategy.go`, `pkg/apis/core/validation/events.go`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, column, since, wide};
use crate::control_plane::registry::{Column, Names, Resource, Scope};
use crate::control_plane::storage::Durability;

#[derive(Debug)]
pub(crate) struct Events;

impl Resource for Events {
    type Object = Event;

    const NAMES: Names =
        Names { plural: "events", singular: "event", short: &["ev"], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const DURABILITY: Durability = Durability::Relaxed;
    const CREATES_ON_UPDATE: bool = true;
    /// Upstream: `--event-ttl`.
    const TTL: Option<Duration> = Some(Duration::from_secs(60 * 60));

    fn validate(event: &Event) -> Vec<FieldError> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let involved = event.involved_object.namespace.as_deref().unwrap_or_default();
        // What belongs to no namespace is reported in `default`.
        if involved == namespace || (involved.is_empty() && namespace == "default") {
            return Vec::new();
        }
        let path = Path::new("involvedObject").child("namespace");
        vec![FieldError::invalid(path, involved, "does not match event.namespace")]
    }

    fn validate_name(name: &str) -> Vec<String> {
        crate::api::meta::path_segment_name(name)
    }

    fn fields(event: &Event) -> Vec<(&'static str, String)> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let involved = &event.involved_object;
        vec![
            ("involvedObject.kind", text(&involved.kind)),
            ("involvedObject.namespace", text(&involved.namespace)),
            ("involvedObject.name", text(&involved.name)),
            ("involvedObject.uid", text(&involved.uid)),
            ("involvedObject.apiVersion", text(&involved.api_version)),
            ("involvedObject.resourceVersion", text(&involved.resource_version)),
            ("involvedObject.fieldPath", text(&involved.field_path)),
            ("reason", text(&event.reason)),
            ("reportingComponent", text(&event.reporting_component)),
            ("source", component(event).to_owned()),
            ("type", text(&event.type_)),
        ]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            column("Last Seen", "Time since the event was last observed."),
            column("Type", "Normal or Warning."),
            column("Reason", "A short word a machine can act on."),
            column("Object", "The object this is about."),
            wide("Subobject", "The part of the object this is about."),
            wide("Source", "The component that reports, and where it runs."),
            column("Message", "What happened, in words."),
            wide("First Seen", "Time since the event was first observed."),
            wide("Count", "How often it happened."),
            Column {
                name: "Name",
                type_: "string",
                format: "name",
                description: "The event's own name.",
                priority: 1,
            },
        ];
        COLUMNS
    }

    fn row(event: &Event, now: Timestamp) -> Vec<Value> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let event_time = event.event_time.as_ref().map(|time| time.0);
        let first = event.first_timestamp.as_ref().map(|time| time.0).or(event_time);
        let last = event.last_timestamp.as_ref().map(|time| time.0).or(first);
        let series = event.series.as_ref();
        let last = match series {
            Some(series) => series.last_observed_time.as_ref().map(|time| time.0),
            None => last,
        };
        // An Event of the new API that happened once says nothing of a count.
        let count = match series {
            Some(series) => series.count.unwrap_or_default(),
            None => event.count.filter(|count| *count != 0).unwrap_or(1),
        };
        vec![
            since(last, now).into(),
            text(&event.type_).into(),
            text(&event.reason).into(),
            target(event).into(),
            text(&event.involved_object.field_path).into(),
            source(event).into(),
            text(&event.message).trim().into(),
            since(first, now).into(),
            count.into(),
            print::name(&event.metadata),
        ]
    }
}

/// `pod/counter`, or `pod` if the object has no name.
fn target(event: &Event) -> String {
    let kind = event.involved_object.kind.as_deref().unwrap_or_default().to_lowercase();
    match event.involved_object.name.as_deref().unwrap_or_default() {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

/// `kubelet, node-1`.
fn source(event: &Event) -> String {
    let source = event.source.as_ref();
    let host = source.and_then(|source| source.host.as_deref());
    let component = component(event);
    match print::or(host, event.reporting_instance.as_deref().unwrap_or_default()) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}

fn component(event: &Event) -> &str {
    let source = event.source.as_ref().and_then(|source| source.component.as_deref());
    print::or(source, event.reporting_component.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(event: Value, expect: [&str; 10]) {
        let event = serde_json::from_value(event).unwrap();
        let row = Events::row(&event, "2026-11-22T17:00:00Z".parse().unwrap());
        let row: Vec<String> = row
            .iter()
            .map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned))
            .collect();
        assert_eq!(row, expect);
    }

    #[test]
    fn a_core_event_tells_first_and_last() {
        let event = json!({
            "metadata": {"name": "p.1"},
            "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
            "type": "Normal", "reason": "Pulled", "message": "Container image present\n",
            "source": {"component": "kubelet", "host": "n"},
            "firstTimestamp": "2026-11-22T16:50:00Z", "lastTimestamp": "2026-11-22T16:59:30Z",
            "count": 4,
        });
        check(
            event,
            [
                "30s",
                "Normal",
                "Pulled",
                "pod/p",
                "spec.containers{c}",
                "kubelet, n",
                "Container image present",
                "10m",
                "4",
                "p.1",
            ],
        );
    }

    #[test]
    fn an_event_of_the_new_api_happened_once_unless_it_is_a_series() {
        let mut event = json!({
            "metadata": {"name": "n.1"}, "involvedObject": {"kind": "Node"},
            "eventTime": "2026-11-22T16:59:00.000000Z",
            "reportingComponent": "scheduler", "reportingInstance": "s-0",
        });
        check(event.clone(), ["60s", "", "", "node", "", "scheduler, s-0", "", "60s", "1", "n.1"]);
        event["series"] = json!({"count": 3, "lastObservedTime": "2026-11-22T16:59:59.000000Z"});
        check(event, ["1s", "", "", "node", "", "scheduler, s-0", "", "60s", "3", "n.1"]);
    }

    #[test]
    fn an_event_lives_with_its_object() {
        let faults = |event: &str, involved: &str| {
            let value = json!({"metadata": {"namespace": event}, "involvedObject": {"namespace": involved}});
            Events::validate(&serde_json::from_value(value).unwrap()).len()
        };
        assert_eq!(faults("a", "a"), 0);
        assert_eq!(faults("default", ""), 0);
        assert_eq!(faults("a", "b"), 1);
        assert_eq!(faults("a", ""), 1);
    }
}
