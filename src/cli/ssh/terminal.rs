//! The terminal we were started at: a small `cfg` island.

#[cfg(unix)]
pub(super) use unix::Terminal;

#[cfg(not(unix))]
pub(super) use elsewhere::Terminal;

#[cfg(unix)]
mod unix {
    use std::io::{self, IsTerminal};

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    #[derive(Debug)]
    pub(in super::super) struct Terminal(());

    impl Terminal {
        /// `None` unless both our stdin and our stdout are one.
        pub(in super::super) fn ours() -> Option<Self> {
            (io::stdin().is_terminal() && io::stdout().is_terminal()).then_some(Self(()))
        }

        /// Every key goes to the command as it is, ^C too, until the answer is dropped.
        pub(in super::super) fn raw(&self) -> io::Result<Raw> {
            let before = tcgetattr(io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
            Ok(Raw(before))
        }

        /// Columns and rows.
        pub(in super::super) fn size(&self) -> Option<(u16, u16)> {
            let size = tcgetwinsize(io::stdout()).ok()?;
            Some((size.ws_col, size.ws_row))
        }

        pub(in super::super) fn changes(&self) -> Changes {
            Changes(signal(SignalKind::window_change()).ok())
        }
    }

    /// Sets the terminal back when dropped.
    #[derive(Debug)]
    pub(in super::super) struct Raw(Termios);

    impl Drop for Raw {
        fn drop(&mut self) {
            // The terminal may be gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        }
    }

    /// SIGWINCH.
    #[derive(Debug)]
    pub(in super::super) struct Changes(Option<Signal>);

    impl Changes {
        pub(in super::super) async fn next(&mut self) {
            let changed = match &mut self.0 {
                Some(signal) => signal.recv().await,
                None => None,
            };
            if changed.is_none() {
                std::future::pending().await
            }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io::{self, IsTerminal};

    use crate::cli::output;

    /// There is none here.
    #[derive(Debug)]
    pub(in super::super) enum Terminal {}

    impl Terminal {
        /// Never; says so where somebody expects one.
        pub(in super::super) fn ours() -> Option<Self> {
            if io::stdin().is_terminal() {
                output::say(
                    "note: on this platform sampan ssh has no terminal: lines are sent as you end \
                     them, without a prompt",
                );
            }
            None
        }

        pub(in super::super) fn raw(&self) -> io::Result<()> {
            match *self {}
        }

        pub(in super::super) fn size(&self) -> Option<(u16, u16)> {
            match *self {}
        }

        pub(in super::super) fn changes(&self) -> Changes {
            match *self {}
        }
    }

    #[derive(Debug)]
    pub(in super::super) enum Changes {}

    impl Changes {
        pub(in super::super) async fn next(&mut self) {
            match *self {}
        }
    }
}
