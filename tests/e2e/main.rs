//! Unmodified kubectl against the real binary, as a new user meets it: an empty directory, an empty
//! HOME. Run with `cargo test --test e2e`; kubectl comes from `$KUBECTL` or PATH.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on ends by panicking")]
#![expect(clippy::disallowed_methods, reason = "the tests' own environment: KUBECTL and PATH")]

#[cfg(target_os = "linux")]
mod abuse;
#[cfg(target_os = "linux")]
mod abuse_network;
mod agnhost;
mod autoscaling;
mod bad_input;
mod bare_wasm;
mod certificates;
#[cfg(target_os = "linux")]
mod chaos;
mod claims;
mod command_line;
mod debug;
mod deployment;
#[cfg(target_os = "linux")]
mod disk_faults;
mod egress;
mod healing;
mod host_ports;
mod http;
mod ingress;
mod ingress_traffic;
#[cfg(unix)]
mod interactive;
mod jobs;
mod lifecycle;
mod limits;
#[cfg(unix)]
mod mlops;
mod names;
mod network_tools;
mod nginx;
mod objects;
mod policy;
mod port_forward;
mod probes;
#[path = "../../wasm-workloads/testing/host.rs"]
mod programs;
mod proxy;
mod quota;
mod rbac;
mod reach;
mod reasons;
mod restart;
mod scheduling;
mod services;
mod shell;
mod spdy;
mod support;
mod system;
mod tls;
mod top;
mod tutorial;
mod tutorial_services;
#[cfg(unix)]
mod tutorial_volumes;
mod volume_command;
mod volume_faults;
mod volumes;
mod workloads;
