//! Takes notes and writes them.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::api::Patch;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::correlator::{Correlator, Write};
use super::waiting::{self, Place, Waiting};
use crate::client::clock::Clock;
use crate::client::{ApiClient, written};

/// How long after it was recorded an Event is written. A Pod's start is told in half a dozen Events, and
/// each costs the processor a tenth of it: so the start comes first, and then its story.
const WRITTEN_AFTER: Duration = Duration::from_millis(20);

/// Bound: Events written at once. They share the store's commit; one after another each would have one.
const TOGETHER_MAX: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Who records: `source` and the `reporting…` fields.
#[derive(Debug, Clone)]
pub struct Source {
    /// `kubelet`, `default-scheduler` …
    pub component: String,
    /// The node, for components of a node.
    pub host: Option<String>,
}

/// What happened to an object, before it is an Event.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) object: ObjectReference,
    pub(super) type_: EventType,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) time: Timestamp,
}

/// Takes notes. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    clock: Clock,
    waiting: Arc<Waiting>,
    notes_tx: mpsc::Sender<Pending>,
}

struct Pending {
    note: Note,
    place: Place,
    /// When to write it, on the monotonic clock.
    due: Duration,
}

/// Writes what a [`Recorder`] takes down; [`Writer::run`] is the task that does.
pub struct Writer {
    client: ApiClient,
    clock: Clock,
    notes_rx: mpsc::Receiver<Pending>,
    /// Taken from there before it was due.
    early: Option<Pending>,
    correlator: Correlator,
}

pub fn recorder(client: ApiClient, clock: Clock, source: Source) -> (Recorder, Writer) {
    let (notes_tx, notes_rx) = mpsc::channel(waiting::MAX);
    let correlator = Correlator::new(Arc::new(source));
    let writer = Writer { client, clock: clock.clone(), notes_rx, early: None, correlator };
    (Recorder { clock, waiting: Arc::default(), notes_tx }, writer)
}

impl Recorder {
    /// Records that `reason` happened to `object`. Returns at once; the Event is written later, or
    /// dropped if too many about the object, or of its namespace, are waiting.
    pub fn record(
        &self,
        object: &ObjectReference,
        type_: EventType,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let Some(place) = self.waiting.place(object) else {
            debug!(reason, "Dropped an Event: too many are waiting to be written");
            return;
        };
        let time = self.clock.now();
        let note = Note { object: object.clone(), type_, reason, message: message.into(), time };
        let due = self.clock.monotonic() + WRITTEN_AFTER;
        // It has room for all who have a place; if it is closed, nobody writes any more.
        let _ = self.notes_tx.try_send(Pending { note, place, due });
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Writes Events until all recorders are gone; once `stop` is cancelled, only those already
    /// waiting.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pending = tokio::select! {
                biased;
                pending = self.next() => pending,
                () = stop.cancelled() => return,
            };
            let Some(pending) = pending else { return };
            tokio::select! {
                () = self.clock.sleep_until(pending.due) => {}
                () = stop.cancelled() => {}
            }
            self.write(pending).await;
        }
    }

    async fn next(&mut self) -> Option<Pending> {
        match self.early.take() {
            Some(pending) => Some(pending),
            None => self.notes_rx.recv().await,
        }
    }

    /// The next one, if it is due already.
    fn next_due(&mut self) -> Option<Pending> {
        let pending = self.early.take().or_else(|| self.notes_rx.try_recv().ok())?;
        if pending.due <= self.clock.monotonic() {
            return Some(pending);
        }
        self.early = Some(pending);
        None
    }

    /// Writes it, and those after it that are due: new Events together, one that is counted once more
    /// when those before it are there.
    async fn write(&mut self, first: Pending) {
        let mut new = Vec::new();
        let mut next = Some(first);
        while let Some(Pending { note, place, .. }) = next {
            drop(place);
            match self.correlator.correlate(note) {
                Some(Write::Create(event)) => new.push(*event),
                Some(Write::Count(event)) => {
                    self.create_all(mem::take(&mut new)).await;
                    told(self.count(*event).await);
                }
                None => {}
            }
            next = if new.len() < TOGETHER_MAX { self.next_due() } else { None };
        }
        self.create_all(new).await;
    }

    async fn create_all(&self, events: Vec<Event>) {
        let writes: Vec<_> = events.into_iter().map(|event| self.create(event)).collect();
        let mut outcomes = stream::iter(writes).buffered(TOGETHER_MAX);
        while let Some(outcome) = outcomes.next().await {
            told(outcome);
        }
    }

    async fn create(&self, event: Event) -> Result<(), kube::Error> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        written::create(&self.client, namespace, &event).await.map(drop)
    }

    /// Patches the count of an Event that was written before; writes it anew if it has expired.
    async fn count(&self, event: Event) -> Result<(), kube::Error> {
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({
            "count": event.count,
            "lastTimestamp": event.last_timestamp,
            "message": event.message,
        });
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let patch = Patch::Merge(&patch);
        match written::patch::<Event>(&self.client, (namespace, name), None, &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => self.create(event).await,
            outcome => outcome.map(drop),
        }
    }
}

/// Says what went wrong with an Event.
fn told(outcome: Result<(), kube::Error>) {
    match outcome {
        // The namespace is being deleted: there is nobody left to tell.
        Err(kube::Error::Api(status)) if status.code == 403 || status.code == 404 => {
            debug!(message = %status.message, "The API server refused an Event");
        }
        Err(error) => warn!(%error, "Failed to write an Event"),
        Ok(()) => {}
    }
}
