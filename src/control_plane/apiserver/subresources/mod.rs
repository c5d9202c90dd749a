//! What hangs below an object: `pods/log`, `pods/status`, `namespaces/finalize` …, one file each.

mod binding;
mod ending;
mod eviction;
mod exec;
mod finalize;
mod log;
mod part;
mod pod;
mod port_forward;
mod reviews;
mod scale;
mod spdy;
mod token;
mod websocket;

use http::{Response, request};

pub(super) use reviews::run as review;

use super::body::Body;
use super::call::Call;
use super::status::Outcome;
use super::verbs::Part;
use crate::api::status::{method_not_supported, path_not_found};

/// Whether the answer is a stream of bytes rather than an object.
pub(super) fn is_stream(subresource: &str) -> bool {
    ["log", "exec", "attach", "portforward"].contains(&subresource)
}

pub(super) async fn run(call: Call, head: request::Parts) -> Outcome<Response<Body>> {
    let name = call.request.subresource.as_deref().unwrap_or_default();
    let known = call.resource.subresources().iter().find(|known| known.name == name);
    let Some(subresource) = known.filter(|_| call.request.name.is_some()) else {
        return Err(path_not_found().into());
    };
    if !subresource.verbs.contains(&call.request.verb) {
        return Err(method_not_supported(&call.group_resource(), call.request.verb).into());
    }
    match subresource.name {
        "attach" => exec::attach(call, head).await,
        "exec" => exec::exec(call, head).await,
        "log" => log::run(call).await,
        "portforward" => port_forward::run(call, head).await,
        "binding" => binding::run(call).await,
        "eviction" => eviction::run(call).await,
        "finalize" => finalize::run(call).await,
        "scale" => scale::run(call).await,
        "token" => token::run(call).await,
        "status" => part::run(call, Part::Status).await,
        name @ ("approval" | "ephemeralcontainers") => {
            part::run(call, Part::Subresource(name)).await
        }
        _ => Err(path_not_found().into()),
    }
}
