//! A client of few words: one TLS connection, HTTP/2, requests and watched lines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// No single answer takes longer, unless something hangs.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Go's HTTP/2 client, which is kubectl's, offers as much.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// Where the server is and how to be let in.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Access {
    /// `server` is a URL of an address and a port; the rest is PEM.
    pub(crate) fn new(server: &str, ca: &[u8], chain: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let address = server.strip_prefix("https://").context("the server's URL is not https")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate?)?;
        }
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key)?)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { address: address.parse()?, tls: Arc::new(tls) })
    }
}

/// One connection; closed when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    _driver: AbortOnDropHandle<hyper::Result<()>>,
}

impl Connection {
    pub(crate) async fn open(access: &Access) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(access.address).await.context("connect")?;
        tcp.set_nodelay(true)?;
        let name = ServerName::IpAddress(access.address.ip().into());
        let tls = TlsConnector::from(Arc::clone(&access.tls)).connect(name, tcp).await?;
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(tls))
            .await?;
        let driver = AbortOnDropHandle::new(TaskTracker::new().spawn(driver));
        Ok(Self { sender, authority: access.address.to_string(), _driver: driver })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        self.send(Method::GET, path, "", Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, json: Bytes) -> anyhow::Result<Bytes> {
        self.send(Method::POST, path, "application/json", json).await
    }

    pub(crate) async fn patch(&self, path: &str, merge: Bytes) -> anyhow::Result<Bytes> {
        self.send(Method::PATCH, path, "application/merge-patch+json", merge).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Bytes> {
        self.send(Method::DELETE, path, "", Bytes::new()).await
    }

    /// The body of the answer; any code but 200, 201 and 202 is an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let answer = async {
            let body = self.open_stream(method, path, content_type, body).await?;
            Ok(body.collect().await?.to_bytes())
        };
        tokio::time::timeout(REQUEST_TIMEOUT, answer).await.context("no answer in time")?
    }

    async fn open_stream(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Incoming> {
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("https://{}{path}", self.authority))
            .header(http::header::ACCEPT, "application/json");
        if !content_type.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let answer = self.sender.clone().send_request(request.body(Full::new(body))?).await?;
        let code = answer.status();
        if !matches!(code, StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED) {
            let text = answer.into_body().collect().await?.to_bytes();
            bail!("{method} {path}: {code}: {}", message(&text));
        }
        Ok(answer.into_body())
    }

    /// Watches a collection from `revision` on.
    pub(crate) async fn watch(&self, collection: &str, revision: &str) -> anyhow::Result<Watch> {
        let join = if collection.contains('?') { '&' } else { '?' };
        let path = format!("{collection}{join}watch=true&resourceVersion={revision}");
        let body = self.open_stream(Method::GET, &path, "", Bytes::new());
        let body =
            tokio::time::timeout(REQUEST_TIMEOUT, body).await.context("no watch in time")??;
        Ok(Watch { body, pending: BytesMut::new() })
    }
}

/// A watch; ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    body: Incoming,
    /// What has been read of the next line.
    pending: BytesMut,
}

impl Watch {
    /// The next event as it came, one line of JSON.
    pub(crate) async fn line(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                return Ok(self.pending.split_to(end + 1).freeze());
            }
            let frame = self.body.frame().await.context("the watch ended")??;
            if let Ok(data) = frame.into_data() {
                self.pending.extend_from_slice(&data);
            }
        }
    }
}

/// What a Status says, or the start of whatever came instead.
fn message(body: &[u8]) -> String {
    let status: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    status["message"].as_str().map_or_else(text, str::to_owned)
}
