//! `pods/portforward`: a client's connections to a Pod's ports, many over one.
//!
//! ```text
//! WebSocket, SPDY/3.1+portforward.k8s.io   SPDY's frames in binary messages    tunnel ─► pairs ─► door
//! SPDY/3.1, portforward.k8s.io             two streams for each connection               pairs ─► door
//! WebSocket, v4.channel.k8s.io             two channels for each port                 channels ─► door
//! ```
//!
//! Upstream: `k8s.io/kubelet/pkg/cri/streaming/portforward`, `pkg/registry/core/pod/rest/subresources.go`,
//! `k8s.io/apimachinery/pkg/util/portforward`.

mod channels;
mod door;
mod pairs;
mod tunnel;

#[cfg(test)]
mod tests;

use http::{HeaderMap, Response, request};

use self::door::Door;
use super::websocket::Handshake;
use super::{pod, spdy};
use crate::api::status;
use crate::client::node_api::PodRef;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::{Failure, Outcome};

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";
const PAIRS: &str = "portforward.k8s.io";

/// How the connections travel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Tunnel,
    Pairs,
    /// To these ports, once each.
    Channels(Vec<u16>),
}

pub(super) async fn run(call: Call, head: request::Parts) -> Outcome<Response<Body>> {
    let found = pod::read(&call).await?;
    pod::must_be_assigned(&call, &found)?;
    let pod = PodRef {
        namespace: call.namespace().to_owned(),
        name: call.name().to_owned(),
        uid: found.metadata.uid.unwrap_or_default(),
    };
    let door = Door::new(pod::node(&call)?, pod);
    let (way, response) = match upgrade(&head.headers)? {
        Upgrade::WebSocket(handshake) if handshake.protocol() == TUNNEL => {
            (Way::Tunnel, handshake.response())
        }
        Upgrade::WebSocket(handshake) => {
            let ports = channels::ports(call.query.all("ports")).map_err(Failure::bad_request)?;
            (Way::Channels(ports), handshake.response())
        }
        Upgrade::Spdy(response) => (Way::Pairs, response),
        Upgrade::Refused(response) => return Ok(*response),
    };
    let server = call.server.clone();
    let clock = server.clock().clone();
    let stopping = server.stopping().clone();
    server.tracker().spawn(stopping.run_until_cancelled_owned(async move {
        match way {
            Way::Tunnel => tunnel::serve(head, door, clock).await,
            Way::Pairs => pairs::serve(head, door, clock).await,
            Way::Channels(ports) => channels::serve(head, &ports, door).await,
        }
    }));
    Ok(response)
}

enum Upgrade {
    WebSocket(Handshake),
    Spdy(Response<Body>),
    /// The client speaks SPDY, but of other streams.
    Refused(Box<Response<Body>>),
}

/// # Errors
/// 400 if the client asks for no upgrade, or one that is not known.
fn upgrade(headers: &HeaderMap) -> Outcome<Upgrade> {
    if let Some(handshake) = Handshake::of(headers, &[TUNNEL, CHANNELS]) {
        return Ok(Upgrade::WebSocket(handshake));
    }
    if !spdy::is_asked_for(headers) {
        return Err(status::bad_request(
            "Upgrade request required: WebSocket with the subprotocol SPDY/3.1+portforward.k8s.io or \
             v4.channel.k8s.io, or SPDY/3.1",
        )
        .into());
    }
    Ok(match spdy::negotiate(headers, &[((), PAIRS)]) {
        Ok(((), name)) => Upgrade::Spdy(spdy::response(name)),
        Err(refusal) => Upgrade::Refused(refusal),
    })
}
