//! Connections: TCP with TLS, and in memory. One connection carries HTTP/1.1 or HTTP/2, by ALPN.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::ApiServer;
use super::authentication::Peer;
use super::body;
use crate::client::accept;
use crate::control_plane::auth::pki::Pki;

/// A client that does not finish its TLS handshake, or the head of its first HTTP/1 request, in
/// this time is cut off.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bound: clients that sit in their handshake; the next one waits in the kernel's backlog. Each
/// costs a socket and about 40 KiB for at most [`HANDSHAKE_TIMEOUT`].
const HANDSHAKES_MAX: usize = 512;

/// Bound: requests at once on one HTTP/2 connection; kube-apiserver's default.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;

/// How often an idle HTTP/2 client must prove that it is there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// The certificates or the key do not fit.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read a certificate or key: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("set up TLS")]
    Rustls(#[from] rustls::Error),
    #[error("set up the checking of client certificates")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

/// How the server proves itself, and that client certificates of the same CA are believed.
pub(super) fn acceptor(pki: &Pki) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(pki.ca_pem.as_bytes()) {
        roots.add(ca?)?;
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
    let chain = CertificateDer::pem_slice_iter(pki.serving.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(pki.serving.key_pem.as_bytes())?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts TCP connections until shutdown.
pub(super) async fn accept(server: ApiServer, listener: TcpListener, tls: TlsAcceptor) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "Listening");
    }
    let clock = server.clock().clone();
    let connections = stream::unfold(listener, |listener| async {
        let (tcp, _) = accept::accept(&listener, &clock).await;
        // Answers are written whole; waiting to fill packets only costs time. A socket that refuses
        // is as good.
        let _ = tcp.set_nodelay(true);
        Some((tcp, listener))
    });
    serve_all(server, connections, tls).await;
}

/// Serves each connection that `connections` yields, until there is none any more or shutdown.
pub(super) async fn serve_all<S>(
    server: ApiServer,
    connections: impl Stream<Item = S>,
    tls: TlsAcceptor,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let stopping = server.stopping().clone();
    let mut connections = pin!(connections);
    let serving = async {
        loop {
            let permit = Arc::clone(&handshakes).acquire_owned().await;
            let Some(stream) = connections.next().await else { return };
            let (server, tls) = (server.clone(), tls.clone());
            server.tracker().clone().spawn(async move {
                let handshake = handshake(&server, stream, tls).await;
                drop(permit);
                match handshake {
                    Ok((stream, peer, protocol)) => serve(server, stream, peer, protocol).await,
                    Err(err) => debug!(%err, "TLS handshake failed"),
                }
            });
        }
    };
    stopping.run_until_cancelled(serving).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

async fn handshake<S>(
    server: &ApiServer,
    stream: S,
    tls: TlsAcceptor,
) -> io::Result<(TlsStream<S>, Peer, Protocol)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = tokio::select! {
        stream = tls.accept(stream) => stream?,
        () = server.clock().sleep(HANDSHAKE_TIMEOUT) => return Err(io::ErrorKind::TimedOut.into()),
    };
    let (_, session) = stream.get_ref();
    let peer = server.peer(session.peer_certificates().and_then(<[_]>::first));
    let http2 = session.alpn_protocol() == Some(b"h2");
    Ok((stream, peer, if http2 { Protocol::Http2 } else { Protocol::Http1 }))
}

/// Serves one connection until it ends; on shutdown open requests finish first.
pub(super) async fn serve<S>(server: ApiServer, stream: S, peer: Peer, protocol: Protocol)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let executor = Tracked(server.tracker().clone());
    let stopping = server.stopping().clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let server = server.clone();
        let request = request.map(|body| body.map_err(body::boxed).boxed_unsync());
        async move { Ok::<_, std::convert::Infallible>(server.handle(request).await) }
    });
    let stream = TokioIo::new(stream);
    let ended = match protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HANDSHAKE_TIMEOUT)
                .serve_connection(stream, service)
                .with_upgrades();
            let mut connection = pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(executor)
                .timer(TokioTimer::new())
                .keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
                .serve_connection(stream, service);
            let mut connection = pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(err) = ended {
        debug!(%err, "Connection failed");
    }
}

/// Lets hyper's own tasks (one per HTTP/2 stream) be waited for.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
