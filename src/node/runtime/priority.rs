//! How much a thread matters to the host's scheduler.

use rayon_core::ThreadPoolBuilder;

/// Does the work, and what of it wasmtime spreads over threads, behind all others.
pub(super) fn behind_others<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let threads = ThreadPoolBuilder::new()
        .thread_name(|_| "compile".to_owned())
        .start_handler(|_| yield_to_others());
    match threads.build() {
        Ok(threads) => threads.install(work),
        Err(error) => {
            tracing::debug!(%error, "No threads of its own");
            work()
        }
    }
}

/// Makes the calling thread one that computes when others do not want to: it gets all that is left
/// over, and a seventieth of a core that somebody else fills, as a BestEffort Pod does of a node whose
/// other Pods fill it. With more, those who answer one request after another wait for it too often: each
/// time for a millisecond or two, at nice 10 for one request in a hundred.
#[cfg(target_os = "linux")]
pub(super) fn yield_to_others() {
    /// On top of what the others have; 19 is the most there is.
    const NICE: i32 = 19;
    // On Linux it is the calling thread's alone.
    match rustix::process::nice(NICE) {
        Ok(nice) => linux::take_long_slices(nice),
        Err(error) => tracing::debug!(%error, "Who is to step back runs at the priority of all"),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    /// Since Linux 6.12: who wakes and has a shorter slice runs at once, where otherwise the thread that
    /// computes would first use up its own, however nice it is. Older kernels do not look at it.
    const SLICE_NANOS: u64 = 100_000_000;

    /// `struct sched_attr` in its first version.
    #[repr(C)]
    #[derive(Debug, Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }

    /// Keeps `nice`, which the call would set as well.
    #[expect(unsafe_code, reason = "no crate wraps this call")]
    pub(super) fn take_long_slices(nice: i32) {
        let size = size_of::<Attributes>() as u32;
        let attributes = Attributes { size, nice, runtime: SLICE_NANOS, ..Attributes::default() };
        // SAFETY: the kernel reads `size` bytes from the pointer and keeps nothing of them; thread 0 is
        // the calling one, and no flags are set.
        let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
        if done != 0 {
            let error = std::io::Error::last_os_error();
            tracing::debug!(%error, "Who wakes beside a busy guest waits for its slice to end");
        }
    }
}

/// Elsewhere a priority is the whole process's, or takes more rights than sampan has.
#[cfg(not(target_os = "linux"))]
pub(super) fn yield_to_others() {}
