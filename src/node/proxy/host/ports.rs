//! Which ports are open.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{health, refusal, tcp, udp};
use crate::client::events::EventType;
use crate::node::network::{Door, Protocol};
use crate::node::proxy::claims::Owner;
use crate::node::proxy::plan::{HostPort, HostPortKind};
use crate::node::proxy::references;
use crate::node::proxy::start::Context;

/// The host's ports that stand for Services and Pods.
pub(in crate::node::proxy) struct Host {
    ctx: Arc<Context>,
    ports: HashMap<Door, Port>,
}

struct Port {
    owner: Owner,
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
        changes: BTreeMap<Door, Option<(Owner, HostPort)>>,
    ) {
        let mut to_open = Vec::new();
        for (door, wanted) in changes {
            let before = self.ports.remove(&door);
            match (before, wanted) {
                (Some(port), Some((owner, wanted))) if port.is_the_same(&owner, &wanted) => {
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
            let state = match self.open(door, &owner, &wanted) {
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
            let state = match self.open(door, &port.owner, &port.wanted) {
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

    fn open(&self, door: Door, owner: &Owner, wanted: &HostPort) -> io::Result<Open> {
        let (ctx, sources) = (self.ctx.clone(), wanted.sources.clone());
        let work: BoxFuture<'static, ()> = match (wanted.kind, owner, door.protocol) {
            (HostPortKind::HealthCheck, Owner::Service(service), _) => {
                Box::pin(health::serve(ctx, tcp::listen(door.address)?, service.clone()))
            }
            (.., Protocol::Tcp) => {
                Box::pin(tcp::accept(ctx, tcp::listen(door.address)?, door, sources))
            }
            (.., Protocol::Udp) => {
                Box::pin(udp::forward(ctx, udp::listen(door.address)?, door, sources))
            }
        };
        let stop = self.ctx.stop.child_token();
        let until = stop.clone();
        let task = self.ctx.tasks.spawn(async move {
            until.run_until_cancelled(work).await;
        });
        info!(address = %door.address, protocol = ?door.protocol, "Port opened");
        Ok(Open { stop, task })
    }

    /// Tells an owner that another one has the port.
    pub(in crate::node::proxy) fn tell_of_owner(
        &self,
        door: Door,
        owner: &Owner,
        kind: HostPortKind,
        first: &Owner,
    ) {
        self.record(owner, kind, refusal::text_of_owner(door, kind, first));
    }

    fn tell(&self, door: Door, owner: &Owner, wanted: &HostPort, error: &io::Error) {
        debug!(address = %door.address, %error, "Port refused");
        self.record(owner, wanted.kind, refusal::text(door, wanted.kind, error));
    }

    fn record(&self, owner: &Owner, kind: HostPortKind, text: String) {
        let rooms = &self.ctx.rooms;
        let about = match owner {
            Owner::Service(key) => rooms.services.get(key).map(|one| references::service(&one)),
            Owner::Pod(key) => rooms.pods.get(key).map(|one| references::pod(&one)),
        };
        let Some(about) = about else { return };
        self.ctx.recorder.record(&about, EventType::Warning, refusal::reason(kind), text);
    }
}

impl Port {
    /// What a health check says is its owner's.
    fn is_the_same(&self, owner: &Owner, wanted: &HostPort) -> bool {
        self.wanted == *wanted && (self.owner == *owner || wanted.kind != HostPortKind::HealthCheck)
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
