//! How much a thread matters to the host's scheduler.

/// Makes the calling thread one that computes when others do not want to: it gets all that is left
/// over, and a tenth of a core that somebody else fills. Whoever wakes beside it runs at once.
#[cfg(target_os = "linux")]
pub(super) fn yield_to_others() {
    use rustix::process::setpriority_process;
    /// As of `nice`.
    const NICE: i32 = 10;
    // On Linux, `None` is the calling thread alone.
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "Busy guests run at the priority of all");
    }
}

/// Elsewhere a priority is the whole process's, or takes more rights than sampan has.
#[cfg(not(target_os = "linux"))]
pub(super) fn yield_to_others() {}
