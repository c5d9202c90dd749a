//! How much memory waits in a Pod's connections, and in all Pods' together: what kernels bound by
//! `tcp_mem`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that what a Pod has sent, or was sent as datagrams, may hold before its buffers shrink.
const POD_BYTES_MAX: usize = 32 << 20;
/// The same of all Pods together.
const NODE_BYTES_MAX: usize = 512 << 20;
/// What each Pod may hold though all together hold too much: they are not to silence one another.
const POD_BYTES_MIN: usize = 1 << 20;

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
        let held = self.held.load(Ordering::Relaxed);
        held > self.max
            || held > POD_BYTES_MIN && self.all.as_ref().is_some_and(|all| all.is_short())
    }

    /// For bytes that are to come.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Reserved {
        self.add(bytes);
        Reserved { account: self.clone(), bytes }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Memory that is accounted for until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    account: Arc<Buffered>,
    bytes: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.account.remove(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_hold_too_much_it_is_those_who_hold_much_that_are_short() {
        let node = Buffered::of_node();
        let pods: Vec<_> = (0..17).map(|_| Buffered::of_pod(&node)).collect();
        let modest = Buffered::of_pod(&node);
        modest.add(POD_BYTES_MIN);
        pods.iter().for_each(|pod| pod.add(POD_BYTES_MAX));
        assert!(pods[0].is_short() && !modest.is_short());
        modest.add(1);
        assert!(modest.is_short());
        pods[0].remove(POD_BYTES_MAX);
        pods[1].remove(POD_BYTES_MAX);
        assert!(!pods[2].is_short() && !modest.is_short());
    }
}
