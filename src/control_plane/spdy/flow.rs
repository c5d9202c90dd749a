//! How much each side may send: a window per stream and one for the session, as numbers.
//!
//! client-go's side (`moby/spdystream`) has no windows: it sends what it has and never tells us to
//! go on; after 64 KiB both would wait for ever. So windows hold from the moment the client shows
//! that it knows them, by a SETTINGS or a WINDOW_UPDATE; until then they are only counted. Against a client
//! without windows the connection itself pushes back: we stop reading it.

use std::collections::HashMap;

use super::frame::StreamId;

/// Every window at the start. Upstream: Draft 3.1, section 2.6.8.
const INITIAL_WINDOW: i64 = 64 * 1024;

/// Bound: a window; the draft's.
const WINDOW_MAX: i64 = 0x7fff_ffff;

/// Tell the client to go on when this much was taken: half a window, so that it need not pause.
const GRANT_BYTES: u32 = 32 * 1024;

#[derive(Debug)]
pub(super) struct Flow {
    /// Whether the client takes part.
    is_heeded: bool,
    session: Window,
    streams: HashMap<StreamId, Window>,
    /// What the client gives a new stream.
    initial: i64,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    /// What we may send. Less than 0 if we sent before the client spoke of windows, or it took some back.
    ours: i64,
    /// What we took since we last told the client to go on.
    taken: u32,
}

impl Window {
    fn grant(&mut self) -> Option<u32> {
        (self.taken >= GRANT_BYTES).then(|| std::mem::take(&mut self.taken))
    }
}

/// Window updates that are due: of the stream, of the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Grants {
    pub(super) stream: Option<u32>,
    pub(super) session: Option<u32>,
}

impl Flow {
    pub(super) fn new() -> Self {
        let session = Window { ours: INITIAL_WINDOW, taken: 0 };
        Self { is_heeded: false, session, streams: HashMap::new(), initial: INITIAL_WINDOW }
    }

    pub(super) fn open(&mut self, stream: StreamId) {
        self.streams.insert(stream, Window { ours: self.initial, taken: 0 });
    }

    pub(super) fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// Bytes that may be sent on the stream now.
    pub(super) fn room(&self, stream: StreamId) -> usize {
        if !self.is_heeded {
            return usize::MAX;
        }
        let ours = self.streams.get(&stream).map_or(0, |window| window.ours);
        usize::try_from(ours.min(self.session.ours)).unwrap_or(0)
    }

    pub(super) fn sent(&mut self, stream: StreamId, length: usize) {
        let length = i64::try_from(length).unwrap_or(WINDOW_MAX);
        self.session.ours -= length;
        if let Some(window) = self.streams.get_mut(&stream) {
            window.ours -= length;
        }
    }

    /// The client's WINDOW_UPDATE; `None` is the session's. A sum over the draft's limit is cut to it.
    pub(super) fn widen(&mut self, stream: Option<StreamId>, delta: u32) {
        self.is_heeded = true;
        let window = match stream {
            None => Some(&mut self.session),
            Some(stream) => self.streams.get_mut(&stream),
        };
        if let Some(window) = window {
            window.ours = (window.ours + i64::from(delta)).min(WINDOW_MAX);
        }
    }

    /// The client's SETTINGS, with its INITIAL_WINDOW_SIZE if it has one: it changes open streams too.
    pub(super) fn set_initial(&mut self, size: Option<u32>) {
        self.is_heeded = true;
        let Some(size) = size else { return };
        let size = i64::from(size).min(WINDOW_MAX);
        for window in self.streams.values_mut() {
            window.ours = (window.ours + size - self.initial).min(WINDOW_MAX);
        }
        self.initial = size;
    }

    /// Bytes of the stream have been handed on, or thrown away.
    pub(super) fn took(&mut self, stream: StreamId, length: usize) -> Grants {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.session.taken = self.session.taken.saturating_add(length);
        let mut window = self.streams.get_mut(&stream);
        if let Some(window) = &mut window {
            window.taken = window.taken.saturating_add(length);
        }
        if !self.is_heeded {
            return Grants::default();
        }
        Grants { stream: window.and_then(Window::grant), session: self.session.grant() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: StreamId = StreamId::new(1).unwrap();

    fn flow() -> Flow {
        let mut flow = Flow::new();
        flow.open(ONE);
        flow
    }

    #[test]
    fn a_client_without_windows_is_sent_everything() {
        let mut flow = flow();
        flow.sent(ONE, 1 << 30);
        assert_eq!(flow.room(ONE), usize::MAX);
        assert_eq!(flow.took(ONE, 1 << 30), Grants::default());
    }

    #[test]
    fn both_windows_hold_once_the_client_speaks_of_them() {
        let mut flow = flow();
        flow.sent(ONE, 70_000);
        flow.widen(Some(ONE), 10_000);
        assert_eq!(flow.room(ONE), 0, "the session's window is spent");
        flow.widen(None, 5_000);
        assert_eq!(flow.room(ONE), 536, "65536 - 70000 + 5000");
        flow.sent(ONE, 536);
        assert_eq!(flow.room(ONE), 0);
    }

    #[test]
    fn a_new_initial_size_changes_open_streams() {
        let mut flow = flow();
        flow.set_initial(Some(1000));
        assert_eq!(flow.room(ONE), 1000);
        flow.sent(ONE, 600);
        flow.set_initial(Some(500));
        assert_eq!(flow.room(ONE), 0);
        flow.widen(Some(ONE), 101);
        assert_eq!(flow.room(ONE), 1);
    }

    #[test]
    fn what_was_taken_is_granted_again_by_halves() {
        let mut flow = flow();
        flow.took(ONE, 30_000);
        flow.set_initial(None);
        assert_eq!(flow.took(ONE, 2_000), Grants::default());
        let both = Grants { stream: Some(32_768), session: Some(32_768) };
        assert_eq!(flow.took(ONE, 768), both);
        flow.close(ONE);
        let session = Grants { stream: None, session: Some(40_000) };
        assert_eq!(flow.took(ONE, 40_000), session);
    }

    #[test]
    fn windows_stay_in_bounds() {
        let mut flow = flow();
        for _ in 0..3 {
            flow.widen(None, u32::MAX);
            flow.widen(Some(ONE), u32::MAX);
            flow.set_initial(Some(u32::MAX));
        }
        assert_eq!(flow.room(ONE), 0x7fff_ffff);
    }
}
