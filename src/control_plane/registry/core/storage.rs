//! What volumes and claims have in common: ways of access, classes, sizes.
//!
//! Upstream: `pkg/apis/core/validation/validation.go`, `pkg/apis/core/helper/helpers.go`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::api::quantity::Quantity;

/// Sorted as messages list them.
const ACCESS_MODES: &[&str] =
    &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// `RWO,ROX,RWX,RWOP`: those there are, in this order.
pub(super) fn access_modes(modes: Option<&[String]>) -> String {
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let modes = modes.unwrap_or_default();
    let there = short.iter().filter(|(mode, _)| modes.iter().any(|given| given == mode));
    there.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

pub(super) fn validate_access_modes(modes: &[String], path: &Path) -> Vec<FieldError> {
    let unknown = modes.iter().filter(|mode| !ACCESS_MODES.contains(&mode.as_str()));
    let mut faults: Vec<FieldError> = unknown
        .map(|mode| FieldError::not_supported(path.clone(), mode.as_str(), ACCESS_MODES))
        .collect();
    let alone = modes.iter().filter(|mode| *mode == "ReadWriteOncePod").count();
    if alone > 0 && alone < modes.len() {
        let detail = "may not use ReadWriteOncePod with other access modes";
        faults.push(FieldError::forbidden(path.clone(), detail));
    }
    faults
}

/// The name of a StorageClass, if there is one.
pub(super) fn validate_class(name: &str, path: &Path) -> Vec<FieldError> {
    match name {
        "" => Vec::new(),
        name => invalid_each(path, name, meta::dns1123_subdomain(name)),
    }
}

pub(super) fn validate_positive(amount: &ApiQuantity, path: &Path) -> Option<FieldError> {
    let fault = |detail: String| Some(FieldError::invalid(path.clone(), amount.0.as_str(), detail));
    match Quantity::of(amount) {
        Err(error) => fault(error.to_string()),
        Ok(amount) if amount > Quantity::ZERO => None,
        Ok(_) => fault("must be greater than zero".to_owned()),
    }
}
