//! The components' logs, in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Bound: lines of one component that are kept, a few screens of history.
const LINES_MAX: usize = 1_000;
/// Bound: bytes of one component's lines; all of them together stay within 2 MiB.
const BYTES_MAX: usize = 256 << 10;
/// Bound: a longer line (an error with a whole object in it) is cut, so that one cannot push out
/// all others.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Whose log an event is in, by the module it comes from; the innermost that fits.
struct Component {
    name: &'static str,
    module: &'static str,
}

const COMPONENTS: [Component; 5] = [
    // What of the wing is no other's serves the API: registry, admission, auth, storage.
    Component { name: "kube-apiserver", module: "sampan::control_plane" },
    Component { name: "kube-scheduler", module: "sampan::control_plane::scheduler" },
    Component { name: "kube-controller-manager", module: "sampan::control_plane::controllers" },
    Component { name: "kubelet", module: "sampan::node" },
    Component { name: "kube-proxy", module: "sampan::node::proxy" },
];

/// What each component has said lately. Cheap to clone. The default one is empty and stays so: that
/// of a process which set up its tracing by itself.
#[derive(Debug, Clone, Default)]
pub struct ComponentLogs(Arc<[ComponentLog; COMPONENTS.len()]>);

impl ComponentLogs {
    /// The components' names, as upstream calls its programs.
    pub fn names() -> impl Iterator<Item = &'static str> {
        COMPONENTS.iter().map(|component| component.name)
    }

    /// The log of the component of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&ComponentLog> {
        let at = COMPONENTS.iter().position(|component| component.name == name)?;
        self.0.get(at)
    }

    /// Where events from a module go; `None` if it is no component's.
    pub(super) fn of_module(&self, module: &str) -> Option<&ComponentLog> {
        let leads_into = |component: &Component| {
            let rest = module.strip_prefix(component.module);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let all = COMPONENTS.iter().zip(&*self.0).filter(|(component, _)| leads_into(component));
        all.max_by_key(|(component, _)| component.module.len()).map(|(_, log)| log)
    }
}

/// One component's last lines: at most 1,000 of them and 256 KiB. Cheap to clone.
#[derive(Clone)]
pub struct ComponentLog(Arc<Shared>);

struct Shared {
    ring: Mutex<Ring>,
    /// [`Ring::end`], for those who wait for more.
    end_tx: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Lines ever written: the position of the next one.
    end: u64,
}

/// What a component said at one moment, without a newline: `INFO Bound pod=default/counter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub time: Timestamp,
    pub text: Arc<str>,
}

impl ComponentLog {
    /// The lines from `position` on that are still there (from the oldest one if that is later), and
    /// the position after them. The first line ever is at 0.
    pub fn lines(&self, position: u64) -> (Vec<Line>, u64) {
        let ring = self.0.ring.lock();
        let oldest = ring.end - ring.lines.len() as u64;
        let skip = usize::try_from(position.saturating_sub(oldest)).unwrap_or(usize::MAX);
        (ring.lines.iter().skip(skip).cloned().collect(), ring.end)
    }

    /// The position after the last line, now and whenever it changes. Never closes while the log is
    /// held.
    pub fn end(&self) -> watch::Receiver<u64> {
        self.0.end_tx.subscribe()
    }

    /// Adds a line; one that is too long is cut.
    pub fn push(&self, time: Timestamp, mut text: String) {
        text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        let mut ring = self.0.ring.lock();
        ring.bytes += text.len();
        ring.end += 1;
        ring.lines.push_back(Line { time, text: text.into() });
        while ring.lines.len() > LINES_MAX || ring.bytes > BYTES_MAX {
            let oldest = ring.lines.pop_front().expect("there is the line pushed just now");
            ring.bytes -= oldest.text.len();
        }
        // Under the lock: positions are told in order.
        self.0.end_tx.send_replace(ring.end);
    }
}

impl Default for ComponentLog {
    fn default() -> Self {
        Self(Arc::new(Shared { ring: Mutex::default(), end_tx: watch::Sender::new(0) }))
    }
}

impl fmt::Debug for ComponentLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentLog").field("end", &*self.0.end_tx.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(module: &str, expect: Option<&str>) {
        let logs = ComponentLogs::default();
        let found = logs.of_module(module);
        for name in ComponentLogs::names() {
            let log = logs.get(name).unwrap();
            let is_it = found.is_some_and(|found| Arc::ptr_eq(&found.0, &log.0));
            assert_eq!(is_it, expect == Some(name), "{module}: {name}");
        }
    }

    #[test]
    fn a_module_speaks_for_its_component() {
        check("sampan::control_plane::apiserver::listener", Some("kube-apiserver"));
        check("sampan::control_plane::storage::journal", Some("kube-apiserver"));
        check("sampan::control_plane::scheduler", Some("kube-scheduler"));
        check("sampan::control_plane::scheduler::run", Some("kube-scheduler"));
        check("sampan::control_plane::controllers::namespace", Some("kube-controller-manager"));
        check("sampan::node::runtime::engine", Some("kubelet"));
        check("sampan::node::proxy::sync", Some("kube-proxy"));
        check("sampan::nodes", None);
        check("sampan::cluster", None);
        check("hyper::client", None);
    }

    #[test]
    fn lines_are_read_from_a_position_on() {
        let log = ComponentLog::default();
        for text in ["a", "b", "c"] {
            log.push(Timestamp::UNIX_EPOCH, text.to_owned());
        }
        let texts = |position| {
            let (lines, end) = log.lines(position);
            assert_eq!(end, 3);
            lines.iter().map(|line| line.text.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(0), "a b c");
        assert_eq!(texts(2), "c");
        assert_eq!(texts(3), "");
        assert_eq!(texts(u64::MAX), "");
    }

    #[test]
    fn old_lines_make_room() {
        let log = ComponentLog::default();
        for number in 0..=LINES_MAX {
            log.push(Timestamp::UNIX_EPOCH, number.to_string());
        }
        let (lines, end) = log.lines(0);
        assert_eq!((lines.len(), end), (LINES_MAX, LINES_MAX as u64 + 1));
        assert_eq!(&*lines[0].text, "1");
        // Too long, and a boundary within a character.
        let long = "ä".repeat(LINE_BYTES_MAX) + "x";
        for _ in 0..2 * BYTES_MAX / LINE_BYTES_MAX {
            log.push(Timestamp::UNIX_EPOCH, format!("-{long}"));
        }
        let (lines, _) = log.lines(0);
        assert!(lines.iter().all(|line| line.text.len() == LINE_BYTES_MAX - 1));
        assert_eq!(lines.len(), BYTES_MAX / (LINE_BYTES_MAX - 1));
    }

    #[tokio::test]
    async fn who_waits_is_told_of_more() {
        let log = ComponentLog::default();
        let mut end = log.end();
        log.push(Timestamp::UNIX_EPOCH, "a".to_owned());
        assert!(end.changed().await.is_ok());
        assert_eq!(*end.borrow_and_update(), 1);
    }
}
