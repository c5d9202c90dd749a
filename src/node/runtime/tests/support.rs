use std::io::Write as _;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use super::super::*;
use crate::node::files::Layer;

/// A runtime, an image directory and what containers need.
pub(super) struct Bench {
    pub(super) runtime: Runtime,
    pub(super) directory: TempDir,
    pub(super) clock: Clock,
}

/// What a container printed.
#[derive(Clone, Default)]
pub(super) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    pub(super) fn with_clock(clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("image/bin")).unwrap();
        Self { runtime: runtime(&directory, clock.clone()), directory, clock }
    }

    /// Another process on the same cache.
    pub(super) fn restart(&mut self) {
        self.runtime = runtime(&self.directory, self.clock.clone());
    }

    /// Puts a program into the image: WebAssembly's text format.
    pub(super) fn program(self, name: &str, text: &str) -> Self {
        self.file(&format!("bin/{name}"), &wat::parse_str(text).unwrap())
    }

    pub(super) fn file(self, path: &str, bytes: &[u8]) -> Self {
        let path = self.directory.path().join("image").join(path);
        std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
        self
    }

    pub(super) fn root(&self) -> Arc<Root> {
        let upper = tempfile::tempdir_in(self.directory.path()).unwrap().keep();
        let open = |path| Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        let image = Layer::from(open(self.directory.path().join("image")));
        Arc::new(Root::new(Some(Arc::new(image)), open(upper)))
    }

    pub(super) fn spec(&self, argv: &[&str]) -> (ContainerSpec, Printed) {
        let printed = Printed::default();
        let log = |printed: Printed| -> Output {
            Output::Log(Arc::new(move |bytes: &[u8]| printed.0.lock().extend_from_slice(bytes)))
        };
        let spec = ContainerSpec {
            name: "test".to_owned(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            working_dir: "/".to_owned(),
            root: self.root(),
            tools: None,
            http: Http::default(),
            memory_bytes_max: None,
            cpu_millis_max: None,
            stdio: Stdio {
                stdin: None,
                stdout: log(printed.clone()),
                stderr: log(printed.clone()),
                ..Stdio::default()
            },
        };
        (spec, printed)
    }

    pub(super) async fn start(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        self.runtime.sandbox("pod", None).start(spec).await
    }

    pub(super) async fn start_on(
        &self,
        network: &PodNetwork,
        argv: &[&str],
    ) -> (Container, Printed) {
        let (spec, printed) = self.spec(argv);
        let sandbox = self.runtime.sandbox("pod", Some(network.clone()));
        (sandbox.start(spec).await.unwrap(), printed)
    }

    /// Runs a command to its end, in a Pod.
    pub(super) async fn run_on(&self, network: &PodNetwork, argv: &[&str]) -> (Exit, String) {
        let (container, printed) = self.start_on(network, argv).await;
        (container.wait().await, printed.text())
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, argv: &[&str]) -> (Exit, String) {
        let (spec, printed) = self.spec(argv);
        let exit = self.start(spec).await.unwrap().wait().await;
        (exit, printed.text())
    }

    pub(super) async fn refusal(&self, argv: &[&str]) -> StartError {
        let (spec, _) = self.spec(argv);
        self.start(spec).await.unwrap_err()
    }
}

impl Printed {
    /// Waits until it is there.
    pub(super) async fn until(&self, text: &str) {
        while !self.text().contains(text) {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

/// A program of `wasm-workloads/testing`, built when it is first asked for.
pub(super) fn guest(name: &str) -> Vec<u8> {
    let workloads = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-workloads");
    let mut cargo = std::process::Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "--release", "--quiet", "--locked", "--target", "wasm32-wasip2"]);
    cargo.args(["--package", "sampan-testing", "--bin", name]).current_dir(&workloads);
    // The host build's settings are not the guests'.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
    {
        cargo.env_remove(name);
    }
    let target_directory = workloads.join("target");
    assert!(cargo.arg("--target-dir").arg(&target_directory).status().unwrap().success());
    let path = format!("wasm32-wasip2/release/{name}.wasm");
    std::fs::read(target_directory.join(path)).unwrap()
}

fn runtime(directory: &TempDir, clock: Clock) -> Runtime {
    let cache_directory = directory.path().join("cache");
    Runtime::new(Config { cache_directory, instances_max: 40 }, clock).unwrap()
}

/// A stream to give away and its other end, read to the end.
pub(super) fn collected() -> (BoxWrite, impl Future<Output = String>) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let collect = async move {
        let mut ours = ours;
        let mut text = String::new();
        ours.read_to_string(&mut text).await.unwrap();
        text
    };
    (Box::new(theirs), collect)
}

/// A program that prints `text`, then does `body`.
pub(super) fn prints(text: &str, body: &str) -> String {
    let len = text.len();
    let text = text.replace('\n', "\\n");
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00") (data (i32.const 4) "{len_hex}")
        (data (i32.const 16) "{text}")
        (func $recurse (result i32) (i32.add (call $recurse) (i32.const 1)))
        (func (export "_start")
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            {body}))"#,
        len_hex = (len as u32).to_le_bytes().map(|byte| format!("\\{byte:02x}")).concat(),
    )
}
