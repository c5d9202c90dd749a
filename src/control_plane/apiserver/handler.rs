//! One request from its head to its answer: who asks, may they, what do they ask for.

use http::{Request, Response};

use super::ApiServer;
use super::body::{Body, RequestBody};
use super::status;

impl ApiServer {
    /// Answers one request, whatever happens.
    pub(super) async fn handle(&self, request: Request<RequestBody>) -> Response<Body> {
        let _ = request;
        status::response(&crate::api::status::path_not_found().into())
    }
}
