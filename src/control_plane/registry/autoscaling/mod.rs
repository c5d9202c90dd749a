//! The kinds of `autoscaling`.

mod horizontal_pod_autoscaler;
mod scale;

pub(crate) use horizontal_pod_autoscaler::HorizontalPodAutoscalers;
pub(crate) use scale::Scales;

use super::{STATUS_VERBS, Subresource};

/// The subresource `scale` of a kind with a size; see [`super::Resource::size`].
pub(super) const SCALE: Subresource =
    Subresource { name: "scale", kind: ("autoscaling", "v1", "Scale"), verbs: STATUS_VERBS };
