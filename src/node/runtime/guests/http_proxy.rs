//! Servers: components that export wasi:http/incoming-handler. Recognised, and refused with a clear
//! word, until Pods have a network.

use wasmtime::component::InstancePre;

use super::{Guest, Runnable};
use crate::node::runtime::process::Process;

pub(super) struct HttpProxy;

impl Guest for HttpProxy {
    fn name(&self) -> &'static str {
        "http-proxy"
    }

    fn export(&self) -> &'static str {
        "wasi:http/incoming-handler@0.2."
    }

    fn prepare(&self, _: InstancePre<Process>) -> Result<Box<dyn Runnable>, String> {
        Err("it serves wasi:http, which this version of sampan does not run yet; \
             a wasi:cli/command component does run"
            .to_owned())
    }
}
