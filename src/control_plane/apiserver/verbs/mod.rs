//! What can be done with objects, the same for every kind: one file per verb.
//!
//! Enter by [`run`]. `commit` is the road all writes take.

mod commit;
mod create;
mod delete;
mod delete_collection;
mod delete_options;
mod get;
mod list;
mod list_options;
mod measured;
mod patch;
mod propagation;
mod update;
mod watch;

use http::Response;

pub(crate) use commit::{Part, modify};
pub(crate) use create::place_in_namespace;
pub(crate) use delete::remove;
pub(crate) use get::{get, stored};
pub(crate) use patch::{Patch, patch};
pub(crate) use update::update_part;

use super::body::Body;
use super::call::Call;
use super::status::Outcome;
use super::subresources;
use crate::api::status;

/// Answers a request that is about objects or collections themselves, not a subresource.
pub(crate) async fn run(call: Call) -> Outcome<Response<Body>> {
    let named = call.request.name.is_some();
    match (call.request.verb, named) {
        (verb, _) if !call.resource.verbs().contains(&verb) => {
            Err(status::method_not_supported(&call.group_resource(), verb).into())
        }
        ("create", false) if !call.resource.is_stored() => subresources::review(call).await,
        ("get", true) if call.resource.is_measured() => measured::get(call).await,
        ("list", false) if call.resource.is_measured() => measured::list(call).await,
        ("create", false) => create::create(call).await,
        ("get", true) => get(&call).await,
        ("list", false) => list::list(&call).await,
        ("watch", _) => watch::watch(call).await,
        ("patch", true) => patch(call, Part::Object).await,
        ("update", true) => update::update(call).await,
        ("delete", true) => delete::delete(call).await,
        ("deletecollection", false) => delete_collection::delete_collection(call).await,
        (verb, _) => Err(status::method_not_supported(&call.group_resource(), verb).into()),
    }
}
