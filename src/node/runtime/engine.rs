//! Wasmtime engines: the pool of instances, the knobs, and one linker for every guest.

use wasmtime::component::Linker;
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use super::limits::TABLE_ELEMENTS_MAX;
use super::process::Process;
use super::wasi;

/// An adapted wasip1 module is four core instances: itself, the adapter, a shim and its fixups.
const CORE_INSTANCES_PER_COMPONENT: u32 = 4;
/// Native stack that a guest's own frames may use, in bytes; beyond it is exit code 139.
const WASM_STACK_BYTES: usize = 1024 * 1024;
/// The same and what host calls need on top.
const ASYNC_STACK_BYTES: usize = 2 * WASM_STACK_BYTES;
/// Memory that a free slot of the pool keeps instead of giving it back to the kernel, in bytes.
const MEMORY_KEEP_RESIDENT: usize = 1024 * 1024;
const TABLE_KEEP_RESIDENT: usize = 64 * 1024;
const STACK_KEEP_RESIDENT: usize = 64 * 1024;
/// Slots that are reset with one call into the kernel.
const DECOMMIT_BATCH: usize = 16;

/// An engine and what its components are linked to.
pub(super) struct Compiler {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Process>,
}

impl Compiler {
    /// Makes good code; for so many live instances, or for fewer if the host's address space is
    /// short.
    ///
    /// # Errors
    /// If wasmtime does not support this host.
    pub(super) fn best(instances_max: u32) -> wasmtime::Result<Self> {
        Self::new(pooled(instances_max)?)
    }

    /// Makes code fast. Its instances are allocated one by one: there are few, for a short time.
    ///
    /// # Errors
    /// If this compiler does not support this host.
    pub(super) fn quick() -> wasmtime::Result<Self> {
        let on_demand = InstanceAllocationStrategy::OnDemand;
        Self::new(Engine::new(config(Strategy::Winch).allocation_strategy(on_demand))?)
    }

    fn new(engine: Engine) -> wasmtime::Result<Self> {
        let linker = wasi::linker(&engine)?;
        Ok(Self { engine, linker })
    }
}

fn pooled(instances_max: u32) -> wasmtime::Result<Engine> {
    let mut instances = instances_max.max(1);
    while instances >= 8 {
        match Engine::new(config(Strategy::Cranelift).allocation_strategy(pool(instances))) {
            Ok(engine) => {
                if instances < instances_max {
                    tracing::warn!(
                        instances,
                        instances_max,
                        "The host's address space holds a smaller pool of instances only"
                    );
                }
                return Ok(engine);
            }
            Err(error) => tracing::debug!(instances, %error, "No pool of this size"),
        }
        instances /= 4;
    }
    tracing::warn!("The host refuses a pool of instances; each is allocated when it starts");
    let on_demand = InstanceAllocationStrategy::OnDemand;
    Engine::new(config(Strategy::Cranelift).allocation_strategy(on_demand))
}

fn config(strategy: Strategy) -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .strategy(strategy)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES);
    config
}

/// What they gain, measured with wasmtime 48 on a component that says hello: the pool 1.8 times of what is
/// allocated on demand, pages that are kept and scanned 2.1 times, batches 1.15 times. Sizes of guards,
/// reservations and stacks, and the number of warm slots, change nothing at a start.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        // Nearly every component has one; some composed ones have more.
        .total_memories(instances + instances / 4)
        .total_stacks(instances)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_unused_warm_slots(instances.min(256))
        .decommit_batch_size(DECOMMIT_BATCH)
        .async_stack_keep_resident(STACK_KEEP_RESIDENT);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // Without the scan, keeping pages means clearing all of them: slower than nothing.
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT)
            .table_keep_resident(TABLE_KEEP_RESIDENT);
    }
    pool
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").finish_non_exhaustive()
    }
}
