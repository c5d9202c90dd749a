//! Persistent volumes that several Pods of the node have mounted: one account for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use cap_std::fs::Dir;
use parking_lot::Mutex;

use crate::node::files::{Quota, Volume};

/// By the PersistentVolume's name. Bound: those that Pods of this node have mounted.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<String, Arc<Slot>>>);

/// Held while the volume is opened, which may take long: files in it are counted.
type Slot = Mutex<Weak<Share>>;

/// A persistent volume that is in use on this node. Who has it mounted holds it.
#[derive(Debug)]
pub(super) struct Share {
    volume: Volume,
    quota: Option<Arc<Quota>>,
    /// The uid of the only Pod that may have it, for `ReadWriteOncePod`.
    only: Option<String>,
}

impl Share {
    pub(super) fn volume(&self) -> Volume {
        self.volume.clone()
    }
}

impl Shares {
    /// The volume of this name, which may hold so many bytes: the one that others use already, or what
    /// `open` opens. `only` is the Pod that wants it for itself. Blocks.
    ///
    /// # Errors
    /// If it cannot be opened, or if another Pod has it for itself.
    pub(super) fn open(
        &self,
        name: &str,
        bytes_max: Option<u64>,
        only: Option<&str>,
        open: impl FnOnce() -> Result<Dir, String>,
    ) -> Result<Arc<Share>, String> {
        let slot = {
            let mut slots = self.0.lock();
            // Those that nobody uses any more make room; one that is being opened is held.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().strong_count() > 0);
            slots.entry(name.to_owned()).or_default().clone()
        };
        let mut slot = slot.lock();
        if let Some(share) = slot.upgrade() {
            if only.is_some() && share.only.as_deref() != only {
                return Err(IN_USE.to_owned());
            }
            if let (Some(quota), Some(bytes_max)) = (&share.quota, bytes_max) {
                quota.set_bytes_max(bytes_max);
            }
            return Ok(share);
        }
        let dir = open()?;
        let quota = bytes_max.map(|bytes_max| Quota::scan(bytes_max, &dir)).transpose();
        let quota = quota.map_err(|error| format!("failed to count its files: {error}"))?;
        let quota = quota.map(Arc::new);
        let volume = match &quota {
            Some(quota) => Volume::with_quota(dir, quota.clone()),
            None => Volume::from(dir),
        };
        let share = Arc::new(Share { volume, quota, only: only.map(str::to_owned) });
        *slot = Arc::downgrade(&share);
        Ok(share)
    }
}

const IN_USE: &str =
    "volume uses the ReadWriteOncePod access mode and is already in use by another pod";

#[cfg(test)]
mod tests {
    use super::*;

    use cap_std::ambient_authority;

    struct Bench {
        directory: tempfile::TempDir,
        shares: Shares,
    }

    impl Bench {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap(), shares: Shares::default() }
        }

        fn open(&self, bytes: Option<u64>, only: Option<&str>) -> Result<Arc<Share>, String> {
            let open = || Dir::open_ambient_dir(self.directory.path(), ambient_authority());
            self.shares.open("pv", bytes, only, || Ok(open().unwrap()))
        }
    }

    #[test]
    fn all_pods_share_one_account() {
        let bench = Bench::new();
        let open = |bytes| bench.open(Some(bytes), None).unwrap();
        let (one, other) = (open(10), open(20));
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(one.quota.as_ref().unwrap().usage().bytes_max, 20);
        drop((one, other));
        std::fs::write(bench.directory.path().join("file"), "12345").unwrap();
        assert_eq!(open(20).quota.as_ref().unwrap().usage().bytes, 5);
    }

    #[test]
    fn a_volume_for_one_pod_is_not_given_to_another() {
        let bench = Bench::new();
        let one = bench.open(None, Some("a")).unwrap();
        bench.open(None, Some("a")).unwrap();
        assert_eq!(bench.open(None, Some("b")).unwrap_err(), IN_USE);
        drop(one);
        bench.open(None, Some("b")).unwrap();
    }
}
