//! For tests: directories of their own.

use std::sync::atomic::{AtomicU32, Ordering};

/// A new directory; who asks removes it.
pub(crate) fn directory() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("sampan-nginx-{}-{n}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path.into_os_string().into_string().unwrap()
}
