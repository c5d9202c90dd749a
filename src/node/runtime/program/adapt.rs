//! Core modules become components: WASI 0.1 ("wasip1") through the adapter, so that one linker and
//! one set of interfaces serves all guests.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasm_encoder::reencode::{Error as ReencodeError, Reencode};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::describe;
use crate::node::runtime::wasi::{EXIT_FUNCTION, EXIT_INTERFACE};

/// Counts the ways in which this file has made components; part of the compile cache's key.
pub(super) const VERSION: u32 = 1;

const WASIP1: &str = WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;

/// The world that an adapted module's exit import is declared by.
const EXIT_WORLD: &str = "\
    package sampan:runtime@0.1.0;\
    interface exit { exit: func(code: u8); }\
    world exits { import exit; }";

/// # Errors
/// What is wrong with it, to follow the program's name.
pub(super) fn to_component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if !Parser::is_component(bytes) && !Parser::is_core_wasm(bytes) {
        return Err(format!("is not a WebAssembly program ({})", describe::content(bytes)));
    }
    if Parser::is_component(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let module = Module::scan(bytes).map_err(|error| format!("is damaged: {error}"))?;
    module.check()?;
    adapt(bytes, &module).map(Cow::Owned).map_err(|error| format!("cannot be adapted: {error}"))
}

/// What decides how a core module is run.
#[derive(Debug, Default)]
struct Module {
    imports: Vec<(String, String)>,
    exports: Vec<String>,
}

impl Module {
    fn scan(bytes: &[u8]) -> wasmparser::Result<Self> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding: Encoding::Component, .. } => return Ok(module),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        module.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        module.exports.push(export?.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    fn check(&self) -> Result<(), String> {
        if !self.exports.iter().any(|export| export == "_start") {
            let exports = describe::names(self.exports.iter().map(String::as_str));
            return Err(format!(
                "is a WebAssembly library: it exports {exports}, but no `_start` to run; \
                 build a program (a `main`) for wasm32-wasip1 or wasm32-wasip2"
            ));
        }
        // Other modules' names are interfaces if they have a package; a component's own bindings.
        let foreign = self
            .imports
            .iter()
            .map(|(module, _)| module.as_str())
            .filter(|module| *module != WASIP1 && !module.contains(':') && *module != "$root");
        let foreign = describe::names(foreign);
        if foreign == describe::NOTHING {
            return Ok(());
        }
        Err(format!(
            "imports from {foreign}, which is not WASI and which sampan does not provide; \
             build it for wasm32-wasip1 or wasm32-wasip2"
        ))
    }

    fn exits(&self) -> bool {
        self.imports.iter().any(|(module, name)| module == WASIP1 && name == "proc_exit")
    }
}

fn adapt(bytes: &[u8], module: &Module) -> Result<Vec<u8>, String> {
    let mut bytes = Cow::Borrowed(bytes);
    if module.exits() {
        bytes = Cow::Owned(rename_exit(&bytes)?);
    }
    ComponentEncoder::default()
        .validate(false)
        .module(&bytes)
        .and_then(|encoder| encoder.adapter(WASIP1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER))
        .and_then(ComponentEncoder::encode)
        .map_err(|error| format!("{error:#}"))
}

/// The adapter turns every exit code but 0 into 1. So the module's `proc_exit` is renamed, before
/// the adapter sees it, to a function of ours with the same signature.
fn rename_exit(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut renamed = wasm_encoder::Module::new();
    RenameExit
        .parse_core_module(&mut renamed, Parser::new(0), module)
        .map_err(|error| error.to_string())?;
    let mut bytes = renamed.finish();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("exit.wit", EXIT_WORLD).map_err(|error| format!("{error:#}"))?;
    let world =
        resolve.select_world(&[package], Some("exits")).map_err(|error| format!("{error:#}"))?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| format!("{error:#}"))?;
    Ok(bytes)
}

struct RenameExit;

impl Reencode for RenameExit {
    type Error = std::convert::Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), ReencodeError<Self::Error>> {
        for import in section.into_imports() {
            let import = import?;
            let is_exit = import.module == WASIP1 && import.name == "proc_exit";
            let (module, name) = if is_exit {
                (EXIT_INTERFACE, EXIT_FUNCTION)
            } else {
                (import.module, import.name)
            };
            imports.import(module, name, self.entity_type(import.ty)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &str) {
        let error = to_component(bytes).unwrap_err();
        assert!(error.contains(expect), "{error}");
    }

    #[test]
    fn what_is_not_wasm_is_called_by_its_name() {
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[18] = 62;
        check(&elf, "is not a WebAssembly program (it looks like an ELF/x86-64 Linux program)");
        check(b"MZ\x90\0", "a Windows program");
        check(b"", "it is empty");
        check(b"hello\n", "it looks like text");
        check(b"\xff\xfe\x00\x01", "unknown content");
    }

    #[test]
    fn a_library_is_refused_with_what_it_exports() {
        let mut module = wasm_encoder::Module::new();
        let mut memories = wasm_encoder::MemorySection::new();
        memories.memory(wasm_encoder::MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = wasm_encoder::ExportSection::new();
        exports.export("memory", wasm_encoder::ExportKind::Memory, 0);
        module.section(&memories).section(&exports);
        check(&module.finish(), "exports `memory`, but no `_start`");
    }

    #[test]
    fn a_cut_off_module_is_damaged() {
        check(b"\0asm\x01\0\0\0\x01\x20\x01", "is damaged");
    }
}
