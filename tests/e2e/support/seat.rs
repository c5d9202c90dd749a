//! Someone at a terminal: a command on a pseudo-terminal, keys typed into it, and what it shows.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{Killer, TIME_MAX};

pub(crate) struct Seat {
    process: Child,
    keyboard: File,
    shown_rx: mpsc::Receiver<Vec<u8>>,
    /// What was shown and not read yet.
    unread: String,
    killer: Killer,
}

impl Seat {
    /// Starts a command on a terminal of so many columns and rows.
    pub(crate) fn take(mut command: Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        set_size(&master, columns, rows);
        let path = ptsname(&master, Vec::new()).unwrap();
        let end = || {
            Stdio::from(
                File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap(),
            )
        };
        let process = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        // Its copies of the terminal's other end would keep it open.
        drop(command);
        let killer = Killer::of(&process);
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let (shown_tx, shown_rx) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                if shown_tx.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { process, keyboard, shown_rx, unread: String::new(), killer }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What is shown up to `text` and with it. Panics if it does not come.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.unread.find(text) {
                let rest = self.unread.split_off(at + text.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            match self.shown_rx.recv_timeout(TIME_MAX) {
                Ok(bytes) => self.show(&bytes),
                Err(_) => panic!("no {text:?}; the terminal shows {:?}", self.unread),
            }
        }
    }

    /// Without the marks that ask for pasted text to be marked: nobody sees them.
    fn show(&mut self, bytes: &[u8]) {
        self.unread += &String::from_utf8_lossy(bytes);
        for mark in ["\x1b[?2004h", "\x1b[?2004l"] {
            self.unread = self.unread.replace(mark, "");
        }
    }

    /// Types a line and answers what it makes the terminal show, up to the prompt that follows.
    #[track_caller]
    pub(crate) fn run(&mut self, line: &str, prompt: &str) -> String {
        self.type_in(&format!("{line}\r"));
        self.until("\r\n");
        let shown = self.until(prompt);
        shown[..shown.len() - prompt.len()].replace("\r\n", "\n")
    }

    /// As when someone draws the window larger or smaller.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        set_size(&self.keyboard, columns, rows);
        kill_process(Pid::from_child(&self.process), Signal::WINCH).unwrap();
    }

    /// The exit code, and what was shown to the end.
    #[track_caller]
    pub(crate) fn leave(mut self) -> (i32, String) {
        let status = self.process.wait().unwrap();
        assert!(!self.killer.fired(), "it took longer than {TIME_MAX:?}: {:?}", self.unread);
        while let Ok(bytes) = self.shown_rx.recv_timeout(TIME_MAX) {
            self.show(&bytes);
        }
        (status.code().unwrap_or(-1), std::mem::take(&mut self.unread))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn set_size(terminal: &impl std::os::fd::AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}
