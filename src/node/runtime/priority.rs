//! How much a thread matters to the host's scheduler.

/// Makes the calling thread one that computes when others do not want to: it gets all that is left
/// over, and a tenth of a core that somebody else fills. Whoever wakes beside it runs at once.
#[cfg(target_os = "linux")]
pub(super) fn yield_to_others() {
    /// On top of what the others have.
    const NICE: i32 = 10;
    // On Linux it is the calling thread's alone.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "Busy guests run at the priority of all");
    }
}

/// Elsewhere a priority is the whole process's, or takes more rights than sampan has.
#[cfg(not(target_os = "linux"))]
pub(super) fn yield_to_others() {}
