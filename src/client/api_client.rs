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

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every request alike, whatever way it comes.
    #[derive(Clone)]
    struct Fixed(u16, &'static str);

    impl Transport for Fixed {
        fn send(&self, _: Request<Bytes>) -> BoxFuture<'static, Answer> {
            let answer = Response::builder().status(self.0).body(Bytes::from(self.1));
            Box::pin(std::future::ready(answer.map_err(Into::into)))
        }
    }

    /// What the short cut says, and what kube's own client says to the same.
    async fn both(answer: Fixed) -> [Result<serde_json::Value, Error>; 2] {
        let request = || Request::get("/").body(Vec::new()).unwrap();
        let fixed = answer.clone();
        let service = tower::service_fn(move |_: Request<kube::client::Body>| {
            let answer = fixed.send(Request::default());
            async move { answer.await.map(|answer| answer.map(http_body_util::Full::new)) }
        });
        let kube = Client::new(service, "default");
        let client = ApiClient::new(kube.clone(), Arc::new(answer));
        [client.ask(request()).await, kube.request(request()).await]
    }

    #[tokio::test]
    async fn the_short_cut_answers_as_kubes_client_does() {
        for found in both(Fixed(201, r#"{"a":1}"#)).await {
            assert_eq!(found.unwrap(), serde_json::json!({"a": 1}));
        }
        let conflict =
            r#"{"kind":"Status","status":"Failure","message":"m","reason":"Conflict","code":409}"#;
        for (answer, reason, message) in [
            (Fixed(409, conflict), "Conflict", "m"),
            (Fixed(503, " not now\n"), "Failed to parse error data", "not now"),
        ] {
            for found in both(answer.clone()).await {
                let Err(Error::Api(status)) = found else { panic!("{found:?}") };
                assert_eq!((&*status.reason, &*status.message), (reason, message));
                assert_eq!(status.code, answer.0);
            }
        }
        for found in both(Fixed(200, "no JSON")).await {
            assert!(matches!(found, Err(Error::SerdeError(_))), "{found:?}");
        }
    }
}
