//! OpenAPI v3: an index and one document per group version, built when first asked for and kept
//! encoded; and v2's one document.
//!
//! Enter by [`OpenApi::answer`] with a path, a query and the request's headers. `components` makes
//! schemas from the table of `api::schema` with k8s-openapi's descriptions; `paths` makes operations
//! from the table of kinds; `v2` says the schemas as v2 does; `index` keeps the encoded documents.
//!
//! Upstream: KEP-2896; `k8s.io/kube-openapi/pkg/handler3`.

mod components;
mod index;
mod paths;
mod v2;

pub(super) use index::OpenApi;
