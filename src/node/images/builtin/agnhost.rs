//! agnhost, which Kubernetes' own tests ask of every cluster, and pause by the same program.

use std::sync::OnceLock;

use super::{BUSYBOX, BuiltIn, StandIn, directory, program};
use crate::node::images::store::Entry;

const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agnhost.wasm"));

const AGNHOST_RUN: (&[&str], &[&str]) = (&["/agnhost"], &["pause"]);
const PAUSE_RUN: (&[&str], &[&str]) = (&["/pause"], &[]);

pub(super) static AGNHOST: BuiltIn = BuiltIn {
    name: "agnhost",
    stand_ins: &[
        StandIn::new("registry.k8s.io/e2e-test-images/agnhost", AGNHOST_RUN.0, AGNHOST_RUN.1),
        StandIn::new("k8s.gcr.io/e2e-test-images/agnhost", AGNHOST_RUN.0, AGNHOST_RUN.1),
        StandIn::new("registry.k8s.io/pause", PAUSE_RUN.0, PAUSE_RUN.1),
        StandIn::new("k8s.gcr.io/pause", PAUSE_RUN.0, PAUSE_RUN.1),
    ],
    entries,
    base: Some(&BUSYBOX),
    path: "",
    working_dir: "/",
    exposed_ports: &[80, 8080, 8081, 9376],
    digest: OnceLock::new(),
};

fn entries() -> Vec<Entry<'static>> {
    vec![
        directory("uploads"),
        program("agnhost", PROGRAM),
        // Tests that override the entrypoint name this one.
        Entry::Symlink { path: "agnhost-2", target: "agnhost" },
        Entry::Symlink { path: "pause", target: "agnhost" },
    ]
}
