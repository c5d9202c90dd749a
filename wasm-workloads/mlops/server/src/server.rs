//! The door to wasi:http.

use std::io::Write;
use std::sync::OnceLock;

use harbour::store::Store;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

use crate::{Served, answer};

wasip2::http::proxy::export!(Server);

struct Server;

/// Read once in an instance's life, which is as many requests as `sampan.dev/http-reuse` allows.
static LOADED: OnceLock<Served> = OnceLock::new();

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (status, body) = with_model(|served| answer(&target, served));
        let headers = Fields::new();
        let length = body.len().to_string().into_bytes();
        headers.append("content-length", &length).expect("a header");
        let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
        headers.append("content-type", kind.as_bytes()).expect("a header");
        let response = OutgoingResponse::new(headers);
        response.set_status_code(status).expect("a status");
        let sent = response.body().expect("the first time");
        ResponseOutparam::set(out, Ok(response));
        let mut stream = sent.write().expect("the first time");
        // The client may have gone.
        let _ = stream.write_all(body.as_bytes());
        drop(stream);
        let _ = OutgoingBody::finish(sent, None);
    }
}

/// A model that could not be loaded is tried again with the next request.
fn with_model<T>(then: impl FnOnce(&Served) -> T) -> T {
    if let Some(served) = LOADED.get() {
        return then(served);
    }
    let version = std::env::var("MODEL").unwrap_or_default();
    let model = Store::mounted().model(&version);
    if let Err(why) = &model {
        eprintln!("cannot load the model: {why}");
    }
    let served = Served { version, model };
    if served.model.is_ok() { then(LOADED.get_or_init(|| served)) } else { then(&served) }
}
