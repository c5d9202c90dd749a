//! Records core/v1 Events about objects: never blocks its caller, counts what repeats, and holds
//! back who talks too much.
//!
//! Enter by [`recorder`]. `kubectl describe` sorts by `lastTimestamp`, so these are written as
//! Events with first and last timestamps, not as series.
//!
//! Upstream: client-go's `tools/record` (`event.go`, `events_cache.go`).

mod correlator;
mod recorder;
mod waiting;

pub use recorder::{EventType, Recorder, Source, Writer, recorder};
