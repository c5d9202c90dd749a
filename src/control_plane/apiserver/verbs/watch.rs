//! WATCH: what happened after a revision, then what happens, one JSON line per event.
//!
//! An event carries the bytes at rest. An object that leaves a watcher's selector is DELETED for it,
//! one that enters it is ADDED.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/watch.go`, `storage/cacher/cache_watcher.go`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream;
use futures::stream::StreamExt;
use http::{Response, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde_json::json;

use super::list_options::{self, Selection};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::negotiation::{Encoding, Form, MetaVersion};
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::apiserver::table::Table;
use crate::control_plane::storage::{
    Change, ChangeKind, Error, ListQuery, Revision, Stored, Watch,
};

/// How long a watch lasts when the client does not say; upstream's least.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// How often a client that asked for bookmarks learns how far it has come.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// Bound: events that are ready are sent together up to about this many bytes.
const BATCH_BYTES: usize = 64 * 1024;

pub(super) async fn watch(call: Call) -> Outcome<Response<Body>> {
    let selection = Selection::of(&call)?;
    let prefix = selection.prefix(&call);
    let initial = initial_events(&call)?;
    list_options::as_of(&call)?;
    let timeout = call.query.number("timeoutSeconds").map_err(Failure::bad_request)?;
    let timeout = timeout.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0);
    let timeout = timeout.map_or(TIMEOUT_DEFAULT, Duration::from_secs);
    Table::new(&call)?;
    let mut watcher = Watcher {
        deadline: call.server.clock().monotonic() + timeout,
        bookmark_at: call.server.clock().monotonic() + BOOKMARK_INTERVAL,
        bookmarks: call.query.flag("allowWatchBookmarks"),
        call,
        selection,
        initial: VecDeque::new(),
        initial_end: None,
        changes: None,
        described: false,
        ended: false,
    };
    watcher.begin(&prefix, initial).await?;
    let media_type = match watcher.call.output.encoding {
        Encoding::Yaml => "application/yaml",
        Encoding::Json | Encoding::PrettyJson => "application/json",
    };
    let events = stream::unfold(watcher, |mut watcher| async move {
        watcher.next().await.map(|bytes| (Ok(bytes), watcher))
    });
    let mut response = Response::new(Body::Stream(events.boxed()));
    render::content_type(&mut response, media_type);
    let no_sniff = header::HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    Ok(response)
}

/// What comes before the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Initial {
    /// Nothing: the client has a list of this revision.
    After(Revision),
    /// Everything there is, as ADDED events.
    Objects,
    /// The same, then a bookmark that says so (WatchList).
    ObjectsThenBookmark(Option<Revision>),
}

fn initial_events(call: &Call) -> Outcome<Initial> {
    let revision = list_options::resource_version(call)?;
    if call.query.text("sendInitialEvents").is_none() {
        return Ok(match revision {
            None | Some(Revision(0)) => Initial::Objects,
            Some(revision) => Initial::After(revision),
        });
    }
    if call.query.text("resourceVersionMatch") != Some("NotOlderThan") {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let fault = FieldError::forbidden(Path::new("resourceVersionMatch"), detail);
        return Err(list_options::invalid_options(&fault));
    }
    match (call.query.flag("sendInitialEvents"), revision) {
        (true, revision) => Ok(Initial::ObjectsThenBookmark(revision)),
        (false, Some(revision)) if revision.0 > 0 => Ok(Initial::After(revision)),
        (false, _) => Ok(Initial::After(Revision(0))),
    }
}

struct Watcher {
    call: Call,
    selection: Selection,
    /// Objects still to be sent as ADDED.
    initial: VecDeque<Arc<Stored>>,
    /// The bookmark that ends them.
    initial_end: Option<Revision>,
    /// `None` once the watch is over.
    changes: Option<Box<dyn Watch>>,
    /// On the monotonic clock.
    deadline: Duration,
    bookmark_at: Duration,
    bookmarks: bool,
    /// Whether a Table has said its columns.
    described: bool,
    ended: bool,
}

enum Step {
    Change(Result<Change, Error>),
    Bookmark,
    End,
}

impl Watcher {
    async fn begin(&mut self, prefix: &str, initial: Initial) -> Outcome<()> {
        let storage = self.call.server.storage();
        let after = match initial {
            // "From now on".
            Initial::After(Revision(0)) => storage.revision().await?,
            Initial::After(revision) => revision,
            Initial::Objects | Initial::ObjectsThenBookmark(_) => {
                if let Initial::ObjectsThenBookmark(Some(revision)) = initial {
                    list_options::wait_for(&self.call, revision).await?;
                }
                let page = storage.list(prefix, ListQuery::default()).await?;
                self.initial = page.items.into();
                page.revision
            }
        };
        if matches!(initial, Initial::ObjectsThenBookmark(_)) && self.bookmarks {
            self.initial_end = Some(after);
        }
        match storage.watch(prefix, after).await {
            Ok(changes) => self.changes = Some(changes),
            // The answer is 200 with an ERROR event, as clients expect of a watch.
            Err(err @ Error::Expired { .. }) => self.initial_error(err)?,
            Err(err) => return Err(err.into()),
        }
        Ok(())
    }

    /// The next piece of the body; `None` ends it.
    async fn next(&mut self) -> Option<Bytes> {
        let mut batch = Vec::new();
        while !self.ended && batch.is_empty() {
            if let Err(failure) = self.fill(&mut batch).await {
                self.error(&failure, &mut batch);
            }
        }
        (!batch.is_empty()).then(|| batch.into())
    }

    async fn fill(&mut self, batch: &mut Vec<u8>) -> Outcome<()> {
        while let Some(stored) = self.initial.pop_front() {
            if self.selection.matches(&stored)? {
                self.event("ADDED", stored, batch)?;
            }
            if batch.len() >= BATCH_BYTES {
                return Ok(());
            }
        }
        if let Some(revision) = self.initial_end.take() {
            return self.bookmark(revision, true, batch);
        }
        if !batch.is_empty() {
            // What is there goes out before anything is waited for.
            return Ok(());
        }
        match self.step().await {
            Step::End => {
                self.ended = true;
                Ok(())
            }
            Step::Bookmark => {
                self.bookmark_at = self.call.server.clock().monotonic() + BOOKMARK_INTERVAL;
                let revision = self.changes.as_ref().map(|changes| changes.position());
                self.bookmark(revision.unwrap_or_default(), false, batch)
            }
            Step::Change(change) => {
                self.change(&change?, batch)?;
                self.more(batch)
            }
        }
    }

    /// Whatever comes first; asked in the order of importance.
    async fn step(&mut self) -> Step {
        let Some(changes) = &mut self.changes else { return Step::End };
        let server = &self.call.server;
        let wake = if self.bookmarks { self.bookmark_at.min(self.deadline) } else { self.deadline };
        tokio::select! {
            biased;
            () = server.stopping().cancelled() => Step::End,
            change = changes.next() => Step::Change(change),
            () = server.clock().sleep_until(wake) => {
                if wake < self.deadline { Step::Bookmark } else { Step::End }
            }
        }
    }

    /// Further changes that are there already.
    fn more(&mut self, batch: &mut Vec<u8>) -> Outcome<()> {
        while batch.len() < BATCH_BYTES {
            let changes = self.changes.as_mut();
            match changes.and_then(|changes| changes.next().now_or_never()) {
                Some(change) => self.change(&change?, batch)?,
                None => break,
            }
        }
        Ok(())
    }

    fn change(&mut self, change: &Change, batch: &mut Vec<u8>) -> Outcome<()> {
        let fits = |stored: &Option<Arc<Stored>>| match stored {
            Some(stored) => self.selection.matches(stored),
            None => Ok(false),
        };
        let before = fits(&change.previous)?;
        let object = Arc::clone(&change.object);
        if change.kind == ChangeKind::Deleted {
            return if before { self.event("DELETED", object, batch) } else { Ok(()) };
        }
        match (before, self.selection.matches(&object)?) {
            (false, true) => self.event("ADDED", object, batch),
            (true, true) => self.event("MODIFIED", object, batch),
            (true, false) => {
                let last = change.previous.as_ref().unwrap_or(&object);
                self.event("DELETED", Arc::new(last.restamped(change.revision)), batch)
            }
            (false, false) => Ok(()),
        }
    }

    fn event(&mut self, kind: &str, stored: Arc<Stored>, batch: &mut Vec<u8>) -> Outcome<()> {
        let output = self.call.output;
        if output.form == Form::Object {
            push_event(batch, kind, &stored.bytes);
            return Ok(());
        }
        let mut table = Table::new(&self.call)?;
        table.columns = !std::mem::replace(&mut self.described, true);
        let object = render::object_json(output, &table, &Shown::Stored(stored))?;
        push_event(batch, kind, &object);
        Ok(())
    }

    fn bookmark(&mut self, revision: Revision, initial: bool, batch: &mut Vec<u8>) -> Outcome<()> {
        let object = match self.call.output.form {
            Form::Table(version) => self.table_bookmark(version, revision)?,
            Form::Object | Form::Partial(_) => {
                let resource = self.call.resource;
                let mut object = json!({
                    "kind": resource.kind(),
                    "apiVersion": resource.api_version(),
                    "metadata": {"resourceVersion": revision.to_string(), "creationTimestamp": null},
                });
                if let Form::Partial(version) = self.call.output.form {
                    object["kind"] = "PartialObjectMetadata".into();
                    object["apiVersion"] = version.api_version().into();
                }
                if initial {
                    object["metadata"]["annotations"] =
                        json!({"k8s.io/initial-events-end": "true"});
                }
                render::json(&object)?
            }
        };
        push_event(batch, "BOOKMARK", &object);
        Ok(())
    }

    fn table_bookmark(&mut self, version: MetaVersion, revision: Revision) -> Outcome<Bytes> {
        let mut table = Table::new(&self.call)?;
        table.columns = !std::mem::replace(&mut self.described, true);
        let meta = ListMeta { resource_version: Some(revision.to_string()), ..ListMeta::default() };
        Ok([&table.head(version, &meta)?[..], b"]}"].concat().into())
    }

    fn initial_error(&mut self, err: Error) -> Outcome<()> {
        self.changes = Some(Box::new(Broken(Some(err))));
        Ok(())
    }

    /// The watch is over, and the client learns why.
    fn error(&mut self, failure: &Failure, batch: &mut Vec<u8>) {
        self.ended = true;
        if let Ok(status) = render::json(&failure.0) {
            push_event(batch, "ERROR", &status);
        }
    }
}

fn push_event(batch: &mut Vec<u8>, kind: &str, object: &[u8]) {
    batch.reserve(object.len() + 40);
    batch.extend_from_slice(br#"{"type":""#);
    batch.extend_from_slice(kind.as_bytes());
    batch.extend_from_slice(br#"","object":"#);
    batch.extend_from_slice(object);
    batch.extend_from_slice(b"}\n");
}

/// A watch that could not begin.
struct Broken(Option<Error>);

#[async_trait::async_trait]
impl Watch for Broken {
    async fn next(&mut self) -> Result<Change, Error> {
        Err(self.0.take().unwrap_or(Error::Closed))
    }

    fn position(&self) -> Revision {
        Revision::default()
    }
}
