//! Programs: from a file in a container's root to a linked component, compiled once.
//!
//! ```text
//! file -> known by its identity -> program
//!      -> bytes -> sha256 -> known -> program
//!                         -> compile cache on disk -> linked -> program
//!                         -> quickly compiled -> program; well compiled meanwhile, for later starts
//! ```

mod adapt;
mod cache;
mod describe;
pub(super) mod find;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use wasmtime::component::Component;

use self::cache::Cache;
use self::find::Executable;
use super::engine::Compiler;
use super::guests::{self, Guest, Runnable};
use super::machine::Machine;
use super::{StartError, priority, wasi};
use crate::client::clock::Clock;
use crate::node::files::{File, Origin, Root};

/// Bound: size of a program, in bytes.
const PROGRAM_BYTES_MAX: u64 = 512 << 20;
/// Bound: programs that are kept though nobody runs them; what is dropped is on disk.
const IDLE_PROGRAMS_MAX: usize = 256;
/// A file that was written less than this before it was read may change again without a trace in
/// its time of modification.
const SETTLED: Duration = Duration::from_secs(2);

/// Programs from this size on, in bytes, are compiled quickly for their first start: below it the
/// better code takes no time that anyone would notice.
const QUICK_FROM_BYTES: usize = 192 * 1024;

pub(super) type Digest256 = [u8; 32];

/// All programs this process knows.
#[derive(Debug)]
pub(super) struct Programs {
    linking: Arc<Linking>,
    by_identity: Mutex<HashMap<Identity, Arc<Program>>>,
    by_digest: Mutex<HashMap<Digest256, Arc<OnceCell<Arc<Program>>>>>,
}

#[derive(Debug)]
struct Linking {
    best: Compiler,
    /// Compiles several times faster to code that runs several times slower. `None`: not on this
    /// processor.
    quick: Option<Compiler>,
    cache: Cache,
}

/// A file that has not changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    device_and_inode: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

/// A linked program.
pub(super) struct Program {
    /// For the first starts, until there is better; who started with it stays with it.
    quick: Option<Linked>,
    best: OnceLock<Linked>,
}

/// One for each kind of guest that a component is.
type Linked = Vec<Box<dyn Runnable>>;

impl Program {
    /// A component that is both a command and a server is a command, unless `is_server`.
    pub(super) fn runnable(&self, is_server: bool) -> &dyn Runnable {
        let linked = self.best.get().or(self.quick.as_ref());
        let linked = linked.expect("a program is made with one of the two: see below");
        let server = linked.iter().find(|runnable| is_server && runnable.serves());
        let runnable = server.or_else(|| linked.first());
        &**runnable.expect("`link` refuses what is of no kind")
    }

    fn best(linked: Linked) -> Self {
        Self { quick: None, best: OnceLock::from(linked) }
    }

    fn quick(linked: Linked) -> Self {
        Self { quick: Some(linked), best: OnceLock::new() }
    }
}

impl Programs {
    pub(super) fn new(best: Compiler, quick: Option<Compiler>, cache_directory: &Path) -> Self {
        let cache = Cache::open(cache_directory, &best.engine);
        Self {
            linking: Arc::new(Linking { best, quick, cache }),
            by_identity: Mutex::default(),
            by_digest: Mutex::default(),
        }
    }

    /// The program of a file that was loaded before and has not changed since.
    pub(super) fn known(&self, found: &Executable) -> Option<Arc<Program>> {
        self.by_identity.lock().get(&Identity::of(found)).cloned()
    }

    pub(super) async fn load(
        &self,
        machine: &Machine,
        clock: &Clock,
        root: &Root,
        found: &Executable,
    ) -> Result<Arc<Program>, StartError> {
        if let Some(program) = self.known(found) {
            return Ok(program);
        }
        if found.stat.size > PROGRAM_BYTES_MAX {
            let text = format!("exec format error: {} is larger than 512 MiB", found.place);
            return Err(StartError::NotExecutable(text));
        }
        let file = found.open(root)?;
        let name = found.place.absolute();
        let blocking =
            move || read(&file).map(|bytes| (Digest256::from(Sha256::digest(&bytes)), bytes));
        let (digest, bytes) = on_blocking_thread(blocking)
            .await?
            .map_err(|error| StartError::Host(format!("{name}: {error}")))?;
        let program = self.by_content(machine, digest, bytes, name).await?;
        let identity = Identity::of(found);
        if matches!(found.origin, Origin::Lower(_)) || identity.is_settled(clock) {
            self.remember(identity, &program);
        }
        Ok(program)
    }

    /// However many ask, one compiles.
    async fn by_content(
        &self,
        machine: &Machine,
        digest: Digest256,
        bytes: Vec<u8>,
        name: String,
    ) -> Result<Arc<Program>, StartError> {
        let cell = self.by_digest.lock().entry(digest).or_default().clone();
        let link = || async {
            let linking = self.linking.clone();
            let linked = move || linking.program(digest, &bytes, &name);
            let (program, unfinished) = on_blocking_thread(linked).await??;
            let program = Arc::new(program);
            if let Some(unfinished) = unfinished {
                self.finish(machine, unfinished, &program);
            }
            Ok(program)
        };
        cell.get_or_try_init(link).await.cloned()
    }

    /// Compiles well what was compiled quickly, once it runs.
    fn finish(&self, machine: &Machine, unfinished: Unfinished, program: &Arc<Program>) {
        let (linking, program) = (self.linking.clone(), program.clone());
        let compile = move || match priority::behind_others(|| linking.finish(&unfinished)) {
            // Fails only if it is set, and this is the one who sets it.
            Ok(linked) => drop(program.best.set(linked)),
            Err(error) => tracing::warn!(%error, "A program stays quickly compiled"),
        };
        machine.tasks.spawn_blocking_on(compile, machine.handle());
    }

    fn remember(&self, identity: Identity, program: &Arc<Program>) {
        let mut by_identity = self.by_identity.lock();
        by_identity.insert(identity, program.clone());
        if by_identity.len() > IDLE_PROGRAMS_MAX {
            // One more holder is the table by digest.
            by_identity.retain(|_, program| Arc::strong_count(program) > 2);
            let mut by_digest = self.by_digest.lock();
            by_digest
                .retain(|_, cell| cell.get().is_some_and(|program| Arc::strong_count(program) > 1));
        }
    }
}

/// A program that runs and is to be compiled again.
struct Unfinished {
    digest: Digest256,
    component: Vec<u8>,
    name: String,
}

impl Linking {
    fn program(
        &self,
        digest: Digest256,
        bytes: &[u8],
        name: &str,
    ) -> Result<(Program, Option<Unfinished>), StartError> {
        if let Some(component) = self.cache.load(&self.best.engine, &digest) {
            return Ok((Program::best(link(&self.best, &component, name)?), None));
        }
        let adapted = adapt::to_component(bytes).map_err(|text| not_wasm(name, &text))?;
        if let Some(runnable) = self.quickly(&adapted, name) {
            let unfinished =
                Unfinished { digest, component: adapted.into_owned(), name: name.to_owned() };
            return Ok((Program::quick(runnable?), Some(unfinished)));
        }
        Ok((Program::best(self.well(&digest, &adapted, name)?), None))
    }

    /// `None` if it is small, or the quick compiler lacks something it needs.
    fn quickly(&self, component: &[u8], name: &str) -> Option<Result<Linked, StartError>> {
        let quick = self.quick.as_ref().filter(|_| component.len() >= QUICK_FROM_BYTES)?;
        let component = Component::from_binary(&quick.engine, component).ok()?;
        Some(link(quick, &component, name))
    }

    fn well(&self, digest: &Digest256, component: &[u8], name: &str) -> Result<Linked, StartError> {
        let component = Component::from_binary(&self.best.engine, component)
            .map_err(|error| not_wasm(name, &format!("is not valid WebAssembly: {error:#}")))?;
        let runnable = link(&self.best, &component, name)?;
        self.cache.store(&component, digest);
        Ok(runnable)
    }

    fn finish(&self, unfinished: &Unfinished) -> Result<Linked, StartError> {
        self.well(&unfinished.digest, &unfinished.component, &unfinished.name)
    }
}

fn link(compiler: &Compiler, component: &Component, name: &str) -> Result<Linked, StartError> {
    let refuse = |text: String| StartError::NotExecutable(format!("{name}: {text}"));
    let (engine, world) = (&compiler.engine, component.component_type());
    let kinds = guests::kinds_of(world.exports(engine).map(|(name, _)| name));
    if kinds.is_empty() {
        return Err(refuse(describe::unknown_world(component, engine)));
    }
    if let Some(text) = describe::missing_imports(component, engine, wasi::PROVIDED) {
        return Err(refuse(text));
    }
    let instance = compiler.linker.instantiate_pre(component);
    let instance = instance.map_err(|error| refuse(format!("{error:#}")))?;
    let prepare = |guest: &dyn Guest| {
        tracing::debug!(program = name, guest = guest.name(), "Linking");
        guest.prepare(instance.clone()).map_err(refuse)
    };
    kinds.into_iter().map(prepare).collect()
}

fn not_wasm(name: &str, text: &str) -> StartError {
    StartError::NotExecutable(format!("exec format error: {name} {text}"))
}

impl Identity {
    fn of(found: &Executable) -> Self {
        Self {
            device_and_inode: found.stat.identity,
            size: found.stat.size,
            modified: found.stat.modified,
        }
    }

    fn is_settled(&self, clock: &Clock) -> bool {
        let now: SystemTime = clock.now().into();
        let age = self.modified.and_then(|modified| now.duration_since(modified).ok());
        age.is_some_and(|age| age > SETTLED)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

fn read(file: &File) -> Result<Vec<u8>, crate::node::files::Error> {
    let size = usize::try_from(file.len()?.min(PROGRAM_BYTES_MAX)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StartError::Host(format!("preparing the program: {error}")))
}
