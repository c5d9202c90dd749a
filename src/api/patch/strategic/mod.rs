//! Strategic merge patch: a merge patch that knows which lists are maps in disguise.
//!
//! Enter by [`apply`]. `merge` walks object and patch together; `shape` says what a field is and how
//! its list merges; `order` puts the items of a merged list in their place.
//!
//! In a patch, beside fields:
//! - `null` deletes a field;
//! - `$patch: replace` in a map replaces it, `$patch: delete` empties it; in an item of a list that
//!   merges, `delete` removes the item of that name, `replace` the whole list;
//! - `$deleteFromPrimitiveList/x` removes scalars from the list `x`;
//! - `$setElementOrder/x` says in which order the list `x` is to be;
//! - `$retainKeys` removes every field of its map that it does not list.
//!
//! Upstream: `k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`, from which we differ where it
//! would fail with an internal error: such patches are refused as malformed.

mod merge;
mod order;
mod shape;
#[cfg(test)]
mod tests;

pub use merge::apply;
