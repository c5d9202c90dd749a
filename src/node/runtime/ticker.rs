//! The thread that advances wasmtime's epochs, so that busy guests are interrupted. It stands still
//! while no guest computes: an idle node costs no CPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use parking_lot::Mutex;

/// How long a guest computes before others get their turn; also what a kill waits for.
const TICK: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    join: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Guests that are on a thread right now.
    computing: AtomicUsize,
    parked: AtomicBool,
    stopped: AtomicBool,
}

impl Ticker {
    /// # Errors
    /// If the host refuses a thread.
    pub(super) fn start(engines: Vec<wasmtime::Engine>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let join = std::thread::Builder::new().name("guest-epochs".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.run(&engines)
        })?;
        Ok(Self { shared, thread: join.thread().clone(), join: Mutex::new(Some(join)) })
    }

    /// Epochs advance at least as long as the answer lives.
    pub(super) fn computing(&self) -> Computing<'_> {
        self.shared.computing.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Computing(&self.shared)
    }

    pub(super) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(join) = self.join.lock().take() {
            // The thread does nothing that panics.
            let _ = join.join();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
pub(super) struct Computing<'a>(&'a Shared);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.computing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn run(&self, engines: &[wasmtime::Engine]) {
        while !self.stopped.load(Ordering::SeqCst) {
            if self.computing.load(Ordering::SeqCst) == 0 {
                self.parked.store(true, Ordering::SeqCst);
                // A guest that came in between has seen `parked` or is seen here.
                while self.computing.load(Ordering::SeqCst) == 0
                    && self.parked.load(Ordering::SeqCst)
                    && !self.stopped.load(Ordering::SeqCst)
                {
                    std::thread::park();
                }
                self.parked.store(false, Ordering::SeqCst);
            }
            std::thread::park_timeout(TICK);
            for engine in engines {
                engine.increment_epoch();
            }
        }
    }
}
