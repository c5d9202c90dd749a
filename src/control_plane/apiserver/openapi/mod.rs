//! OpenAPI v3: an index and one document per group version, built when first asked for and kept
//! encoded.
//!
//! Enter by [`OpenApi::answer`] with a path, a query and the request's headers. `components` makes
//! schemas from the table of `api::schema` with k8s-openapi's descriptions; `paths` makes operations
//! from the table of kinds; `index` keeps the encoded documents.
//!
//! Upstream: KEP-2896; `k8s.io/kube-openapi/pkg/handler3`.

mod components;
mod index;
mod paths;

pub(super) use index::OpenApi;
