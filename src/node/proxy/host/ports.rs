//! Which ports are open.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{refusal, tcp, udp};
use crate::api::object::ObjectKey;
use crate::client::events::EventType;
use crate::node::network::{Door, Protocol};
use crate::node::proxy::plan::HostPort;
use crate::node::proxy::references;
use crate::node::proxy::start::Context;

/// The host's ports that stand for Services.
pub(in crate::node::proxy) struct Host {
    ctx: Arc<Context>,
    ports: HashMap<Door, Port>,
}

struct Port {
    owner: ObjectKey,
    wanted: HostPort,
    state: State,
}

enum State {
    Open(Open),
    /// The host's kernel did not let us; tried again.
    Refused(io::ErrorKind),
}

/// A task that listens.
struct Open {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Host {
    pub(in crate::node::proxy) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, ports: HashMap::new() }
    }

    /// Opens, changes and (`None`) closes ports. What cannot be opened is told in an Event of its
    /// owner.
    pub(in crate::node::proxy) async fn apply(
        &mut self,
        changes: BTreeMap<Door, Option<(ObjectKey, HostPort)>>,
    ) {
        let mut to_open = Vec::new();
        for (door, wanted) in changes {
            let before = self.ports.remove(&door);
            match (before, wanted) {
                (Some(port), Some((owner, wanted))) if port.wanted == wanted => {
                    self.ports.insert(door, Port { owner, ..port });
                }
                (before, wanted) => {
                    if let Some(port) = before {
                        close(door, port).await;
                    }
                    to_open.extend(wanted.map(|(owner, wanted)| (door, owner, wanted)));
                }
            }
        }
        for (door, owner, wanted) in to_open {
            let state = match self.open(door, &wanted) {
                Ok(open) => State::Open(open),
                Err(error) => {
                    self.tell(door, &owner, &wanted, &error);
                    State::Refused(error.kind())
                }
            };
            self.ports.insert(door, Port { owner, wanted, state });
        }
    }

    /// Whether there are ports to [`Host::retry`].
    pub(in crate::node::proxy) fn has_refused(&self) -> bool {
        self.ports.values().any(|port| matches!(port.state, State::Refused(_)))
    }

    /// Tries to open the ports that were refused; a new reason is told.
    pub(in crate::node::proxy) async fn retry(&mut self) {
        let doors = self.ports.iter().filter_map(|(door, port)| match port.state {
            State::Refused(before) => Some((*door, before)),
            State::Open(_) => None,
        });
        for (door, before) in doors.collect::<Vec<_>>() {
            let port = &self.ports[&door];
            let state = match self.open(door, &port.wanted) {
                Ok(open) => State::Open(open),
                Err(error) => {
                    if error.kind() != before {
                        self.tell(door, &port.owner, &port.wanted, &error);
                    }
                    State::Refused(error.kind())
                }
            };
            if let Some(port) = self.ports.get_mut(&door) {
                port.state = state;
            }
        }
    }

    /// Closes all ports.
    pub(in crate::node::proxy) async fn close(&mut self) {
        for (door, port) in self.ports.drain() {
            close(door, port).await;
        }
    }

    fn open(&self, door: Door, wanted: &HostPort) -> io::Result<Open> {
        let (ctx, sources) = (self.ctx.clone(), wanted.sources.clone());
        let work: BoxFuture<'static, ()> = match door.protocol {
            Protocol::Tcp => Box::pin(tcp::accept(ctx, tcp::listen(door.address)?, door, sources)),
            Protocol::Udp => Box::pin(udp::forward(ctx, udp::listen(door.address)?, door, sources)),
        };
        let stop = self.ctx.stop.child_token();
        let until = stop.clone();
        let task = self.ctx.tasks.spawn(async move {
            until.run_until_cancelled(work).await;
        });
        info!(address = %door.address, protocol = ?door.protocol, "Port opened");
        Ok(Open { stop, task })
    }

    fn tell(&self, door: Door, owner: &ObjectKey, wanted: &HostPort, error: &io::Error) {
        debug!(address = %door.address, %error, "Port refused");
        let Some(service) = self.ctx.rooms.services.get(owner) else { return };
        let text = refusal::text(door, wanted.kind, error);
        let about = references::service(&service);
        self.ctx.recorder.record(&about, EventType::Warning, refusal::REASON, text);
    }
}

/// Ends when the port is free again: it may be opened anew at once.
async fn close(door: Door, port: Port) {
    let State::Open(open) = port.state else { return };
    open.stop.cancel();
    // Fails only if the task panicked, which the panic has told.
    let _ = open.task.await;
    info!(address = %door.address, protocol = ?door.protocol, "Port closed");
}
