//! Services that sleep: a connection that finds nobody behind their door rings, and waits until
//! somebody comes. Who looks after the sleepers (the proxy) hangs the bells and hears them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::routes::Door;

/// Bound: answered connections whose waits one bell remembers until they are taken.
const WAITS_MAX: usize = 1024;

/// A door's bell. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Told of every ring and every answer.
    desk: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_rung: bool,
    /// Who listens already, though the Service's endpoints do not say so yet.
    early: Option<SocketAddr>,
    waits: Vec<Duration>,
}

impl Bell {
    pub fn new(desk: Arc<Notify>) -> Self {
        Self(Arc::new(Inner { desk, state: Mutex::default() }))
    }

    pub(super) fn ring(&self) {
        self.0.state.lock().is_rung = true;
        self.0.desk.notify_one();
    }

    /// A connection that rang has its endpoint now, after so long.
    pub(super) fn answered(&self, waited: Duration) {
        let mut state = self.0.state.lock();
        if state.waits.len() < WAITS_MAX {
            state.waits.push(waited);
        }
        drop(state);
        self.0.desk.notify_one();
    }

    /// Whether it rang since it was asked last.
    pub fn take_ring(&self) -> bool {
        std::mem::take(&mut self.0.state.lock().is_rung)
    }

    /// How long connections waited that have been answered since this was asked last.
    pub fn take_waits(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.state.lock().waits)
    }

    /// Sends those who wait to this endpoint until the Service has endpoints; tell
    /// [`super::Routes::changed`] of it.
    pub fn offer(&self, endpoint: Option<SocketAddr>) {
        self.0.state.lock().early = endpoint;
    }

    pub(super) fn early(&self) -> Option<SocketAddr> {
        self.0.state.lock().early
    }
}

/// The bells of all doors that have one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Bells(Arc<RwLock<HashMap<Door, Bell>>>);

impl Bells {
    /// These and no others.
    pub fn replace(&self, bells: HashMap<Door, Bell>) {
        *self.0.write() = bells;
    }

    pub(super) fn get(&self, door: Door) -> Option<Bell> {
        self.0.read().get(&door).cloned()
    }
}
