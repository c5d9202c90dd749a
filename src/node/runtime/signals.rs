//! What signals do to a process. WebAssembly code cannot be interrupted to run a handler: a caught
//! signal waits until the process takes it.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::kill::KillSwitch;
use super::notice::wait_until;

pub(super) const HANGUP: u8 = 1;
pub(super) const INTERRUPT: u8 = 2;
pub(super) const QUIT: u8 = 3;
pub(super) const KILL: u8 = 9;
pub(super) const TERMINATE: u8 = 15;
/// The terminal's size has changed.
pub(super) const WINDOW: u8 = 28;

/// Signals that do nothing by default. Processes cannot be stopped, so that the stopping ones are
/// among them: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: &[u8] = &[17, 18, 19, 20, 21, 22, 23, WINDOW];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Default,
    Ignore,
    Catch,
}

/// Signals 1 to 64, a bit each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    fn change(&mut self, signal: u8, is_in: bool) {
        let bit = bit(signal);
        self.0 = if is_in { self.0 | bit } else { self.0 & !bit };
    }

    fn contains(self, signal: u8) -> bool {
        self.0 & bit(signal) != 0
    }

    fn first(self) -> Option<u8> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as u8 + 1)
    }
}

fn bit(signal: u8) -> u64 {
    1 << (signal.clamp(1, 64) - 1)
}

/// One process's.
#[derive(Debug)]
pub(super) struct Signals {
    kill: KillSwitch,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    caught: Set,
    ignored: Set,
    pending: Set,
}

impl Signals {
    /// `ignored` by the parent, and so by the child.
    pub(super) fn new(kill: KillSwitch, ignored: Set) -> Self {
        let state = State { ignored, ..State::default() };
        Self { kill, state: Mutex::new(state), arrived: Notify::new() }
    }

    pub(super) fn handle(&self, signal: u8, disposition: Disposition) {
        let mut state = self.state.lock();
        state.caught.change(signal, disposition == Disposition::Catch);
        state.ignored.change(signal, disposition == Disposition::Ignore);
        if disposition != Disposition::Catch {
            state.pending.change(signal, false);
        }
    }

    pub(super) fn deliver(&self, signal: u8) {
        if signal == KILL {
            return self.kill.kill(signal);
        }
        let mut state = self.state.lock();
        if signal == 0 || state.ignored.contains(signal) {
            return;
        }
        if state.caught.contains(signal) {
            state.pending.change(signal, true);
            drop(state);
            self.arrived.notify_waiters();
        } else if !HARMLESS.contains(&signal) {
            drop(state);
            self.kill.kill(signal.min(64));
        }
    }

    /// The process catches or ignores it: it does not end by it.
    pub(super) fn is_handled(&self, signal: u8) -> bool {
        let state = self.state.lock();
        state.caught.contains(signal) || state.ignored.contains(signal)
    }

    /// The lowest that was caught and not taken yet.
    pub(super) fn take(&self) -> Option<u8> {
        let mut state = self.state.lock();
        let signal = state.pending.first()?;
        state.pending.change(signal, false);
        Some(signal)
    }

    /// Until there is something to take.
    pub(super) async fn caught(&self) {
        wait_until(&self.arrived, || self.state.lock().pending != Set::default()).await;
    }

    /// Until this one waits to be taken.
    pub(super) async fn arrived(&self, signal: u8) {
        wait_until(&self.arrived, || self.is_pending(signal)).await;
    }

    pub(super) fn is_pending(&self, signal: u8) -> bool {
        self.state.lock().pending.contains(signal)
    }

    pub(super) fn ignored(&self) -> Set {
        self.state.lock().ignored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals() -> (Signals, KillSwitch) {
        let kill = KillSwitch::new();
        (Signals::new(kill.clone(), Set::default()), kill)
    }

    #[test]
    fn by_default_signals_end_a_process_but_for_the_harmless() {
        let (signals, kill) = signals();
        for signal in [0, 17, 20, WINDOW] {
            signals.deliver(signal);
        }
        assert!(!kill.token.is_cancelled());
        signals.deliver(15);
        assert_eq!(kill.exit().code, 143);
    }

    #[test]
    fn caught_signals_wait_in_order_and_ignored_ones_are_gone() {
        let (signals, kill) = signals();
        signals.handle(15, Disposition::Catch);
        signals.handle(INTERRUPT, Disposition::Catch);
        signals.handle(HANGUP, Disposition::Ignore);
        for signal in [15, HANGUP, INTERRUPT, 15] {
            signals.deliver(signal);
        }
        assert!([15, HANGUP, INTERRUPT].into_iter().all(|signal| signals.is_handled(signal)));
        assert!(!signals.is_handled(QUIT));
        assert_eq!([signals.take(), signals.take(), signals.take()], [Some(2), Some(15), None]);
        assert!(!kill.token.is_cancelled());
        assert!(Signals::new(kill, signals.ignored()).ignored().contains(HANGUP));
    }

    #[test]
    fn nothing_withstands_kill() {
        let (signals, kill) = signals();
        signals.handle(KILL, Disposition::Catch);
        signals.deliver(KILL);
        assert_eq!(kill.exit().code, 137);
    }

    #[tokio::test]
    async fn a_waiting_process_learns_of_a_caught_signal() {
        let (signals, _) = signals();
        signals.handle(WINDOW, Disposition::Catch);
        let arrives = async { signals.deliver(WINDOW) };
        tokio::join!(signals.caught(), arrives);
        assert_eq!(signals.take(), Some(WINDOW));
    }
}
