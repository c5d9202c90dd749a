//! Another server's answer, passed on as it comes.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingRequest, IncomingResponse,
    OutgoingBody, OutgoingRequest, RequestOptions, ResponseOutparam, Scheme,
};
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{PIECE_BYTES, begin, splice};
use crate::serve::{Answer, Body, Forward, Visit};

/// Of one connection, so not passed on; the length is kept.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An answer whose body is still to come.
pub(super) struct Upstream {
    response: IncomingResponse,
    redirect: Option<(String, String)>,
}

/// Asks; answers the status to give if nothing came back.
pub(super) fn send(
    incoming: IncomingRequest,
    forward: &Forward,
    visit: &mut Visit<'_>,
) -> Result<Upstream, u16> {
    let Some((future, body)) = request(&incoming, forward).and_then(|(request, options)| {
        let body = request.body().ok()?;
        Some((outgoing_handler::handle(request, Some(options)), body))
    }) else {
        visit.log(format!("invalid request for upstream: \"{}\"", forward.url()));
        return Err(500);
    };
    let answered = future.map(|future| {
        let bounded = pump(&incoming, body, &future, forward.body_bytes_max);
        (future, bounded)
    });
    let response = match answered {
        Ok((_, Err(TooLarge))) => {
            visit.log("client intended to send too large chunked body".to_owned());
            return Err(413);
        }
        Ok((future, Ok(()))) => wait(&future),
        Err(error) => Err(error),
    };
    match response {
        Ok(response) => Ok(Upstream { response, redirect: forward.redirect.clone() }),
        Err(error) => {
            let (status, what) = failure(&error);
            visit.log(format!(
                "{what} while reading response header from upstream, upstream: \"{}\"",
                forward.url()
            ));
            Err(status)
        }
    }
}

fn request(
    incoming: &IncomingRequest,
    forward: &Forward,
) -> Option<(OutgoingRequest, RequestOptions)> {
    let fields = Fields::new();
    for (name, value) in &forward.headers {
        let _ = fields.append(name, value);
    }
    // Runtimes other than sampan may keep this field to themselves: then it is the authority.
    let _ = fields.append("host", forward.host.as_bytes());
    let request = OutgoingRequest::new(fields);
    request.set_method(&incoming.method()).ok()?;
    let scheme = if forward.tls { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).ok()?;
    request.set_authority(Some(&forward.authority)).ok()?;
    request.set_path_with_query(Some(&forward.target)).ok()?;
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(Some(forward.connect_ms.saturating_mul(1_000_000)));
    let _ = options.set_first_byte_timeout(Some(forward.read_ms.saturating_mul(1_000_000)));
    let _ = options.set_between_bytes_timeout(Some(forward.read_ms.saturating_mul(1_000_000)));
    Some((request, options))
}

struct TooLarge;

/// Sends the client's body, as it comes, until its end or until the answer is there.
fn pump(
    incoming: &IncomingRequest,
    body: OutgoingBody,
    answer: &FutureIncomingResponse,
    bytes_max: u64,
) -> Result<(), TooLarge> {
    let streams = incoming.consume().ok().and_then(|from| Some((from.stream().ok()?, from)));
    let mut whole = true;
    if let (Some((from, _body)), Ok(to)) = (&streams, body.write()) {
        let mut bytes = 0;
        whole = loop {
            match step(from, &to, answer) {
                Moved::Bytes(moved) => bytes += moved,
                Moved::End => break true,
                Moved::Stop => break false,
            }
            if bytes_max != 0 && bytes > bytes_max {
                return Err(TooLarge);
            }
        };
    }
    if whole {
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(())
}

enum Moved {
    Bytes(u64),
    End,
    /// The other server answers already, or does not read.
    Stop,
}

fn step(from: &InputStream, to: &OutputStream, answer: &FutureIncomingResponse) -> Moved {
    match to.check_write() {
        Ok(0) => {
            let ready = poll(&[&to.subscribe(), &answer.subscribe()]);
            if ready == [1] { Moved::Stop } else { Moved::Bytes(0) }
        }
        Ok(room) => match to.splice(from, room.min(PIECE_BYTES as u64)) {
            Ok(0) => {
                let ready = poll(&[&from.subscribe(), &answer.subscribe()]);
                if ready == [1] { Moved::Stop } else { Moved::Bytes(0) }
            }
            Ok(moved) => Moved::Bytes(moved),
            Err(StreamError::Closed) => Moved::End,
            Err(StreamError::LastOperationFailed(_)) => Moved::Stop,
        },
        Err(_) => Moved::Stop,
    }
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    loop {
        match future.get() {
            Some(Ok(answer)) => return answer,
            Some(Err(())) => return Err(ErrorCode::InternalError(None)),
            None => future.subscribe().block(),
        }
    }
}

/// The status for a failure, and its words.
fn failure(error: &ErrorCode) -> (u16, String) {
    let what = match error {
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => {
            return (504, "upstream timed out (110: Connection timed out)".to_owned());
        }
        ErrorCode::ConnectionRefused => "connect() failed (111: Connection refused)".to_owned(),
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => {
            "connect() failed (113: No route to host)".to_owned()
        }
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout | ErrorCode::DestinationNotFound => {
            "host not found".to_owned()
        }
        ErrorCode::ConnectionTerminated => "upstream prematurely closed connection".to_owned(),
        other => format!("upstream failed ({other:?})"),
    };
    (502, what)
}

impl Upstream {
    /// Sends it to the client.
    pub(super) fn pass_on(self, visit: &mut Visit<'_>, out: ResponseOutparam) {
        let mut answer =
            Answer { status: self.response.status(), headers: Vec::new(), body: Body::None };
        for (name, value) in self.response.headers().entries() {
            let name = name.to_ascii_lowercase();
            if HOP_BY_HOP.contains(&name.as_str()) || name == "server" {
                continue;
            }
            let value = String::from_utf8_lossy(&value).into_owned();
            let value = if name == "location" { self.redirected(value) } else { value };
            answer.headers.push((name, value));
        }
        answer.headers.push(("server".to_owned(), "nginx".to_owned()));
        visit.add_headers(&mut answer);
        let Some((body, stream)) = begin(&answer, out) else { return };
        let Ok(from) = self.response.consume() else { return };
        let moved = from.stream().map_err(drop).and_then(|from| splice(&stream, &from, u64::MAX));
        drop(stream);
        if let Ok(bytes) = moved {
            visit.body_bytes = bytes;
            drop(IncomingBody::finish(from));
            let _ = OutgoingBody::finish(body, None);
        }
    }

    fn redirected(&self, to: String) -> String {
        match &self.redirect {
            Some((from, prefix)) => match to.strip_prefix(from.as_str()) {
                Some(rest) => format!("{prefix}{rest}"),
                None => to,
            },
            None => to,
        }
    }
}
