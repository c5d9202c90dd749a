//! sampan: Kubernetes' API, WebAssembly's weight, one binary.
//!
//! The map of the house is `ARCHITECTURE.md`. Floors, bottom first: `api` and `telemetry` (data);
//! `client` (the hall every component meets in); the wings `control_plane` and `node`; `config`;
//! `cluster` (builds both wings and joins them); `cli`.

pub mod api;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod control_plane;
pub mod node;
pub mod telemetry;
