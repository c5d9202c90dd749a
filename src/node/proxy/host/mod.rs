//! Ports on the host: NodePorts, load balancers', their health checks', and Pods' own.
//!
//! Enter by [`Host::apply`]. A TCP connection is accepted and handed to a Pod's listener as it is:
//! nothing stands between the client and the Pod. Datagrams are copied, by client.

mod health;
mod ports;
mod refusal;
mod tcp;
mod udp;

pub(super) use ports::Host;
