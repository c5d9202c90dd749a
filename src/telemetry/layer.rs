//! From tracing's events to the components' logs.

use std::fmt::{self, Write};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::logs::ComponentLogs;

/// Keeps events of level INFO and above. Spans are left out: they would cost every Pod's task, and
/// each event names what it is about.
pub(super) fn layer<S>(
    logs: ComponentLogs,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_for_us =
        |metadata: &Metadata<'_>| metadata.is_event() && *metadata.level() <= Level::INFO;
    let filter = filter::filter_fn(is_for_us).with_max_level_hint(LevelFilter::INFO);
    Keep { logs, now }.with_filter(filter)
}

struct Keep<N> {
    logs: ComponentLogs,
    now: N,
}

impl<S: Subscriber, N: Fn() -> Timestamp + 'static> Layer<S> for Keep<N> {
    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(log) = self.logs.of_module(metadata.target()) else { return };
        let mut words = Words::default();
        event.record(&mut words);
        log.push((self.now)(), format!("{}{}{}", metadata.level(), words.message, words.fields));
    }
}

/// An event's message and fields, each with a space before it, on one line.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            write!(OneLine(&mut self.message), " {value:?}")
        } else {
            write!(OneLine(&mut self.fields), " {}={value:?}", field.name())
        };
        // Only a value's own Debug can fail; what it wrote before that stays.
        let _ = written;
    }
}

/// Writes line breaks as `\n` and `\r`: what somebody put into a value looks like no other line.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug, info, info_span, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn events_become_lines_of_their_component() {
        let logs = ComponentLogs::default();
        let time = Timestamp::from_second(7).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer(logs.clone(), move || time));
        tracing::subscriber::with_default(subscriber, || {
            let _span = info_span!("pod", name = "in a span").entered();
            info!(target: "sampan::control_plane::scheduler::run", pod = %"default/a", n = 3, "Bound");
            debug!(target: "sampan::control_plane::scheduler::run", "too quiet");
            warn!(target: "sampan::node::kubelet", error = %"two\nlines", text = "quoted", "No {}", 1);
            info!(target: "hyper", "a stranger");
        });
        let check = |name: &str, expect: &[&str]| {
            let (lines, _) = logs.get(name).unwrap().lines(0);
            let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
            assert_eq!(texts, expect, "{name}");
            assert!(lines.iter().all(|line| line.time == time));
        };
        check("kube-scheduler", &["INFO Bound pod=default/a n=3"]);
        check("kubelet", &[r#"WARN No 1 error=two\nlines text="quoted""#]);
        check("kube-apiserver", &[]);
        check("kube-controller-manager", &[]);
    }
}
