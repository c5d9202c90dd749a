//! The API server in process, on the store in memory: one story per test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bare;
mod certificates;
mod claims;
mod containers;
mod daemon_sets;
mod dependents;
mod deployments;
mod ephemeral_containers;
mod evictions;
mod files;
mod guests;
mod http;
mod jobs;
mod nodes;
mod objects;
mod patching;
mod replica_sets;
mod roles;
mod root_ca;
mod service_account_tokens;
mod services;
mod shell;
mod stateful_sets;
mod subresources;
mod support;
mod watching;
mod workloads;
