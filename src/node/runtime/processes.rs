//! The process table of a container, or of several that see each other's processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::meter::Meter;
use super::signals::Signals;
use super::terminal::Terminal;

/// Bound: live processes of a container, or of those that share a table.
pub(super) const PROCESSES_MAX: usize = 256;

/// The processes that see and signal each other. Cheap to clone; a clone is the same table.
#[derive(Debug, Clone, Default)]
pub struct Processes(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    last_pid: u32,
    live: BTreeMap<u32, Arc<Entry>>,
}

/// What others may know of a live process, and how they reach it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: u32,
    /// 0: started from outside the container.
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) argv: Vec<String>,
    pub(super) started_at: Timestamp,
    pub(super) signals: Signals,
    pub(super) meter: Arc<Meter>,
    /// Linear memories and tables.
    pub(super) memory_bytes: Arc<AtomicU64>,
    /// The terminal of its session.
    pub(super) terminal: Option<Arc<Terminal>>,
}

impl Processes {
    /// Adds what `entry` makes of a new pid, unless there are too many processes.
    pub(super) fn enter(&self, entry: impl FnOnce(u32) -> Entry) -> Option<Arc<Entry>> {
        let mut table = self.0.lock();
        if table.live.len() >= PROCESSES_MAX {
            return None;
        }
        table.last_pid += 1;
        let entry = Arc::new(entry(table.last_pid));
        table.live.insert(entry.pid, entry.clone());
        Some(entry)
    }

    pub(super) fn leave(&self, pid: u32) {
        self.0.lock().live.remove(&pid);
    }

    pub(super) fn find(&self, pid: u32) -> Option<Arc<Entry>> {
        self.0.lock().live.get(&pid).cloned()
    }

    /// By pid.
    pub(super) fn list(&self) -> Vec<Arc<Entry>> {
        self.0.lock().live.values().cloned().collect()
    }

    /// Whether there is such a process.
    pub(super) fn signal(&self, pid: u32, signal: u8) -> bool {
        self.signal_where(signal, |entry| entry.pid == pid)
    }

    /// Whether there is anyone in the group.
    pub(super) fn signal_group(&self, group: u32, signal: u8) -> bool {
        self.signal_where(signal, |entry| entry.group == group)
    }

    /// All whose terminal it is.
    pub(super) fn signal_session(&self, terminal: &Arc<Terminal>, signal: u8) {
        let in_session = |entry: &Entry| {
            entry.terminal.as_ref().is_some_and(|other| Arc::ptr_eq(other, terminal))
        };
        self.signal_where(signal, in_session);
    }

    fn signal_where(&self, signal: u8, meant: impl Fn(&Entry) -> bool) -> bool {
        // Not under the lock: whoever is woken may look at the table.
        let reached: Vec<_> = self.list().into_iter().filter(|entry| meant(entry)).collect();
        for entry in &reached {
            entry.signals.deliver(signal);
        }
        !reached.is_empty()
    }
}

impl Entry {
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }
}
