//! How much memory waits in a Pod's connections, and in all Pods' together: what kernels bound by
//! `tcp_mem`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that what a Pod has sent, or was sent as datagrams, may hold before its buffers shrink.
const POD_BYTES_MAX: usize = 32 << 20;
/// The same of all Pods together.
const NODE_BYTES_MAX: usize = 512 << 20;

/// An account of bytes.
#[derive(Debug)]
pub(super) struct Buffered {
    held: AtomicUsize,
    max: usize,
    all: Option<Arc<Self>>,
}

impl Buffered {
    pub(super) fn of_node() -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), max: NODE_BYTES_MAX, all: None })
    }

    pub(super) fn of_pod(node: &Arc<Self>) -> Arc<Self> {
        let all = Some(node.clone());
        Arc::new(Self { held: AtomicUsize::new(0), max: POD_BYTES_MAX, all })
    }

    pub(super) fn add(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        if let Some(all) = &self.all {
            all.add(bytes);
        }
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(all) = &self.all {
            all.remove(bytes);
        }
    }

    pub(super) fn is_short(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.max
            || self.all.as_ref().is_some_and(|all| all.is_short())
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}
