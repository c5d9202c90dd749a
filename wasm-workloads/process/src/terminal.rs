//! The terminal that a handle refers to; see `wit/process.wit`.

use crate::Handle;

/// In characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

/// What the terminal does with what is typed and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// Lines are edited in the terminal, and ^D ends the input; without, keys are read as they come.
    pub canonical: bool,
    pub echo: bool,
    /// ^C and ^\ signal the foreground group.
    pub signals: bool,
    /// The return key is read as a newline.
    pub return_is_newline: bool,
    /// A newline is shown as return and newline.
    pub newline_returns: bool,
}

impl Modes {
    /// As a line editor or a full-screen program wants it; output stays as it is.
    pub fn raw(self) -> Self {
        Self { canonical: false, echo: false, signals: false, return_is_newline: false, ..self }
    }
}

/// Switches the terminal to raw mode, and back when dropped.
#[derive(Debug)]
pub struct Raw {
    terminal: Handle,
    before: Modes,
}

impl Raw {
    /// `None` if it is no terminal.
    pub fn enter(terminal: &Handle) -> Option<Self> {
        let before = modes(terminal)?;
        set_modes(terminal, before.raw());
        Some(Self { terminal: terminal.clone(), before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        set_modes(&self.terminal, self.before);
    }
}

#[cfg(target_family = "wasm")]
mod backend {
    use super::{Modes, Size};
    use crate::Handle;
    use crate::backend::terminal;

    /// `None` if it is no terminal.
    pub fn size(of: &Handle) -> Option<Size> {
        terminal::size(&of.0).map(|size| Size { columns: size.columns, rows: size.rows })
    }

    pub fn set_size(of: &Handle, size: Size) {
        terminal::set_size(&of.0, terminal::WindowSize { columns: size.columns, rows: size.rows });
    }

    /// `None` if it is no terminal.
    pub fn modes(of: &Handle) -> Option<Modes> {
        let modes = terminal::modes(&of.0)?;
        Some(Modes {
            canonical: modes.canonical,
            echo: modes.echo,
            signals: modes.signals,
            return_is_newline: modes.return_is_newline,
            newline_returns: modes.newline_returns,
        })
    }

    pub fn set_modes(of: &Handle, modes: Modes) {
        let modes = terminal::ModeSet {
            canonical: modes.canonical,
            echo: modes.echo,
            signals: modes.signals,
            return_is_newline: modes.return_is_newline,
            newline_returns: modes.newline_returns,
        };
        terminal::set_modes(&of.0, modes);
    }

    /// Drops what was typed and not read.
    pub fn flush_input(of: &Handle) {
        terminal::flush_input(&of.0);
    }

    /// The process group that the terminal's signals reach.
    pub fn foreground(of: &Handle) -> Option<u32> {
        terminal::foreground(&of.0)
    }

    pub fn set_foreground(of: &Handle, group: u32) {
        terminal::set_foreground(&of.0, group);
    }
}

/// What cannot be done is left: these programs are only tried here.
#[cfg(not(target_family = "wasm"))]
mod backend {
    use rustix::process::{Pid, Signal};
    use rustix::termios::{
        self, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, Termios,
    };

    use super::{Modes, Size};
    use crate::Handle;

    pub fn size(of: &Handle) -> Option<Size> {
        let size = termios::tcgetwinsize(&*of.0).ok()?;
        Some(Size { columns: size.ws_col, rows: size.ws_row })
    }

    pub fn set_size(of: &Handle, size: Size) {
        if let Ok(mut now) = termios::tcgetwinsize(&*of.0) {
            (now.ws_col, now.ws_row) = (size.columns, size.rows);
            let _ = termios::tcsetwinsize(&*of.0, now);
        }
    }

    fn attributes(of: &Handle) -> Option<Termios> {
        termios::tcgetattr(&*of.0).ok()
    }

    pub fn modes(of: &Handle) -> Option<Modes> {
        let now = attributes(of)?;
        Some(Modes {
            canonical: now.local_modes.contains(LocalModes::ICANON),
            echo: now.local_modes.contains(LocalModes::ECHO),
            signals: now.local_modes.contains(LocalModes::ISIG),
            return_is_newline: now.input_modes.contains(InputModes::ICRNL),
            newline_returns: now.output_modes.contains(OutputModes::ONLCR),
        })
    }

    pub fn set_modes(of: &Handle, modes: Modes) {
        let Some(mut now) = attributes(of) else { return };
        now.local_modes.set(LocalModes::ICANON, modes.canonical);
        now.local_modes.set(LocalModes::ECHO, modes.echo);
        now.local_modes.set(LocalModes::ISIG, modes.signals);
        now.input_modes.set(InputModes::ICRNL, modes.return_is_newline);
        now.output_modes.set(OutputModes::ONLCR, modes.newline_returns);
        let _ = termios::tcsetattr(&*of.0, OptionalActions::Drain, &now);
    }

    pub fn flush_input(of: &Handle) {
        let _ = termios::tcflush(&*of.0, QueueSelector::IFlush);
    }

    /// None for a program that taking the foreground would stop: signals cannot be ignored here,
    /// only by who started it (`trap '' TTOU`).
    pub fn foreground(of: &Handle) -> Option<u32> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
        if ignored & (1 << (Signal::TTOU.as_raw() - 1)) == 0 {
            return None;
        }
        let group = termios::tcgetpgrp(&*of.0).ok()?;
        Some(group.as_raw_nonzero().get() as u32)
    }

    pub fn set_foreground(of: &Handle, group: u32) {
        if let Some(group) = Pid::from_raw(group as i32) {
            let _ = termios::tcsetpgrp(&*of.0, group);
        }
    }
}

pub use backend::{flush_input, foreground, modes, set_foreground, set_modes, set_size, size};
