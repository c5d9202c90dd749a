//! Numbers of Pods that may be given as shares of all of them: `2`, `"25%"`.
//!
//! Upstream: `pkg/apis/apps/validation/validation.go`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use crate::api::fields::{FieldError, Path};

const NEGATIVE: &str = "must be greater than or equal to 0";

/// Upstream: `ValidatePositiveIntOrPercent`.
pub(super) fn validate(amount: &IntOrString, path: &Path) -> Option<FieldError> {
    let detail = match amount {
        IntOrString::Int(number) if *number < 0 => NEGATIVE,
        IntOrString::String(_) if percent(amount).is_none() => {
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%', \
             or '93%', regex used for validation is '[0-9]+%')"
        }
        _ => return None,
    };
    Some(FieldError::invalid(path.clone(), json!(amount), detail))
}

/// Upstream: `IsNotMoreThan100Percent`.
pub(super) fn validate_share(amount: &IntOrString, path: &Path) -> Option<FieldError> {
    let detail = "must not be greater than 100%";
    let is_more = percent(amount).is_some_and(|percent| percent > 100);
    is_more.then(|| FieldError::invalid(path.clone(), json!(amount), detail))
}

/// The number, or the number before the `%`.
///
/// Upstream: `getIntOrPercentValue`.
pub(super) fn number_of(amount: &IntOrString) -> i64 {
    match amount {
        IntOrString::Int(number) => i64::from(*number),
        // Upstream takes a number that came as a string for what it says.
        IntOrString::String(text) => {
            percent(amount).map_or_else(|| text.parse().unwrap_or(0), i64::from)
        }
    }
}

fn percent(amount: &IntOrString) -> Option<u32> {
    let IntOrString::String(text) = amount else { return None };
    let digits = text.strip_suffix('%')?;
    let numeric = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    numeric.then(|| digits.parse().unwrap_or(u32::MAX))
}
