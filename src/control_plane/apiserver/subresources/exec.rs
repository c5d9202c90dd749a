//! `pods/exec` and `pods/attach`: a command's streams over a WebSocket, or over SPDY.
//!
//! Upstream: `pkg/registry/core/pod/rest/subresources.go`, `k8s.io/kubelet/pkg/cri/streaming/remotecommand`.

use http::{HeaderMap, Response, request};

use super::websocket::{self, Handshake};
use super::{pod, spdy};
use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::query::Query;
use crate::control_plane::apiserver::status::{Failure, Outcome};

/// Which streams the client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    /// Its output is all on stdout.
    pub(super) tty: bool,
}

/// What to do with the streams.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    Exec(Vec<String>),
    Attach,
}

pub(super) async fn exec(call: Call, head: request::Parts) -> Outcome<Response<Body>> {
    let command: Vec<String> = call.query.all("command").map(str::to_owned).collect();
    if command.is_empty() {
        return Err(Failure::bad_request("you must specify at least 1 command for the container"));
    }
    stream(call, head, Task::Exec(command)).await
}

pub(super) async fn attach(call: Call, head: request::Parts) -> Outcome<Response<Body>> {
    stream(call, head, Task::Attach).await
}

async fn stream(call: Call, head: request::Parts, task: Task) -> Outcome<Response<Body>> {
    let found = pod::read(&call).await?;
    let container = pod::container(&call, &found)?;
    pod::must_be_assigned(&call, &found)?;
    let wanted = wanted(&call.query)?;
    let node = pod::node(&call)?;
    let (way, response) = match upgrade(&head.headers)? {
        Upgrade::To(way, response) => (way, response),
        Upgrade::Refused(response) => return Ok(*response),
    };
    let server = call.server.clone();
    let clock = server.clock().clone();
    let stopping = server.stopping().clone();
    server.tracker().spawn(stopping.run_until_cancelled_owned(async move {
        let run = async |streams| match task {
            Task::Exec(command) => node.exec(&container, command, streams).await,
            Task::Attach => node.attach(&container, streams).await.map(|()| 0),
        };
        match way {
            Way::WebSocket => websocket::serve(head, wanted, run).await,
            Way::Spdy(version) => spdy::serve(head, version, wanted, clock, run).await,
        }
    }));
    Ok(response)
}

/// # Errors
/// 400 for no stream at all.
fn wanted(query: &Query) -> Outcome<Wanted> {
    let tty = query.flag("tty");
    let wanted = Wanted {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr") && !tty,
        tty,
    };
    if !(wanted.stdin || wanted.stdout || wanted.stderr) {
        return Err(Failure::bad_request("you must specify at least one of stdin, stdout, stderr"));
    }
    Ok(wanted)
}

/// How the streams travel.
#[derive(Debug, Clone, Copy)]
enum Way {
    WebSocket,
    Spdy(spdy::Version),
}

enum Upgrade {
    To(Way, Response<Body>),
    /// The client speaks SPDY, but of other streams.
    Refused(Box<Response<Body>>),
}

/// # Errors
/// 400 if the client asks for no upgrade, or one that is not known.
fn upgrade(headers: &HeaderMap) -> Outcome<Upgrade> {
    if let Some(handshake) = Handshake::of(headers, &websocket::PROTOCOLS) {
        return Ok(Upgrade::To(Way::WebSocket, handshake.response()));
    }
    if !spdy::is_asked_for(headers) {
        return Err(status::bad_request(
            "Upgrade request required: WebSocket with the subprotocol v5.channel.k8s.io or \
             v4.channel.k8s.io, or SPDY/3.1",
        )
        .into());
    }
    Ok(match spdy::negotiate(headers, &spdy::Version::ALL) {
        Ok((version, name)) => Upgrade::To(Way::Spdy(version), spdy::response(name)),
        Err(refusal) => Upgrade::Refused(refusal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_asked_for_by_name_and_a_terminal_has_no_stderr() {
        let of = |query: &str| wanted(&Query::parse(query));
        let expect = Wanted { stdin: true, stdout: true, stderr: false, tty: false };
        assert_eq!(of("stdin=true&stdout=1").ok(), Some(expect));
        let expect = Wanted { tty: true, ..expect };
        assert_eq!(of("stdin=true&stdout=true&stderr=true&tty=true").ok(), Some(expect));
        let refusal = |query: &str| of(query).unwrap_err().0.message.unwrap();
        assert!(refusal("").contains("at least one of stdin, stdout, stderr"));
    }
}
