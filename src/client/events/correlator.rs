//! Decides what becomes of a note: a new Event, a higher count on an old one, or nothing.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::recorder::{EventType, Note, Source};

/// Bound: what is remembered of past Events, as upstream's `maxLruCacheEntries`.
const REMEMBERED_MAX: usize = 4_096;
/// This many Events that differ in their message only, within [`SIMILAR_WITHIN`], are told apart;
/// more are combined.
const SIMILAR_MAX: usize = 10;
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// An object may have this many Events at once …
pub(super) const BURST: u32 = 25;
/// … and one more after each of these.
const REFILL_SECONDS: f64 = 300.0;

pub(super) enum Write {
    Create(Box<Event>),
    /// Written before under this name; `count`, `lastTimestamp` and `message` are new.
    Count(Box<Event>),
}

/// Which object, precisely: a container of a Pod is told from the Pod by its field path.
#[derive(Clone, PartialEq, Eq, Hash)]
struct About {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    field_path: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Similar {
    about: About,
    type_: EventType,
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Same {
    similar: Similar,
    /// `None` for the one that combines similar ones.
    message: Option<String>,
}

struct Written {
    name: String,
    count: i32,
    first: Timestamp,
}

#[derive(Default)]
struct Group {
    messages: Vec<String>,
    last: Option<Timestamp>,
}

struct Bucket {
    tokens: f64,
    at: Timestamp,
}

pub(super) struct Correlator {
    source: Arc<Source>,
    written: Bounded<Same, Written>,
    groups: Bounded<Similar, Group>,
    buckets: Bounded<About, Bucket>,
    /// The last name's nanoseconds: no two Events of this recorder share a name.
    nanoseconds: i128,
}

impl Correlator {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            written: Bounded::new(),
            groups: Bounded::new(),
            buckets: Bounded::new(),
            nanoseconds: 0,
        }
    }

    pub(super) fn correlate(&mut self, note: Note) -> Option<Write> {
        let about = About::of(&note.object);
        let similar = Similar { about: about.clone(), type_: note.type_, reason: note.reason };
        let combined = self.joins_others(&similar, &note);
        if !self.may_talk(about, note.time) {
            return None;
        }
        let message = (!combined).then(|| note.message.clone());
        Some(self.count(Same { similar, message }, note))
    }

    /// Whether this is one of too many that differ in their message only.
    fn joins_others(&mut self, similar: &Similar, note: &Note) -> bool {
        let group = self.groups.entry(similar, Group::default);
        let stale = group.last.is_some_and(|last| note.time.duration_since(last) > SIMILAR_WITHIN);
        if stale {
            group.messages.clear();
        }
        group.last = Some(note.time);
        if !group.messages.contains(&note.message) && group.messages.len() < SIMILAR_MAX {
            group.messages.push(note.message.clone());
        }
        group.messages.len() >= SIMILAR_MAX
    }

    fn may_talk(&mut self, mut about: About, now: Timestamp) -> bool {
        about.field_path = None;
        let bucket = self.buckets.entry(&about, || Bucket { tokens: f64::from(BURST), at: now });
        let refilled = now.duration_since(bucket.at).as_secs_f64() / REFILL_SECONDS;
        bucket.tokens = (bucket.tokens + refilled.max(0.0)).min(f64::from(BURST));
        bucket.at = now;
        let may = bucket.tokens >= 1.0;
        if may {
            bucket.tokens -= 1.0;
        }
        may
    }

    fn count(&mut self, same: Same, note: Note) -> Write {
        let combined = same.message.is_none();
        let name = self.name(&note);
        let written = self.written.entry(&same, || Written { name, count: 0, first: note.time });
        written.count = written.count.saturating_add(1);
        let event = Box::new(event(&self.source, written, note, combined));
        if written.count == 1 { Write::Create(event) } else { Write::Count(event) }
    }

    /// `<object>.<hex nanoseconds>`, as upstream.
    fn name(&mut self, note: &Note) -> String {
        self.nanoseconds = note.time.as_nanosecond().max(self.nanoseconds + 1);
        format!("{}.{:x}", note.object.name.as_deref().unwrap_or_default(), self.nanoseconds)
    }
}

impl About {
    fn of(object: &ObjectReference) -> Self {
        Self {
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            uid: object.uid.clone(),
            field_path: object.field_path.clone(),
        }
    }
}

fn event(source: &Source, written: &Written, note: Note, combined: bool) -> Event {
    // Events about cluster-scoped objects live in the namespace "default".
    let namespace = note.object.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let message = if combined {
        format!("(combined from similar events): {}", note.message)
    } else {
        note.message
    };
    Event {
        metadata: ObjectMeta {
            name: Some(written.name.clone()),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        involved_object: note.object,
        reason: Some(note.reason.to_owned()),
        message: Some(message),
        type_: Some(note.type_.name().to_owned()),
        count: Some(written.count),
        first_timestamp: Some(Time(written.first)),
        last_timestamp: Some(Time(note.time)),
        source: Some(EventSource {
            component: Some(source.component.clone()),
            host: source.host.clone(),
        }),
        reporting_component: Some(source.component.clone()),
        reporting_instance: source.host.clone(),
        ..Event::default()
    }
}

/// A map that forgets the oldest entry when it is full.
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn new() -> Self {
        Self { map: HashMap::new(), order: VecDeque::new() }
    }

    fn entry(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if !self.map.contains_key(key) {
            if self.order.len() == REMEMBERED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.map.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.map.entry(key.clone()).or_insert_with(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlator() -> Correlator {
        let source = Source { component: "kubelet".to_owned(), host: Some("sampan".to_owned()) };
        Correlator::new(Arc::new(source))
    }

    fn note(pod: &str, message: &str, seconds: i64) -> Note {
        let object = ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some("default".to_owned()),
            name: Some(pod.to_owned()),
            uid: Some(format!("uid-of-{pod}")),
            ..ObjectReference::default()
        };
        Note {
            object,
            type_: EventType::Warning,
            reason: "BackOff",
            message: message.to_owned(),
            time: Timestamp::from_second(1_000_000 + seconds).expect("in range"),
        }
    }

    /// `+name count message` for a new Event, `=…` for a counted one, `-` for a dropped one.
    fn told(correlator: &mut Correlator, note: Note) -> String {
        let (sign, event) = match correlator.correlate(note) {
            None => return "-".to_owned(),
            Some(Write::Create(event)) => ('+', event),
            Some(Write::Count(event)) => ('=', event),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let count = event.count.unwrap_or_default();
        format!("{sign}{} {count} {}", text(&event.metadata.name), text(&event.message))
    }

    #[test]
    fn what_repeats_is_counted_under_its_first_name() {
        let mut correlator = correlator();
        let first = told(&mut correlator, note("a", "again", 0));
        assert_eq!(first, "+a.38d7ea4c68000 1 again");
        assert_eq!(told(&mut correlator, note("a", "again", 9)), "=a.38d7ea4c68000 2 again");
        assert!(told(&mut correlator, note("a", "other", 9)).starts_with("+a."));
        assert!(told(&mut correlator, note("b", "again", 9)).starts_with("+b."));
    }

    #[test]
    fn two_events_at_once_have_two_names() {
        let mut correlator = correlator();
        let first = told(&mut correlator, note("a", "one", 0));
        let second = told(&mut correlator, note("a", "two", 0));
        assert_ne!(first.split(' ').next(), second.split(' ').next());
    }

    #[test]
    fn many_similar_ones_are_combined() {
        let mut correlator = correlator();
        for n in 0..9 {
            assert!(told(&mut correlator, note("a", &format!("message {n}"), n)).starts_with('+'));
        }
        let tenth = told(&mut correlator, note("a", "message 9", 9));
        assert!(tenth.ends_with(" 1 (combined from similar events): message 9"), "{tenth}");
        let next = told(&mut correlator, note("a", "message 10", 10));
        assert!(next.ends_with(" 2 (combined from similar events): message 10"), "{next}");
    }

    #[test]
    fn an_object_that_talks_too_much_is_held_back() {
        let mut correlator = correlator();
        let burst: Vec<String> =
            (0..30).map(|_| told(&mut correlator, note("a", "again", 0))).collect();
        assert_eq!(burst.iter().filter(|told| *told == "-").count(), 5);
        assert!(told(&mut correlator, note("b", "again", 0)).starts_with('+'));
        assert_eq!(told(&mut correlator, note("a", "again", 299)), "-");
        assert!(told(&mut correlator, note("a", "again", 301)).starts_with('='));
    }
}
