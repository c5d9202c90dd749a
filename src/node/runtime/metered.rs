//! A guest's future on its way between threads.
//!
//! ```text
//! here: in the task that awaits it, on threads like all others   <─────────┐
//!   │ has computed more than it has waited, or is one of very many         │ has waited
//!   │ (`credit`)                                                           │
//!   └──> away: in a task of its own, on threads that step back ────────────┘
//! ```
//!
//! So whoever only computes, and be it a hundred of them, takes what is left by those that answer.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use tokio_util::task::AbortOnDropHandle;

use super::machine::Machine;
use super::meter::Meter;

/// Keeps the epochs ticking while a guest computes, its meter running, and others before it if it
/// computes much. Dropping it drops the guest, within a tick if that is away.
pub(super) struct Metered<T> {
    place: Place<T>,
    has_begun: bool,
    machine: Arc<Machine>,
    meter: Arc<Meter>,
}

enum Place<T> {
    Here(BoxFuture<'static, T>),
    Away(AbortOnDropHandle<Back<T>>),
}

/// What comes back.
enum Back<T> {
    Ended(T),
    Waiting(BoxFuture<'static, T>),
}

impl<T: Send + 'static> Metered<T> {
    pub(super) fn new(
        inner: impl Future<Output = T> + Send + 'static,
        machine: Arc<Machine>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { place: Place::Here(Box::pin(inner)), has_begun: false, machine, meter }
    }

    /// Whether it goes on without being polled.
    pub(super) fn is_away(&self) -> bool {
        matches!(self.place, Place::Away(_))
    }

    fn send_away(&mut self, inner: BoxFuture<'static, T>) {
        let (machine, meter) = (self.machine.clone(), self.meter.clone());
        let away = away(inner, machine, meter);
        let task = self.machine.tasks.spawn_on(away, self.machine.busy_handle());
        self.place = Place::Away(AbortOnDropHandle::new(task));
    }
}

impl<T: Send + 'static> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        loop {
            match &mut this.place {
                Place::Here(inner) => {
                    if this.has_begun || !this.meter.is_busy() {
                        this.has_begun = true;
                        let polled = turn(inner, &this.machine, &this.meter, cx);
                        if polled.is_ready() || !this.meter.is_busy() {
                            return polled;
                        }
                    }
                    this.has_begun = true;
                    let inner = std::mem::replace(inner, Box::pin(std::future::pending()));
                    this.send_away(inner);
                }
                Place::Away(task) => match ready!(Pin::new(task).poll(cx)) {
                    Ok(Back::Ended(answer)) => return Poll::Ready(answer),
                    Ok(Back::Waiting(inner)) => this.place = Place::Here(inner),
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        // The threads are going down, and with them whoever waits here.
                        Err(_) => this.place = Place::Here(Box::pin(std::future::pending())),
                    },
                },
            }
        }
    }
}

async fn away<T>(
    mut inner: BoxFuture<'static, T>,
    machine: Arc<Machine>,
    meter: Arc<Meter>,
) -> Back<T> {
    let ended = std::future::poll_fn(|cx| match turn(&mut inner, &machine, &meter, cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if meter.is_busy() => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    });
    match ended.await {
        Some(answer) => Back::Ended(answer),
        None => Back::Waiting(inner),
    }
}

fn turn<T>(
    inner: &mut BoxFuture<'static, T>,
    machine: &Machine,
    meter: &Meter,
    cx: &mut Context<'_>,
) -> Poll<T> {
    let _computing = machine.ticker.computing();
    meter.begin();
    let polled = inner.as_mut().poll(cx);
    meter.end();
    polled
}
