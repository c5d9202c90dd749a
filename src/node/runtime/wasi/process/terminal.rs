//! The terminal behind a handle.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::Handle;
use super::wit::terminal::{Host, ModeSet, WindowSize};
use crate::client::node_api::TerminalSize;
use crate::node::runtime::process::Process;
use crate::node::runtime::terminal::{Modes, Terminal};

impl Process {
    fn terminal(&self, of: &Resource<Handle>) -> wasmtime::Result<Option<Arc<Terminal>>> {
        Ok(self.handle(of)?.terminal().cloned())
    }
}

impl Host for Process {
    fn size(&mut self, of: Resource<Handle>) -> wasmtime::Result<Option<WindowSize>> {
        let size = self.terminal(&of)?.map(|terminal| terminal.size());
        Ok(size.map(|TerminalSize { width, height }| WindowSize { columns: width, rows: height }))
    }

    fn set_size(&mut self, of: Resource<Handle>, size: WindowSize) -> wasmtime::Result<()> {
        if let Some(terminal) = self.terminal(&of)? {
            terminal.set_size(TerminalSize { width: size.columns, height: size.rows });
        }
        Ok(())
    }

    fn modes(&mut self, of: Resource<Handle>) -> wasmtime::Result<Option<ModeSet>> {
        let modes = self.terminal(&of)?.map(|terminal| terminal.modes());
        Ok(modes.map(|modes| ModeSet {
            canonical: modes.canonical,
            echo: modes.echo,
            signals: modes.signals,
            return_is_newline: modes.return_is_newline,
            newline_returns: modes.newline_returns,
        }))
    }

    fn set_modes(&mut self, of: Resource<Handle>, modes: ModeSet) -> wasmtime::Result<()> {
        if let Some(terminal) = self.terminal(&of)? {
            terminal.set_modes(Modes {
                canonical: modes.canonical,
                echo: modes.echo,
                signals: modes.signals,
                return_is_newline: modes.return_is_newline,
                newline_returns: modes.newline_returns,
            });
        }
        Ok(())
    }

    fn flush_input(&mut self, of: Resource<Handle>) -> wasmtime::Result<()> {
        if let Some(terminal) = self.terminal(&of)? {
            terminal.flush_input();
        }
        Ok(())
    }

    fn foreground(&mut self, of: Resource<Handle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.terminal(&of)?.map(|terminal| terminal.foreground()))
    }

    fn set_foreground(&mut self, of: Resource<Handle>, group: u32) -> wasmtime::Result<()> {
        if let Some(terminal) = self.terminal(&of)? {
            terminal.set_foreground(group);
        }
        Ok(())
    }
}
