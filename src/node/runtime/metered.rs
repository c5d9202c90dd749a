//! A guest's future on its way between threads.
//!
//! ```text
//! here: in the task that awaits it, on threads like all others   <─────────┐
//!   │ has, with the others of its container, computed more than            │ has waited
//!   │ they all waited (`credit`)                                           │
//!   └──> away: in a task of its own, on threads that step back ────────────┘
//! ```
//!
//! So whoever only computes, and be it a hundred of them, takes what is left by those that answer.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::machine::Machine;
use super::meter::Meter;

/// Keeps the epochs ticking while a guest computes, its meter running, and others before it if it
/// computes much. Dropping it drops the guest, within a tick if that is away.
pub(super) struct Metered<T> {
    place: Place<T>,
    machine: Arc<Machine>,
}

enum Place<T> {
    /// Has not had a turn yet.
    New(Guest<T>),
    Here(Guest<T>),
    Away(AbortOnDropHandle<Back<T>>),
    /// Who waited for it learns of that before it is idle.
    Ended {
        _presence: Presence,
    },
    /// Its threads go down, and with them whoever waits for it.
    Nowhere,
}

/// What comes back.
enum Back<T> {
    Ended(T, Presence),
    Waiting(Guest<T>),
}

/// The future, in whatever task.
struct Guest<T> {
    future: BoxFuture<'static, T>,
    presence: Presence,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// Somebody who computes, is about to, or waits: from when it is made, though its first turn may be far
/// off, until whoever waits for its end has been told. Else those who start one after another would seem
/// idle between two of them.
struct Presence(Arc<Meter>);

impl Presence {
    fn new(meter: Arc<Meter>) -> Self {
        meter.wake();
        Self(meter)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// Wakes the task that the guest is in, and tells its meter.
struct Alarm {
    meter: Arc<Meter>,
    task: Mutex<Waker>,
}

impl<T: Send + 'static> Metered<T> {
    pub(super) fn new(
        future: impl Future<Output = T> + Send + 'static,
        machine: Arc<Machine>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { place: Place::New(Guest::new(Box::pin(future), meter)), machine }
    }

    /// Whether it goes on without being polled.
    pub(super) fn is_away(&self) -> bool {
        matches!(self.place, Place::Away(_))
    }

    fn send_away(&self, guest: Guest<T>) -> Place<T> {
        let away = away(guest, self.machine.clone());
        let task = self.machine.tasks.spawn_on(away, self.machine.busy_handle());
        Place::Away(AbortOnDropHandle::new(task))
    }
}

impl<T: Send + 'static> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.place, Place::Nowhere) {
                Place::New(guest) if guest.presence.0.is_busy() => {
                    this.place = this.send_away(guest)
                }
                Place::New(mut guest) | Place::Here(mut guest) => {
                    match guest.turn(&this.machine, cx) {
                        Poll::Ready(answer) => {
                            this.place = Place::Ended { _presence: guest.presence };
                            return Poll::Ready(answer);
                        }
                        Poll::Pending if guest.presence.0.is_busy() => {
                            this.place = this.send_away(guest);
                        }
                        Poll::Pending => {
                            this.place = Place::Here(guest);
                            return Poll::Pending;
                        }
                    }
                }
                Place::Away(mut task) => match Pin::new(&mut task).poll(cx) {
                    Poll::Pending => {
                        this.place = Place::Away(task);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Back::Ended(answer, presence))) => {
                        this.place = Place::Ended { _presence: presence };
                        return Poll::Ready(answer);
                    }
                    Poll::Ready(Ok(Back::Waiting(guest))) => this.place = Place::Here(guest),
                    Poll::Ready(Err(error)) => {
                        if let Ok(panic) = error.try_into_panic() {
                            resume_unwind(panic);
                        }
                    }
                },
                Place::Ended { .. } | Place::Nowhere => return Poll::Pending,
            }
        }
    }
}

/// One turn after another, each in a place of the container's: its others queue for that meanwhile.
async fn away<T>(mut guest: Guest<T>, machine: Arc<Machine>) -> Back<T> {
    let places = guest.presence.0.busy_places();
    let mut place = None;
    let ended = std::future::poll_fn(|cx| {
        let place_of = place.get_or_insert_with(|| Box::pin(places.clone().acquire_owned()));
        let held = ready!(place_of.as_mut().poll(cx));
        place = None;
        let polled = guest.turn(&machine, cx);
        // Fails only if it were closed, which nobody does.
        drop(held);
        match polled {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if guest.presence.0.is_busy() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    });
    match ended.await {
        Some(answer) => Back::Ended(answer, guest.presence),
        None => Back::Waiting(guest),
    }
}

impl<T> Guest<T> {
    fn new(future: BoxFuture<'static, T>, meter: Arc<Meter>) -> Self {
        let task = Mutex::new(Waker::noop().clone());
        let alarm = Arc::new(Alarm { meter: meter.clone(), task });
        let waker = Waker::from(alarm.clone());
        Self { future, presence: Presence::new(meter), alarm, waker }
    }

    fn turn(&mut self, machine: &Machine, cx: &Context<'_>) -> Poll<T> {
        self.alarm.task.lock().clone_from(cx.waker());
        let _computing = machine.ticker.computing();
        let meter = &self.presence.0;
        meter.begin();
        let polled = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
        meter.end(polled.is_ready());
        polled
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.meter.wake();
        let task = self.task.lock().clone();
        task.wake();
    }
}
