//! Containers of images, without a cluster around them.

use std::sync::{Arc, OnceLock};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::Mutex;

use sampan::client::clock::Clock;
use sampan::node::files::{Mount, Root, Volume};
use sampan::node::images::{self, Image, Images};
use sampan::node::network::PodNetwork;
use sampan::node::runtime::{self, Container, ContainerSpec, Http, Output, Runtime, Stdio, Tools};

/// Programs compiled and images laid out by earlier tests are used again.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let config = runtime::Config {
            cache_directory: format!("{KEPT}/shell/cache").into(),
            instances_max: 200,
        };
        Runtime::new(config, Clock::system()).expect("a runtime")
    })
}

pub(crate) async fn busybox() -> Arc<Image> {
    image("busybox").await
}

/// An image by its reference; local ones may come from anywhere.
pub(crate) async fn image(reference: &str) -> Arc<Image> {
    images().resolve(reference).await.expect("the image is there")
}

fn images() -> Images {
    let directory = format!("{KEPT}/shell/images").into();
    Images::new(images::Config { directory, allowed_directories: vec!["/".into()] })
}

/// What a container printed: output, errors, exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) code: i32,
}

/// Starts a container of an image, with its own root; what it printed is had with its exit code.
pub(crate) async fn start(
    image: &Image,
    argv: &[&str],
    stdin: &str,
    memory_bytes_max: Option<u64>,
) -> (Container, impl FnOnce(i32) -> Ran + use<>) {
    start_in(None, image, argv, stdin, memory_bytes_max, Http::default()).await
}

/// The same, in a Pod.
pub(crate) async fn start_in(
    pod: Option<PodNetwork>,
    image: &Image,
    argv: &[&str],
    stdin: &str,
    memory_bytes_max: Option<u64>,
    http: Http,
) -> (Container, impl FnOnce(i32) -> Ran + use<>) {
    start_at(root(image), pod, image, argv, stdin, memory_bytes_max, http).await
}

/// Runs a container of an image with mounts to its end.
pub(crate) async fn run_mounting(image: &Image, argv: &[&str], mounts: Vec<Mount>) -> Ran {
    let mut root = root(image);
    root.mount_all(mounts).expect("they are mounted");
    let http = Http::default();
    let (container, ran) = start_at(root, None, image, argv, "", None, http).await;
    ran(container.wait().await.code)
}

fn root(image: &Image) -> Root {
    let upper = tempfile::tempdir().expect("a directory").keep();
    let upper = Dir::open_ambient_dir(upper, ambient_authority()).expect("a directory");
    Root::new(image.layers.iter().cloned(), Volume::empty(move || upper.try_clone(), None))
}

async fn start_at(
    root: Root,
    pod: Option<PodNetwork>,
    image: &Image,
    argv: &[&str],
    stdin: &str,
    memory_bytes_max: Option<u64>,
    http: Http,
) -> (Container, impl FnOnce(i32) -> Ran + use<>) {
    let root = Arc::new(root);
    let (output, errors) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let log = |to: &Arc<Mutex<Vec<u8>>>| {
        let to = Arc::clone(to);
        Output::Log(Arc::new(move |bytes: &[u8]| to.lock().extend_from_slice(bytes)))
    };
    let spec = ContainerSpec {
        name: "test".to_owned(),
        argv: image
            .entrypoint
            .iter()
            .map(String::as_str)
            .chain(argv.iter().copied())
            .map(str::to_owned)
            .collect(),
        env: image.env.clone(),
        working_dir: image.working_dir.clone(),
        root,
        tools: Some(Tools::new(|| images().tools().map_err(|error| error.to_string()))),
        memory_bytes_max,
        cpu_millis_max: None,
        http,
        stdio: Stdio {
            stdin: Some(Box::new(std::io::Cursor::new(stdin.to_owned().into_bytes()))),
            stdout: log(&output),
            stderr: log(&errors),
            ..Stdio::default()
        },
    };
    let container = runtime().sandbox("pod", pod).start(spec).await.expect("it starts");
    let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock()).into_owned();
    (container, move |code| Ran { output: text(&output), errors: text(&errors), code })
}
