//! How a DELETE shall go: body or query.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::object::GroupKind;
use crate::api::protobuf::Defaults;
use crate::api::status;
use crate::control_plane::apiserver::call::{self, Call};
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::status::{Failure, Outcome};

/// Reads the options and whether it is a rehearsal. A body wins over the query, as upstream's does.
///
/// # Errors
/// 400 for a body that is none, 422 for options that make no sense.
pub(super) fn read(call: &Call) -> Outcome<(DeleteOptions, bool)> {
    let options = if call.body.is_empty() { from_query(call)? } else { from_body(call)? };
    check(&options)?;
    let dry = options.dry_run.iter().flatten().map(String::as_str);
    let dry = call::dry_run(dry, "DeleteOptions")?;
    Ok((options, dry))
}

fn from_query(call: &Call) -> Outcome<DeleteOptions> {
    Ok(DeleteOptions {
        grace_period_seconds: call
            .query
            .number("gracePeriodSeconds")
            .map_err(Failure::bad_request)?,
        propagation_policy: call.query.text("propagationPolicy").map(str::to_owned),
        dry_run: Some(call.query.all("dryRun").map(str::to_owned).collect()),
        ..DeleteOptions::default()
    })
}

fn from_body(call: &Call) -> Outcome<DeleteOptions> {
    let expected = Defaults { group: "", version: "v1", kind: "DeleteOptions" };
    let mut value = decode::document(&call.headers, &call.body, expected)?.value;
    if let Some(object) = value.as_object_mut() {
        // Clients send it in their kind's group and version; it is the same everywhere.
        object.insert("apiVersion".to_owned(), Value::from("v1"));
        object.insert("kind".to_owned(), Value::from("DeleteOptions"));
    }
    serde_json::from_value(value)
        .map_err(|err| Failure::bad_request(format!("cannot be handled as DeleteOptions: {err}")))
}

/// Upstream: `ValidateDeleteOptions` in `apimachinery/pkg/apis/meta/v1/validation/validation.go`.
fn check(options: &DeleteOptions) -> Outcome<()> {
    const POLICIES: &[&str] = &["Foreground", "Background", "Orphan"];
    let mut faults = Vec::new();
    if let Some(policy) = options.propagation_policy.as_deref() {
        let path = Path::new("propagationPolicy");
        if options.orphan_dependents.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            faults.push(FieldError::invalid(path, policy, detail));
        } else if !POLICIES.contains(&policy) {
            faults.push(FieldError::not_supported(path, policy, POLICIES));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(status::invalid(&GroupKind::new("meta.k8s.io", "DeleteOptions"), "", &faults).into())
}

/// The client may say which object, and which state of it, it means.
///
/// # Errors
/// 409 if it is not that one.
pub(super) fn check_preconditions(
    call: &Call,
    options: &DeleteOptions,
    meta: &ObjectMeta,
) -> Outcome<()> {
    let Some(conditions) = &options.preconditions else { return Ok(()) };
    let found = |field: &Option<String>| field.clone().unwrap_or_default();
    let pairs = [
        ("UID", &conditions.uid, found(&meta.uid)),
        ("ResourceVersion", &conditions.resource_version, found(&meta.resource_version)),
    ];
    for (what, wanted, found) in pairs {
        if let Some(wanted) = wanted
            && *wanted != found
        {
            return Err(call.conflict(format_args!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            )));
        }
    }
    Ok(())
}
