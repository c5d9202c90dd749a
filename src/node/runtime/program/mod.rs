//! Programs: from a file in a container's root to a linked component, compiled once.
//!
//! ```text
//! file -> known by its identity -> program
//!      -> bytes -> sha256 -> known -> program
//!                         -> compile cache on disk, or compiled -> linked -> program
//! ```

mod adapt;
mod cache;
mod describe;
pub(super) mod find;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use wasmtime::component::Component;

use self::cache::Cache;
use self::find::Executable;
use super::engine::Compiler;
use super::guests::{self, Runnable};
use super::{Inner, StartError, wasi};
use crate::node::files::{File, Origin, Root};

/// Bound: size of a program, in bytes.
const PROGRAM_BYTES_MAX: u64 = 512 << 20;
/// Bound: programs that are kept though nobody runs them; what is dropped is on disk.
const IDLE_PROGRAMS_MAX: usize = 256;
/// A file that was written less than this before it was read may change again without a trace in
/// its time of modification.
const SETTLED: Duration = Duration::from_secs(2);

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
    compiler: Compiler,
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
    runnable: Box<dyn Runnable>,
}

impl Program {
    pub(super) fn runnable(&self) -> &dyn Runnable {
        &*self.runnable
    }
}

impl Programs {
    pub(super) fn new(compiler: Compiler, cache_directory: &Path) -> Self {
        let cache = Cache::open(cache_directory, &compiler.engine);
        Self {
            linking: Arc::new(Linking { compiler, cache }),
            by_identity: Mutex::default(),
            by_digest: Mutex::default(),
        }
    }

    pub(super) async fn load(
        &self,
        runtime: &Inner,
        root: &Root,
        found: &Executable,
    ) -> Result<Arc<Program>, StartError> {
        let identity = Identity {
            device_and_inode: found.stat.identity,
            size: found.stat.size,
            modified: found.stat.modified,
        };
        if let Some(program) = self.by_identity.lock().get(&identity) {
            return Ok(program.clone());
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
        let program = self.by_content(digest, bytes, name).await?;
        if found.origin == Origin::Lower || is_settled(&identity, runtime) {
            self.remember(identity, &program);
        }
        Ok(program)
    }

    /// However many ask, one compiles.
    async fn by_content(
        &self,
        digest: Digest256,
        bytes: Vec<u8>,
        name: String,
    ) -> Result<Arc<Program>, StartError> {
        let cell = self.by_digest.lock().entry(digest).or_default().clone();
        let link = || async {
            let linking = self.linking.clone();
            let linked = move || linking.program(digest, &bytes, &name).map(Arc::new);
            on_blocking_thread(linked).await?
        };
        cell.get_or_try_init(link).await.cloned()
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

impl Linking {
    fn program(&self, digest: Digest256, bytes: &[u8], name: &str) -> Result<Program, StartError> {
        let refuse = |text: String| StartError::NotExecutable(format!("{name}: {text}"));
        let component = match self.cache.load(&self.compiler.engine, &digest) {
            Some(component) => component,
            None => self.compile(digest, bytes).map_err(|text| {
                StartError::NotExecutable(format!("exec format error: {name} {text}"))
            })?,
        };
        let engine = &self.compiler.engine;
        let world = component.component_type();
        let Some(guest) = guests::kind_of(world.exports(engine).map(|(name, _)| name)) else {
            return Err(refuse(describe::unknown_world(&component, engine)));
        };
        if let Some(text) = describe::missing_imports(&component, engine, wasi::PROVIDED) {
            return Err(refuse(text));
        }
        let instance = self.compiler.linker.instantiate_pre(&component);
        let instance = instance.map_err(|error| refuse(format!("{error:#}")))?;
        Ok(Program { runnable: guest.prepare(instance).map_err(refuse)? })
    }

    fn compile(&self, digest: Digest256, bytes: &[u8]) -> Result<Component, String> {
        let adapted = adapt::to_component(bytes)?;
        let component = Component::from_binary(&self.compiler.engine, &adapted)
            .map_err(|error| format!("is not valid WebAssembly: {error:#}"))?;
        self.cache.store(&component, &digest);
        Ok(component)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

fn is_settled(identity: &Identity, runtime: &Inner) -> bool {
    let now: SystemTime = runtime.clock.now().into();
    let age = identity.modified.and_then(|modified| now.duration_since(modified).ok());
    age.is_some_and(|age| age > SETTLED)
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
