//! What to tell a user about a file that cannot be run.

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Bound: names listed in one message.
const NAMES_MAX: usize = 8;
pub(super) const NOTHING: &str = "nothing";

/// What a file is that is not WebAssembly.
pub(super) fn content(bytes: &[u8]) -> String {
    match bytes {
        [] => "it is empty".to_owned(),
        [0x7f, b'E', b'L', b'F', ..] => {
            format!("it looks like an ELF/{} Linux program", machine(bytes))
        }
        [b'M', b'Z', ..] => "it looks like a Windows program".to_owned(),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            "it looks like a macOS program or a Java class".to_owned()
        }
        [b'#', b'!', ..] => "it is a script without an interpreter".to_owned(),
        [0x1f, 0x8b, ..] => "it looks like a gzip archive".to_owned(),
        [b'(', ..] => "it looks like WebAssembly's text format: translate it to binary".to_owned(),
        _ if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok() => {
            "it looks like text".to_owned()
        }
        _ => "unknown content".to_owned(),
    }
}

/// The processor that an ELF file is for.
fn machine(elf: &[u8]) -> &'static str {
    let field = elf.get(18..20).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    match field {
        Some(3) => "x86",
        Some(40) => "ARM",
        Some(62) => "x86-64",
        Some(183) => "AArch64",
        Some(243) => "RISC-V",
        _ => "unknown",
    }
}

/// A component that exports nothing sampan runs.
pub(super) fn unknown_world(component: &Component, engine: &Engine) -> String {
    let world = component.component_type();
    let exports = names(world.exports(engine).map(|(name, _)| name));
    let imports = names(world.imports(engine).map(|(name, _)| name));
    format!(
        "is a component for a world that sampan does not run: it exports {exports} and imports \
         {imports}; a program exports `wasi:cli/run` (build it for wasm32-wasip2), a server \
         `wasi:http/incoming-handler`"
    )
}

/// Imports from packages that are not provided.
pub(super) fn missing_imports(
    component: &Component,
    engine: &Engine,
    provided: &[&str],
) -> Option<String> {
    let world = component.component_type();
    let missing = world
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !provided.iter().any(|package| name.starts_with(package)));
    let missing = names(missing);
    (missing != NOTHING).then(|| {
        format!(
            "imports {missing}, which sampan does not provide; \
             a program may import wasi:cli, wasi:io, wasi:clocks, wasi:random, wasi:filesystem, \
             wasi:sockets and wasi:http"
        )
    })
}

/// `a`, `b` and 3 more.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.collect();
    let quoted: Vec<String> =
        names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => NOTHING.to_owned(),
        len if len > NAMES_MAX => format!("{} and {} more", quoted.join(", "), len - NAMES_MAX),
        _ => quoted.join(", "),
    }
}
