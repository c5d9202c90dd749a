//! The kinds of `autoscaling`: so far only what the subresource `scale` takes and answers.

mod scale;

pub(crate) use scale::Scales;

use super::{STATUS_VERBS, Subresource};

/// The subresource `scale` of a kind with a size; see [`super::Resource::size`].
pub(super) const SCALE: Subresource =
    Subresource { name: "scale", kind: ("autoscaling", "v1", "Scale"), verbs: STATUS_VERBS };
