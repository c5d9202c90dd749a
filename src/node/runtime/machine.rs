//! What guests run on: engines, programs, threads. Built on first use, after the API listens.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime as Threads};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::Config;
use super::engine::Compiler;
use super::kill::KillSwitch;
use super::limits::MemoryBudget;
use super::priority;
use super::program::Programs;
use super::ticker::Ticker;

/// How long shutdown waits for threads that are in the middle of a host call.
const SHUTDOWN_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// Memory of all guests together where the host does not tell how much it has, in bytes.
const MEMORY_BYTES_DEFAULT: u64 = 8 << 30;
const SIGKILL: u8 = 9;

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) programs: Programs,
    pub(super) ticker: Arc<Ticker>,
    pub(super) memory: Arc<MemoryBudget>,
    /// Above all containers.
    pub(super) kill: KillSwitch,
    pub(super) tasks: TaskTracker,
    instances: Arc<Semaphore>,
    handle: Handle,
    /// Of the threads for those that only compute: they step back behind all others.
    busy_handle: Handle,
    threads: Mutex<Vec<Threads>>,
}

impl Machine {
    /// # Errors
    /// If the host refuses threads, or wasmtime does not support it.
    pub(super) fn new(config: &Config) -> wasmtime::Result<Self> {
        let best = Compiler::best(config.instances_max)?;
        let quick = Compiler::quick()
            .inspect_err(|error| tracing::debug!(%error, "No quick compiler on this host"))
            .ok();
        let engines = [Some(&best), quick.as_ref()].into_iter().flatten();
        let ticker = Ticker::start(engines.map(|compiler| compiler.engine.clone()).collect())?;
        let threads = Builder::new_multi_thread().thread_name("guest").enable_all().build()?;
        let busy = Builder::new_multi_thread()
            .thread_name("guest-busy")
            .on_thread_start(priority::yield_to_others)
            .enable_all()
            .build()?;
        Ok(Self {
            programs: Programs::new(best, quick, &config.cache_directory),
            ticker: Arc::new(ticker),
            memory: MemoryBudget::new(memory_bytes_max()),
            kill: KillSwitch::new(),
            tasks: TaskTracker::new(),
            instances: Arc::new(Semaphore::new(config.instances_max as usize)),
            handle: threads.handle().clone(),
            busy_handle: busy.handle().clone(),
            threads: Mutex::new(vec![threads, busy]),
        })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn busy_handle(&self) -> &Handle {
        &self.busy_handle
    }

    /// A place in the pool, if there is one left.
    pub(super) fn instance(&self) -> Option<OwnedSemaphorePermit> {
        self.instances.clone().try_acquire_owned().ok()
    }

    /// Ends all guests, then their threads.
    pub(super) async fn shutdown(&self) {
        self.kill.kill(SIGKILL);
        self.tasks.close();
        self.tasks.wait().await;
        let threads = std::mem::take(&mut *self.threads.lock());
        let stopped = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|threads| threads.shutdown_timeout(SHUTDOWN_MAX));
        });
        // Fails only if the caller's own runtime is going down.
        let _ = stopped.await;
        self.ticker.stop();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill.kill(SIGKILL);
        self.threads.lock().drain(..).for_each(Threads::shutdown_background);
    }
}

/// Three quarters of the machine's memory: guests must not drive the node itself out of it.
#[cfg(target_os = "linux")]
fn memory_bytes_max() -> u64 {
    let info = rustix::system::sysinfo();
    let total = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)));
    if total == 0 { MEMORY_BYTES_DEFAULT } else { total / 4 * 3 }
}

#[cfg(not(target_os = "linux"))]
fn memory_bytes_max() -> u64 {
    MEMORY_BYTES_DEFAULT
}
