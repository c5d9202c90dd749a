//! The kinds of guests: what a component exports decides how it is run.

mod http_proxy;
mod wasi_command;

use futures::future::BoxFuture;
use wasmtime::component::InstancePre;

use super::process::{Process, Start};

/// All kinds; of those that fit, the first is taken, unless the Pod says that it is a server.
pub(super) const GUESTS: &[&dyn Guest] = &[&wasi_command::WasiCommand, &http_proxy::HttpProxy];

/// A kind of guest.
pub(super) trait Guest: Sync {
    fn name(&self) -> &'static str;

    /// What a component of this kind exports: an interface, up to its version's minor number.
    fn export(&self) -> &'static str;

    /// # Errors
    /// The reason why it cannot be run, for the user.
    fn prepare(&self, instance: InstancePre<Process>) -> Result<Box<dyn Runnable>, String>;
}

/// A linked component that can be run any number of times.
pub(super) trait Runnable: Send + Sync {
    /// Whether the host serves on its behalf.
    fn serves(&self) -> bool {
        false
    }

    /// Instantiates it and runs it to its end; answers the exit code.
    fn run(&self, start: Start) -> BoxFuture<'_, wasmtime::Result<i32>>;
}

/// The kinds of a component with these exports.
pub(super) fn kinds_of<'a>(exports: impl Iterator<Item = &'a str>) -> Vec<&'static dyn Guest> {
    let exports: Vec<&str> = exports.collect();
    let fits = |guest: &&dyn Guest| exports.iter().any(|export| export.starts_with(guest.export()));
    GUESTS.iter().copied().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_kinds_share_a_name_or_an_export() {
        let names: BTreeSet<_> = GUESTS.iter().map(|guest| guest.name()).collect();
        let exports: BTreeSet<_> = GUESTS.iter().map(|guest| guest.export()).collect();
        assert_eq!((names.len(), exports.len()), (GUESTS.len(), GUESTS.len()));
    }

    #[test]
    fn run_wins_over_a_handler() {
        let exports = ["wasi:http/incoming-handler@0.2.3", "wasi:cli/run@0.2.12"];
        let kinds = kinds_of(exports.into_iter());
        assert_eq!(kinds.first().map(|kind| kind.name()), Some("wasi-command"));
        assert!(kinds_of(["my:own/world@1.0.0"].into_iter()).is_empty());
    }
}
