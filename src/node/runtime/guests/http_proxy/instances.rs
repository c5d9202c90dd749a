//! A server's instances: one for each request that is being answered, and those that wait for their
//! next one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::{Store, component};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::request::Upload;
use crate::client::clock::Clock;
use crate::node::runtime::meter::Meter;
use crate::node::runtime::process::{self, Process, Start};
use crate::node::runtime::wasi::Ends;

/// Bound: requests that one server answers at a time; the next gets 503. Each has an instance, whose
/// memory the container's limit bounds, too.
const INSTANCES_MAX: usize = 1024;
/// Bound: instances of one server that wait for their next request.
const IDLE_MAX: usize = 64;
/// An instance without a request for so long is let go.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// Of being overloaded it is told in the log no more often.
const COMPLAINTS_APART: Duration = Duration::from_secs(1);

pub(super) type Answer = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

pub(super) struct Instances {
    proxy: ProxyPre<Process>,
    /// How many requests each answers.
    reuse: u32,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Instance>>,
    /// There is one idle again.
    filled: Notify,
    /// When it was last said that there are too many.
    complained: Mutex<Option<Duration>>,
}

pub(super) struct Instance {
    store: Store<Process>,
    proxy: Proxy,
    pub(super) meter: Arc<Meter>,
    requests_left: u32,
    idle_since: Duration,
    _place: Place,
}

/// An instance that has told its ports.
pub(super) struct First {
    pub(super) store: Store<Process>,
    pub(super) instance: component::Instance,
    pub(super) meter: Arc<Meter>,
}

/// The right to one more instance.
pub(super) struct Place {
    _of_server: OwnedSemaphorePermit,
    _of_node: OwnedSemaphorePermit,
}

/// Who is going to answer.
pub(super) enum Taken {
    Idle(Box<Instance>),
    New(Place, Arc<Meter>),
}

impl Instances {
    pub(super) fn new(proxy: ProxyPre<Process>, reuse: u32) -> Self {
        Self {
            proxy,
            reuse,
            slots: Arc::new(Semaphore::new(INSTANCES_MAX)),
            idle: Mutex::default(),
            filled: Notify::new(),
            complained: Mutex::default(),
        }
    }

    /// `None` if there are too many.
    pub(super) fn take(&self, start: &Start) -> Option<Taken> {
        let idle = self.idle.lock().pop();
        if let Some(instance) = idle {
            return Some(Taken::Idle(Box::new(instance)));
        }
        Some(Taken::New(self.place(start)?, start.entry.meter.another()))
    }

    fn place(&self, start: &Start) -> Option<Place> {
        let of_server = self.slots.clone().try_acquire_owned().ok()?;
        let of_node = start.container.machine.instance()?;
        Some(Place { _of_server: of_server, _of_node: of_node })
    }

    /// Keeps it for the first request, which else would wait for another one, if it may be used more
    /// than once and there is room for it.
    ///
    /// # Errors
    /// If it is no server of wasi:http.
    pub(super) fn adopt(&self, first: First, start: &Start) -> wasmtime::Result<()> {
        let First { mut store, instance, meter } = first;
        let Some(place) = self.place(start).filter(|_| self.reuse > 1) else { return Ok(()) };
        let proxy = Proxy::new(&mut store, &instance)?;
        let idle_since = start.container.runtime.clock.monotonic();
        let (requests_left, _place) = (self.reuse, place);
        let instance = Instance { store, proxy, meter, requests_left, idle_since, _place };
        self.idle.lock().push(instance);
        self.filled.notify_one();
        Ok(())
    }

    pub(super) async fn make(
        &self,
        start: &Start,
        place: Place,
        meter: Arc<Meter>,
    ) -> wasmtime::Result<Instance> {
        let mut store = process::store(self.proxy.engine(), Process::another(start), meter.clone());
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        let (requests_left, idle_since) = (self.reuse, Duration::ZERO);
        Ok(Instance { store, proxy, meter, requests_left, idle_since, _place: place })
    }

    /// It has answered and is whole.
    pub(super) fn give_back(&self, mut instance: Instance, clock: &Clock) {
        instance.requests_left -= 1;
        if instance.requests_left == 0 {
            return;
        }
        instance.idle_since = clock.monotonic();
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(instance);
            if idle.len() == 1 {
                self.filled.notify_one();
            }
        }
    }

    /// Whether to tell of being overloaded: not again and again.
    pub(super) fn may_complain(&self, now: Duration) -> bool {
        let mut complained = self.complained.lock();
        let may = complained.is_none_or(|last| now.saturating_sub(last) >= COMPLAINTS_APART);
        if may {
            *complained = Some(now);
        }
        may
    }

    /// Lets those go that nobody has needed for a while. Never ends.
    pub(super) async fn forget_idle(&self, clock: &Clock) {
        loop {
            self.filled.notified().await;
            while !self.idle.lock().is_empty() {
                clock.sleep(IDLE_TIME).await;
                let now = clock.monotonic();
                let is_old = |instance: &mut Instance| instance.idle_since + IDLE_TIME <= now;
                let old: Vec<_> = self.idle.lock().extract_if(.., is_old).collect();
                // Not under the lock: it takes as long as making them.
                drop(old);
            }
        }
    }
}

impl Instance {
    /// Answers a request; it may compute on after it has.
    ///
    /// # Errors
    /// Its trap or exit: then it is not to be used again.
    pub(super) async fn handle(
        &mut self,
        ends: Ends,
        request: http::Request<Upload>,
        answer_tx: oneshot::Sender<Answer>,
    ) -> wasmtime::Result<()> {
        // The last one is long ago, or was just made: only what it computes from now on counts.
        self.store.set_epoch_deadline(1);
        let process = self.store.data_mut();
        process.connection = Some(ends);
        process.requests.names_hosts = false;
        let request = process.http().new_incoming_request(Scheme::Http, request)?;
        process.requests.names_hosts = true;
        let out = process.http().new_response_outparam(answer_tx)?;
        let handler = self.proxy.wasi_http_incoming_handler();
        handler.call_handle(&mut self.store, request, out).await?;
        self.store.data_mut().connection = None;
        Ok(())
    }
}
