//! What files cost a guest: in its image, in its own layer, in volumes; beside the same program
//! natively, and under `wasmtime run --dir` if `PEER` names a wasmtime. Figures are printed, never
//! asserted: see `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run has nothing to say")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::Mutex;
use sampan::client::clock::Clock;
use sampan::node::files::{Layer, Mount, Quota, Root, Volume};
use sampan::node::runtime::{Config, ContainerSpec, Http, LogSink, Output, Runtime, Stdio};

const BUILD: &str = "first, in wasm-workloads: cargo build --release -p sampan-testing --bin file-bench, \
     and again with --target wasm32-wasip2";

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-workloads/target");
    let (native, guest) =
        (target.join("release/file-bench"), target.join("wasm32-wasip2/release/file-bench.wasm"));
    std::fs::create_dir_all(directory.join("image/bin")).unwrap();
    std::fs::create_dir_all(directory.join("image/srv/a/b")).unwrap();
    std::fs::write(directory.join("image/srv/a/b/index.html"), vec![b'x'; 1000]).unwrap();
    std::fs::copy(&guest, directory.join("image/bin/file-bench")).expect(BUILD);
    show("", "_ stat\n_ miss\n_ open\n_ and read\n_ write\n_ read");
    show("", "_ ns\n_ ns\n_ ns\n_ ns\n_ MiB/s\n_ MiB/s");
    let runtime = Runtime::new(
        Config { cache_directory: directory.join("cache"), instances_max: 10 },
        Clock::system(),
    )
    .unwrap();
    for round in 0..3 {
        show("natively", &of_command(Command::new(&native).arg(make(directory, "native"))));
        if let Some(peer) = std::env::var_os("PEER") {
            let host = make(directory, "peer");
            let mut run = Command::new(peer);
            run.arg("run").arg("--dir").arg(format!("{}::/", host.display())).arg(&guest).arg("/");
            show("wasmtime run --dir", &of_command(&mut run));
        }
        for (name, path) in [
            ("image", "/srv"),
            ("own layer", "/own"),
            ("volume", "/volume"),
            ("volume with a quota", "/counted"),
        ] {
            let root = root(directory, &format!("{round}-{}", &path[1..]));
            show(name, &in_container(&runtime, root, path).await);
        }
        println!();
    }
    runtime.shutdown().await;
}

fn make(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn root(directory: &Path, name: &str) -> Root {
    let open =
        |name: &str| Dir::open_ambient_dir(make(directory, name), ambient_authority()).unwrap();
    let image = Arc::new(Layer::from(open("image")));
    let upper = open(&format!("upper-{name}"));
    let upper = Volume::empty(move || upper.try_clone(), None);
    let mut root = Root::new([image], upper);
    let counted = Quota::new(1 << 30);
    let volumes = [
        ("/volume", Volume::from(open(&format!("volume-{name}")))),
        ("/counted", Volume::with_quota(open(&format!("counted-{name}")), counted.into())),
    ];
    let mount = |(path, volume): (&str, Volume)| Mount {
        path: path.to_owned(),
        source: volume.whole(),
        read_only: false,
    };
    root.mount_all(volumes.map(mount)).unwrap();
    root
}

async fn in_container(runtime: &Runtime, root: Root, path: &str) -> String {
    let printed = Arc::new(Mutex::new(Vec::new()));
    let to = printed.clone();
    let log: LogSink = Arc::new(move |bytes| to.lock().extend_from_slice(bytes));
    let spec = ContainerSpec {
        name: "bench".to_owned(),
        argv: vec!["/bin/file-bench".to_owned(), path.to_owned()],
        env: Vec::new(),
        working_dir: "/".to_owned(),
        root: Arc::new(root),
        tools: None,
        memory_bytes_max: None,
        cpu_millis_max: None,
        http: Http::default(),
        stdio: Stdio {
            stdout: Output::Log(log.clone()),
            stderr: Output::Log(log),
            ..Stdio::default()
        },
    };
    let container = runtime.sandbox("bench", None).start(spec).await.unwrap();
    let exit = container.wait().await;
    let printed = String::from_utf8(printed.lock().clone()).unwrap();
    assert_eq!(exit.code, 0, "{printed}");
    printed
}

fn of_command(command: &mut Command) -> String {
    let output = command.output().expect(BUILD);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn show(name: &str, printed: &str) {
    let figures = printed.lines().filter_map(|line| line.split_once(' '));
    let figures: String = figures.map(|(_, figure)| format!(" {figure:>8}")).collect();
    println!("{name:<34}{figures}");
}
