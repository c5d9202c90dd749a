//! Guests' own requests: wasi:http/outgoing-handler over the Pod's network, so that names, Services,
//! policy and egress are what they are for its sockets. One client for all processes of a container.
//!
//! ```text
//! send_request ─ an idle connection to the same place ───────────────────┐
//!              └ resolve -> connect -> (TLS, by the host's trust) -> HTTP/1.1 ─> response
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::super::super::container::Shared;
use super::super::super::patience::Patience;
use super::errors;
use crate::client::clock::Clock;
use crate::node::network::PodNetwork;

/// Time-outs of who does not set them: to connect (with TLS), to the first byte, between bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(600);
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(600);
/// Bound: bytes and fields of a response's head.
const HEAD_BYTES_MAX: usize = 128 * 1024;
const HEAD_FIELDS_MAX: usize = 128;
/// Bound: connections of a container that wait for their next request; a place has its share.
const IDLE_MAX: usize = 64;
const IDLE_PER_PLACE_MAX: usize = 16;
/// A connection without a request for so long is closed: before most servers do, and soon enough
/// for a Pod that drains.
const IDLE_TIME: Duration = Duration::from_secs(4);

/// What a container's guests send their requests with.
#[derive(Debug)]
pub(in super::super::super) struct Client {
    network: Option<PodNetwork>,
    clock: Clock,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    by_place: HashMap<Place, Vec<Resting>>,
    count: usize,
    /// Somebody is going to close those that are old.
    watched: bool,
}

#[derive(Debug)]
struct Resting {
    sender: Sender,
    since: Duration,
}

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    is_tls: bool,
    host: String,
    port: u16,
}

type Sender = http1::SendRequest<WasiBody>;

/// One process's way to its container's client.
#[derive(Debug)]
pub(in super::super::super) struct Requests {
    container: Weak<Shared>,
    /// Whether guests read and write the field `Host`. What they ask others may name another host
    /// than the one it is sent to, as a reverse proxy's must; whom they were asked for themselves is
    /// told by the request's authority only.
    pub(in super::super::super) names_hosts: bool,
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Io), Error>;

impl Requests {
    pub(in super::super::super) fn new(container: &Arc<Shared>) -> Self {
        Self { container: Arc::downgrade(container), names_hosts: true }
    }
}

impl WasiHttpHooks for Requests {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name) && !(self.names_hosts && *name == header::HOST)
    }

    /// [`Client::send`] does, for those that do not say it themselves.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let container = self.container.clone();
        Box::new(async move {
            let container = container.upgrade().ok_or(Error::ConnectionTerminated)?;
            let options = options.unwrap_or_default();
            let response = container.client.send(&container, request, options).await?;
            let io: Io = Box::new(async { Ok(()) });
            Ok((response.map(BodyExt::boxed_unsync), io))
        })
    }
}

impl Client {
    pub(in super::super::super) fn new(network: Option<PodNetwork>, clock: Clock) -> Self {
        Self { network, clock, idle: Mutex::default() }
    }

    async fn send(
        &self,
        container: &Arc<Shared>,
        mut request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<Answer>, Error> {
        let place = Place::of(request.uri())?;
        name_host(&mut request)?;
        make_relative(&mut request)?;
        let first_byte = options.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT);
        let (response, sender) = loop {
            let (mut sender, is_new) = match self.take(&place) {
                Some(sender) => (sender, false),
                None => (self.open(container, &place, options.connect_timeout).await?, true),
            };
            let sent = tokio::select! {
                sent = sender.try_send_request(request) => sent,
                () = self.clock.sleep(first_byte) => return Err(Error::ConnectionReadTimeout),
            };
            match sent {
                Ok(response) => break (response, sender),
                Err(mut error) => match error.take_message() {
                    // Its other side has left it in the meantime, and has seen nothing of this.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(errors::of_hyper(&error.into_error())),
                },
            }
        };
        let between_bytes = options.between_bytes_timeout.unwrap_or(BETWEEN_BYTES_TIMEOUT);
        Ok(response.map(|body| Answer {
            body,
            back: Some((sender, place, container.clone())),
            patience: Patience::new(self.clock.clone(), between_bytes),
        }))
    }

    async fn open(
        &self,
        container: &Arc<Shared>,
        place: &Place,
        timeout: Option<Duration>,
    ) -> Result<Sender, Error> {
        let network = self.network.as_ref().ok_or(Error::DestinationUnavailable)?;
        let open = async {
            let stream = connect(network, place).await?;
            if !place.is_tls {
                return speak(container, stream).await;
            }
            let name = ServerName::try_from(place.host.clone());
            let name = name.map_err(|_| Error::HttpRequestUriInvalid)?;
            let stream = tls().await?.connect(name, stream).await;
            speak(container, stream.map_err(|error| errors::of_tls(&error))?).await
        };
        tokio::select! {
            opened = open => opened,
            () = self.clock.sleep(timeout.unwrap_or(CONNECT_TIMEOUT)) => Err(Error::ConnectionTimeout),
        }
    }

    /// The connection to this place that was used last.
    fn take(&self, place: &Place) -> Option<Sender> {
        let mut idle = self.idle.lock();
        loop {
            let resting = idle.by_place.get_mut(place)?.pop()?;
            idle.count -= 1;
            if resting.sender.is_ready() {
                return Some(resting.sender);
            }
        }
    }

    fn give_back(&self, container: &Arc<Shared>, place: Place, sender: Sender) {
        let mut idle = self.idle.lock();
        if idle.count >= IDLE_MAX {
            return;
        }
        let there = idle.by_place.entry(place).or_default();
        if there.len() >= IDLE_PER_PLACE_MAX {
            return;
        }
        there.push(Resting { sender, since: self.clock.monotonic() });
        idle.count += 1;
        if !std::mem::replace(&mut idle.watched, true) {
            let (watch, kill) =
                (watch(Arc::downgrade(container), self.clock.clone()), container.kill.clone());
            container.spawn_task(async move {
                tokio::select! {
                    () = kill.turned() => {}
                    () = watch => {}
                }
            });
        }
    }

    /// Closes those that are old; answers whether there are any left.
    fn close_old(&self) -> bool {
        let now = self.clock.monotonic();
        let mut idle = self.idle.lock();
        for there in idle.by_place.values_mut() {
            there.retain(|resting| resting.since + IDLE_TIME > now && !resting.sender.is_closed());
        }
        idle.by_place.retain(|_, there| !there.is_empty());
        idle.count = idle.by_place.values().map(Vec::len).sum();
        idle.watched = idle.count > 0;
        idle.watched
    }
}

async fn watch(container: Weak<Shared>, clock: Clock) {
    loop {
        clock.sleep(IDLE_TIME).await;
        let Some(container) = container.upgrade() else { return };
        if !container.client.close_old() {
            return;
        }
    }
}

impl Place {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(Error::HttpRequestUriInvalid);
        }
        Ok(Self { is_tls, host: host.to_ascii_lowercase(), port })
    }
}

/// The first one that the guest says, or whom it asks.
fn name_host(request: &mut Request<WasiBody>) -> Result<(), Error> {
    let asked = || {
        let authority = request.uri().authority().ok_or(Error::HttpRequestUriInvalid)?;
        HeaderValue::from_str(authority.as_str()).map_err(|_| Error::HttpRequestUriInvalid)
    };
    let host = match request.headers().get(header::HOST) {
        Some(host) => host.clone(),
        None => asked()?,
    };
    request.headers_mut().insert(header::HOST, host);
    Ok(())
}

/// Only proxies are sent the whole URI.
fn make_relative(request: &mut Request<WasiBody>) -> Result<(), Error> {
    let path = request.uri().path_and_query().cloned();
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(())
}

/// Tries the name's addresses in turn.
async fn connect(
    network: &PodNetwork,
    place: &Place,
) -> Result<crate::node::network::Stream, Error> {
    let addresses = network.resolve(&place.host).await.map_err(errors::of_name)?;
    let mut last = Error::DestinationNotFound;
    for address in addresses {
        match network.connect(None, SocketAddr::new(address, place.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = errors::of_network(error),
        }
    }
    Err(last)
}

/// Begins HTTP/1.1; the connection is kept going on the guests' threads.
async fn speak(
    container: &Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender, Error> {
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| errors::of_hyper(&error))?;
    let kill = container.kill.clone();
    container.spawn_task(async move {
        tokio::select! {
            () = kill.turned() => {}
            // Whoever waits for a response learns of the error.
            _ = connection => {}
        }
    });
    Ok(sender)
}

/// The host's own trust, looked up when it is first needed.
///
/// # Errors
/// [`Error::ConfigurationError`] if the host has none.
async fn tls() -> Result<TlsConnector, Error> {
    static TLS: OnceCell<TlsConnector> = OnceCell::const_new();
    let make = || async {
        let made = tokio::task::spawn_blocking(|| {
            use rustls_platform_verifier::BuilderVerifierExt;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_platform_verifier()?
                .with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok::<_, rustls::Error>(TlsConnector::from(Arc::new(config)))
        });
        match made.await {
            Ok(Ok(connector)) => Ok(connector),
            Ok(Err(error)) => {
                tracing::warn!(%error, "Guests' requests over https fail: no trusted certificates");
                Err(Error::ConfigurationError)
            }
            Err(_) => Err(Error::ConfigurationError),
        }
    };
    TLS.get_or_try_init(make).await.cloned()
}

/// A response's body; at its end the connection rests.
struct Answer {
    body: Incoming,
    back: Option<(Sender, Place, Arc<Shared>)>,
    patience: Patience,
}

impl Answer {
    fn rest(&mut self) {
        if let Some((sender, place, container)) = self.back.take() {
            container.client.give_back(&container, place, sender);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let Some(frame) = ready!(this.patience.poll(cx, frame)) else {
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        if frame.is_none() || this.body.is_end_stream() {
            this.rest();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| errors::of_hyper(&error))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that nobody needs to read, for there is none, has come whole.
impl Drop for Answer {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.rest();
        }
    }
}
