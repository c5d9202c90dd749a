//! Time from the injected clock; a guest that waits holds no thread.

use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use super::super::process::Process;
use crate::client::clock::Clock;

/// What guests are told; the real resolution is finer on all platforms.
const RESOLUTION: Duration = Duration::from_nanos(1);

pub(super) struct Wall(pub(super) Clock);

pub(super) struct Monotonic(pub(super) Clock);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        // A clock before 1970 has no representation in WASI.
        Duration::try_from(self.0.now().as_duration()).unwrap_or_default()
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        RESOLUTION.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        nanoseconds(&self.0)
    }
}

impl monotonic_clock::Host for Process {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.clock()))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(RESOLUTION.as_nanos() as u64)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let deadline = Deadline {
            clock: self.clock().clone(),
            when: Duration::from_nanos(when),
            yielded: false,
        };
        let deadline = self.table.push(deadline)?;
        subscribe(&mut self.table, deadline)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let when = nanoseconds(self.clock()).saturating_add(duration);
        self.subscribe_instant(when)
    }
}

/// In nanoseconds since the clock was made: 584 years fit.
fn nanoseconds(clock: &Clock) -> u64 {
    u64::try_from(clock.monotonic().as_nanos()).unwrap_or(u64::MAX)
}

struct Deadline {
    clock: Clock,
    when: Duration,
    yielded: bool,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        if self.clock.monotonic() < self.when {
            self.clock.sleep_until(self.when).await;
        } else if !std::mem::replace(&mut self.yielded, true) {
            // A guest that polls with a timeout of zero in a loop must let others run.
            tokio::task::yield_now().await;
        }
    }
}
