//! The API server in process, on the store in memory: one story per test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bare;
mod claims;
mod containers;
mod dependents;
mod deployments;
mod ephemeral_containers;
mod files;
mod guests;
mod http;
mod objects;
mod patching;
mod replica_sets;
mod root_ca;
mod service_account_tokens;
mod services;
mod shell;
mod subresources;
mod support;
mod watching;
mod workloads;
