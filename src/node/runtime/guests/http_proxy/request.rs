//! One request: an instance is found or made and called, in the connection's own task, so that what
//! it says goes out without a detour. What it does after its answer goes on in a task of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::Server;
use super::instances::{Answer, Instance, Taken};
use crate::client::clock::Clock;
use crate::node::runtime::limits::OutOfMemory;
use crate::node::runtime::metered::Metered;
use crate::node::runtime::patience::Patience;
use crate::node::runtime::wasi::Ends;

/// Bound: bytes of one request's body; more is 413.
const BODY_BYTES_MAX: u64 = 4 << 30;
/// A client that sends nothing of a body it has promised for so long has gone.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an instance may compute for a request whose answer is out, or whose client has gone.
const AFTERWARDS_MAX: Duration = Duration::from_secs(60);

/// A call of an instance, which it gives back.
type Call = Metered<Result<Option<Instance>, Failed>>;

/// It trapped, or never ran, which was said.
struct Failed;

/// How far a request has come.
enum Progress {
    Answered(Answer, Option<Call>),
    Unanswered,
    Failed,
}

/// Answers a request that came over a connection between these two.
pub(super) async fn answer(
    server: &Arc<Server>,
    ends: Ends,
    request: Request<Incoming>,
) -> Response<Download> {
    let clock = &server.start.container.runtime.clock;
    let since = clock.monotonic();
    let response = serve(server, ends, request).await;
    let took = clock.monotonic().saturating_sub(since);
    server.requests.answered(response.status().as_u16(), took);
    server.start.container.answered_request();
    response
}

async fn serve(server: &Arc<Server>, ends: Ends, request: Request<Incoming>) -> Response<Download> {
    let request = match acceptable(request, &ends) {
        Ok(request) => request,
        Err(status) => return Download::plain(status),
    };
    let container = &server.start.container;
    container.cpu.available(&container.runtime.clock).await;
    let Some(taken) = server.instances.take(&server.start) else {
        server.overloaded().await;
        return Download::plain(StatusCode::SERVICE_UNAVAILABLE);
    };
    let (answer_tx, answer_rx) = oneshot::channel();
    let line = (request.method().clone(), request.uri().clone());
    let call = call(server, taken, ends, request, answer_tx);
    let (answer, rest) = match progress(server, call, answer_rx).await {
        Progress::Answered(answer, call) => (answer, call.map(|call| Rest::new(server, call))),
        Progress::Unanswered => {
            server.say_of(&line, "the guest ended without an answer").await;
            return Download::plain(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Progress::Failed => return Download::plain(StatusCode::INTERNAL_SERVER_ERROR),
    };
    match answer {
        Ok(response) => response.map(|content| Download { content, rest, failed: false }),
        Err(code) => {
            server.say_of(&line, &format!("the guest answered with an error: {code}")).await;
            Download::plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// # Errors
/// What to answer in the guest's stead.
fn acceptable(
    mut request: Request<Incoming>,
    ends: &Ends,
) -> Result<Request<Incoming>, StatusCode> {
    if request.uri().authority().is_none() && !request.headers().contains_key(header::HOST) {
        if request.version() > Version::HTTP_10 {
            return Err(StatusCode::BAD_REQUEST);
        }
        // Before 1.1 there was no Host.
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(http::uri::Scheme::HTTP);
        uri.authority = ends.server.to_string().parse().ok();
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| StatusCode::BAD_REQUEST)?;
    }
    if request.body().size_hint().lower() > BODY_BYTES_MAX {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(request)
}

fn call(
    server: &Arc<Server>,
    taken: Taken,
    ends: Ends,
    request: Request<Incoming>,
    answer_tx: oneshot::Sender<Answer>,
) -> Call {
    let meter = match &taken {
        Taken::Idle(instance) => instance.meter.clone(),
        Taken::New(_, meter) => meter.clone(),
    };
    meter.asked();
    let machine = server.start.container.machine.clone();
    let server = server.clone();
    let run = async move {
        let line = (request.method().clone(), request.uri().clone());
        let clock = server.start.container.runtime.clock.clone();
        let request = request.map(|body| Upload::new(body, clock));
        let made = match taken {
            Taken::Idle(instance) => Ok(*instance),
            Taken::New(place, meter) => server.instances.make(&server.start, place, meter).await,
        };
        let ended = match made {
            Ok(mut instance) => instance.handle(ends, request, answer_tx).await.map(|()| instance),
            Err(error) => Err(error),
        };
        match ended {
            Ok(instance) => Ok(Some(instance)),
            Err(error) if matches!(error.downcast_ref(), Some(I32Exit(0))) => Ok(None),
            Err(error) => {
                // Out of memory, the whole container ends, and says so.
                if error.downcast_ref::<OutOfMemory>().is_none() {
                    server.say_of(&line, &failure(&error)).await;
                }
                Err(Failed)
            }
        }
    };
    Metered::new(run, machine, meter)
}

/// What the log is to say of a call that failed.
fn failure(error: &wasmtime::Error) -> String {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("the guest exited with {code}");
    }
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => format!("could not run: {error:#}"),
    }
}

/// Runs the call until it has answered and waits for something.
async fn progress(
    server: &Server,
    mut call: Call,
    mut answer_rx: oneshot::Receiver<Answer>,
) -> Progress {
    let (mut early, mut is_refused) = (None, false);
    let ended = std::future::poll_fn(|cx| match Pin::new(&mut call).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => {
            early = if is_refused {
                None
            } else if call.is_away() {
                match Pin::new(&mut answer_rx).poll(cx) {
                    Poll::Ready(answer) => {
                        is_refused = answer.is_err();
                        answer.ok()
                    }
                    Poll::Pending => None,
                }
            } else {
                // It is the call that answers, so nobody else wakes us for it.
                answer_rx.try_recv().ok()
            };
            if early.is_some() { Poll::Ready(None) } else { Poll::Pending }
        }
    });
    let Some(ended) = ended.await else {
        return early.map_or(Progress::Failed, |answer| Progress::Answered(answer, Some(call)));
    };
    match (ended, answer_rx.try_recv()) {
        (Err(Failed), _) => Progress::Failed,
        // An instance that did not answer is not asked again.
        (Ok(_), Err(_)) => Progress::Unanswered,
        (Ok(instance), Ok(answer)) => {
            // Before somebody else has the instance.
            drop(call);
            server.give_back(instance);
            Progress::Answered(answer, None)
        }
    }
}

/// A request's body, bounded in size and in patience.
pub(super) struct Upload {
    body: Incoming,
    bytes_left: u64,
    patience: Patience,
}

impl Upload {
    fn new(body: Incoming, clock: Clock) -> Self {
        Self { body, bytes_left: BODY_BYTES_MAX, patience: Patience::new(clock, BODY_TIMEOUT) }
    }
}

impl Body for Upload {
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
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            match this.bytes_left.checked_sub(bytes.len() as u64) {
                Some(left) => this.bytes_left = left,
                None => {
                    let error = Error::HttpRequestBodySize(Some(BODY_BYTES_MAX));
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body, and the call that makes it.
pub(super) struct Download {
    content: HyperOutgoingBody,
    rest: Option<Rest>,
    /// What there is of it is not all: the client must learn that.
    failed: bool,
}

/// A call that goes on after its answer.
struct Rest {
    server: Arc<Server>,
    call: Option<Call>,
}

impl Download {
    /// The host's own answer, as short as servers' usually are.
    fn plain(status: StatusCode) -> Response<Self> {
        let text =
            format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
        let content = Full::from(text).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(Self { content, rest: None, failed: false });
        *response.status_mut() = status;
        let text = header::HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response
    }
}

impl Rest {
    fn new(server: &Arc<Server>, call: Call) -> Self {
        Self { server: server.clone(), call: Some(call) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let Some(call) = &mut self.call else { return Poll::Ready(Ok(())) };
        Pin::new(call).poll(cx).map(|ended| {
            self.call = None;
            ended.map(|instance| self.server.give_back(instance))
        })
    }
}

/// The connection has no more use for the call; it may still have something to do.
impl Drop for Rest {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        let server = self.server.clone();
        self.server.spawn(async move {
            tokio::select! {
                ended = call => server.give_back(ended.unwrap_or(None)),
                () = server.start.container.runtime.clock.sleep(AFTERWARDS_MAX) => {}
            }
        });
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(rest) = &mut this.rest
            && let Poll::Ready(ended) = rest.poll(cx)
        {
            this.rest = None;
            this.failed = ended.is_err();
        }
        match Pin::new(&mut this.content).poll_frame(cx) {
            Poll::Ready(None) if this.failed => {
                Poll::Ready(Some(Err(Error::HttpResponseIncomplete)))
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && !self.failed && self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Server {
    fn give_back(&self, instance: Option<Instance>) {
        if let Some(instance) = instance {
            self.instances.give_back(instance, &self.start.container.runtime.clock);
        }
    }

    async fn say_of(&self, (method, uri): &(Method, Uri), what: &str) {
        self.start.say(&format!("{method} {}: {what}", uri.path())).await;
    }

    /// Says it once a second at most.
    async fn overloaded(&self) {
        let now = self.start.container.runtime.clock.monotonic();
        if self.instances.may_complain(now) {
            self.start.say("too many requests at once: answered with 503").await;
        }
    }
}
