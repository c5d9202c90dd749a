//! PUT of a whole object.

use http::{Response, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::commit::{Part, modify};
use super::create;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render;
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::registry::AnyObject;

pub(super) async fn update(mut call: Call) -> Outcome<Response<Body>> {
    let dry = call.dry_run("UpdateOptions")?;
    let object = body(&mut call)?;
    if call.resource.creates_on_update()
        && object.metadata().resource_version.as_deref().unwrap_or_default().is_empty()
        && call.server.storage().get(&call.key()).await?.is_none()
    {
        call.server.require(&call.identity, &call.request.attributes("create"))?;
        let shown = create::insert(&mut call, object, dry).await?;
        return render::object(&call, StatusCode::CREATED, &shown);
    }
    replace(call, Part::Object, object, dry).await
}

/// PUT of a subresource that is a part of the object.
pub(crate) async fn update_part(mut call: Call, part: Part) -> Outcome<Response<Body>> {
    let dry = call.dry_run("UpdateOptions")?;
    let object = body(&mut call)?;
    replace(call, part, object, dry).await
}

async fn replace(
    mut call: Call,
    part: Part,
    object: Box<dyn AnyObject>,
    dry: bool,
) -> Outcome<Response<Body>> {
    let decoding = std::mem::take(&mut call.warnings);
    let propose = |_: &mut Call, _: &_, _: &_| Ok(object.cloned());
    let shown = modify(&mut call, part, dry, propose).await?;
    call.warnings.splice(..0, decoding);
    render::object(&call, StatusCode::OK, &shown)
}

/// The object in the body, which must be the one in the path.
fn body(call: &mut Call) -> Outcome<Box<dyn AnyObject>> {
    let mut object = decode::object(call, "UpdateOptions")?;
    check_place(call, object.metadata_mut())?;
    Ok(object)
}

/// The path names the object; what the object says of itself must be the same.
pub(super) fn check_place(call: &Call, meta: &mut ObjectMeta) -> Outcome<()> {
    create::place_in_namespace(call, meta)?;
    match meta.name.as_deref().unwrap_or_default() {
        "" => Err(Failure::bad_request("name must be provided")),
        name if name != call.name() => Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        ))),
        _ => Ok(()),
    }
}
