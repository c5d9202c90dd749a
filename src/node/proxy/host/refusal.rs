//! Why a port of the host's is not open, and what to do about it.

use std::io;

use crate::node::network::Door;
use crate::node::proxy::claims::Owner;
use crate::node::proxy::plan::HostPortKind;

/// The Event's; upstream has one for health checks only.
pub(super) fn reason(kind: HostPortKind) -> &'static str {
    match kind {
        HostPortKind::HealthCheck => "FailedToStartServiceHealthcheck",
        _ => "FailedToListen",
    }
}

/// Below it a port is only for root, on Unix.
const PORTS_OF_ROOT: u16 = 1024;

pub(super) fn text(door: Door, kind: HostPortKind, error: &io::Error) -> String {
    let Door { address, .. } = door;
    let (why, fix) = match error.kind() {
        io::ErrorKind::AddrInUse => ("another program has that port", "stop it"),
        io::ErrorKind::PermissionDenied if address.port() < PORTS_OF_ROOT => {
            ("ports below 1024 are only for root on this machine", "choose a higher port")
        }
        io::ErrorKind::PermissionDenied => {
            ("this machine does not permit it", "choose another port")
        }
        io::ErrorKind::AddrNotAvailable => {
            ("this machine does not have that address", "start sampan with another --node-address")
        }
        _ => return format!("Cannot listen on {address}: {error}; {}", instead(door, kind)),
    };
    format!("Cannot listen on {address}: {why}; {fix}, or {}", instead(door, kind))
}

/// Somebody else in the cluster has it.
pub(super) fn text_of_owner(door: Door, kind: HostPortKind, owner: &Owner) -> String {
    format!("Cannot listen on {}: {owner} has that port; {}", door.address, instead(door, kind))
}

fn instead(door: Door, kind: HostPortKind) -> String {
    match kind {
        HostPortKind::NodePort => "give the Service another nodePort".to_owned(),
        HostPortKind::LoadBalancer { node_port: Some(port) } => {
            format!("use the NodePort {}:{port}", door.address.ip())
        }
        HostPortKind::LoadBalancer { node_port: None } => {
            "give the Service another port".to_owned()
        }
        HostPortKind::HealthCheck => "give the Service another healthCheckNodePort".to_owned(),
        HostPortKind::HostPort => "give the Pod another hostPort".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::network::Protocol;

    #[test]
    fn a_refusal_names_the_cause_and_the_fix() {
        let door = Door { address: "127.0.0.1:80".parse().unwrap(), protocol: Protocol::Tcp };
        let balancer = HostPortKind::LoadBalancer { node_port: Some(31_234) };
        let text = |kind, error: io::ErrorKind| text(door, kind, &error.into());
        assert_eq!(
            text(balancer, io::ErrorKind::PermissionDenied),
            "Cannot listen on 127.0.0.1:80: ports below 1024 are only for root on this machine; \
             choose a higher port, or use the NodePort 127.0.0.1:31234"
        );
        assert_eq!(
            text(HostPortKind::NodePort, io::ErrorKind::AddrInUse),
            "Cannot listen on 127.0.0.1:80: another program has that port; stop it, or give the \
             Service another nodePort"
        );
    }
}
