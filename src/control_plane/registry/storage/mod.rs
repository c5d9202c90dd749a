//! The kinds of `storage.k8s.io`.

mod storage_class;

pub(super) use storage_class::StorageClasses;
