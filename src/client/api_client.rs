//! A component's way to the API server.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use kube::core::Status;
use kube::{Client, Error};
use serde::de::DeserializeOwned;
use tower::BoxError;

/// Carries one request to the API server, and its whole answer back.
pub trait Transport: Send + Sync {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Answer>;
}

/// The API server's, whatever its status; or why there is none.
pub type Answer = Result<Response<Bytes>, BoxError>;

/// kube's `Client`, and a short cut for what a component does with every Pod. kube's hands each request
/// to a task of its own and waits until that has taken it: two wake-ups, of which each may be one of
/// another core, for a request that is answered in the same process. Cheap to clone.
#[derive(Clone)]
pub struct ApiClient {
    kube: Client,
    transport: Arc<dyn Transport>,
}

impl ApiClient {
    pub fn new(kube: Client, transport: Arc<dyn Transport>) -> Self {
        Self { kube, transport }
    }

    /// For [`kube::Api`].
    pub fn kube(&self) -> Client {
        self.kube.clone()
    }

    /// Sends a request and decodes the answer: the short cut for [`Client::request`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<T, Error> {
        let answer = self.transport.send(request.map(Bytes::from)).await.map_err(Error::Service)?;
        let (code, bytes) = (answer.status(), answer.body());
        if code.is_success() {
            return serde_json::from_slice(bytes).map_err(Error::SerdeError);
        }
        let status = serde_json::from_slice::<Status>(bytes).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(bytes);
            Status::failure(text.trim(), "Failed to parse error data").with_code(code.as_u16())
        });
        Err(Error::Api(status.boxed()))
    }
}

impl Deref for ApiClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.kube
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient").finish_non_exhaustive()
    }
}
