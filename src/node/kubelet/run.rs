//! Starts one container: image, environment, files, log, program.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use k8s_openapi::api::core::v1::{Container as ContainerSpecOfPod, Pod};

use super::attach::Hub;
use super::env::{self, Needed, Sources};
use super::etc::Etc;
use super::lifecycle::Context;
use super::logs::{Log, Stream};
use super::pod_worker::StartFailure;
use super::references;
use super::stats::Meter;
use super::termination;
use super::volumes::{self, Volumes};
use crate::api::downward::Facts;
use crate::api::object::ObjectKey;
use crate::api::quantity::Quantity;
use crate::client::cache::key_of;
use crate::client::events::EventType;
use crate::client::lookup::look_up;
use crate::node::files::{Quota, Root, Volume};
use crate::node::images::{self, Image};
use crate::node::runtime::{
    Container, ContainerSpec, Http, Output, Sandbox, StartError, Stdio, Tools,
};
use crate::telemetry::HttpServer;

/// Which container to start, and with what around it.
pub(super) struct Order {
    pub(super) pod: Arc<Pod>,
    pub(super) container: ContainerSpecOfPod,
    /// Runs begun before this one.
    pub(super) run: u32,
    /// Or why there is none, as the user reads it.
    pub(super) sandbox: Result<Sandbox, String>,
    pub(super) hostname: String,
    pub(super) etc: Arc<Etc>,
    pub(super) facts: Facts,
    pub(super) volumes: Arc<Volumes>,
    /// `pods/<uid>`
    pub(super) directory: PathBuf,
    /// The account of what the container writes to its own layer.
    pub(super) quota: Option<Arc<Quota>>,
}

/// A container that runs.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) container: Arc<Container>,
    pub(super) log: Arc<Log>,
    pub(super) hub: Arc<Hub>,
    /// Where its writes go: for its termination message.
    pub(super) upper: Volume,
    /// For `kubectl top`.
    pub(super) meter: Arc<Meter>,
    /// The host's file that has its termination message, if it is not among its own.
    pub(super) message: Option<PathBuf>,
}

/// What came of an order.
pub(super) struct Outcome {
    /// Reference and digest, once known.
    pub(super) image: Option<(String, String)>,
    pub(super) started: Result<Live, StartFailure>,
}

/// Starts the container and tells of it in Events.
pub(super) async fn start(ctx: Arc<Context>, order: Order) -> Outcome {
    let image = match find_image(&ctx, &order).await {
        Ok(image) => image,
        Err(failure) => return Outcome { image: None, started: Err(failure) },
    };
    let started = start_from(&ctx, &order, &image).await;
    Outcome { image: Some((image.reference.clone(), image.digest.clone())), started }
}

async fn find_image(ctx: &Context, order: &Order) -> Result<Arc<Image>, StartFailure> {
    let asked = order.container.image.as_deref().unwrap_or_default();
    match ctx.rooms.images.resolve(asked).await {
        Ok(image) => {
            let text = format!("Container image {asked:?} already present on machine");
            tell(ctx, order, "Pulled", text);
            if let Some(stand_in) = &image.stand_in {
                tell(ctx, order, "StandIn", stand_in.clone());
            }
            Ok(image)
        }
        Err(images::Error::InvalidName(message)) => {
            Err(StartFailure::Image { reason: "InvalidImageName", message })
        }
        Err(images::Error::NotFound(message) | images::Error::Failed(message)) => {
            tell(ctx, order, "Pulling", format!("Pulling image {asked:?}"));
            Err(StartFailure::Image { reason: "ErrImagePull", message })
        }
    }
}

async fn start_from(ctx: &Context, order: &Order, image: &Image) -> Result<Live, StartFailure> {
    let spec = &order.container;
    let sandbox = order.sandbox.clone().map_err(StartFailure::Config)?;
    let sources = sources(ctx, order).await.map_err(StartFailure::Config)?;
    let env =
        env::environment(&order.pod, spec, &image.env, &order.hostname, &order.facts, &sources)
            .map_err(StartFailure::Config)?;
    let argv = env::argv(spec, &image.entrypoint, &image.cmd, &env);
    if argv.is_empty() {
        return Err(StartFailure::Create("no command specified".to_owned()));
    }
    let mut mounts = volumes::mounts(spec, &order.volumes, &env).map_err(StartFailure::Config)?;
    let made = |error: &dyn std::fmt::Display| {
        StartFailure::Create(format!("failed to make the container's files: {error}"))
    };
    forget_layers(order).await.map_err(|error| made(&error))?;
    let log = log_directory(&order.directory, &spec.name);
    let log =
        Log::create(&log, order.run, ctx.rooms.clock.clone()).map_err(|error| made(&error))?;
    let log = Arc::new(log);
    let message = termination::mount(spec, &layers(order), order.run);
    let message = message.map_err(|error| made(&error))?;
    let (message_mount, message) = message.unzip();
    mounts.extend(message_mount);
    let (upper, now) = (upper(order), ctx.rooms.clock.now().into());
    let mut root = Root::new(image.layers.iter().cloned(), upper.clone())
        .with_time(now)
        .with_files(order.etc.files());
    root.mount_all(mounts).map_err(|(path, error)| {
        StartFailure::Create(format!("failed to mount a volume at {path}: {error}"))
    })?;
    let (hub, ends) = Hub::new(spec);
    let limits = spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let limit = |name: &str| {
        limits.and_then(|limits| limits.get(name)).and_then(|text| Quantity::parse(&text.0).ok())
    };
    let mut http = http(&order.pod, spec).map_err(StartFailure::Config)?;
    http.server = Some(http_server(ctx, &order.pod, &spec.name));
    let container = ContainerSpec {
        name: spec.name.clone(),
        argv,
        env,
        working_dir: working_dir(spec, image),
        root: Arc::new(root),
        tools: tools_for(ctx, image),
        memory_bytes_max: limit("memory").and_then(|limit| u64::try_from(limit.value()).ok()),
        cpu_millis_max: limit("cpu").and_then(|limit| u64::try_from(limit.millis()).ok()),
        stdio: Stdio {
            stdin: ends.stdin,
            stdout: sink(&log, &hub, Stream::Stdout),
            stderr: sink(&log, &hub, Stream::Stderr),
            terminal: ends.terminal,
        },
        http,
    };
    tell(ctx, order, "Created", format!("Created container: {}", spec.name));
    let container = sandbox.start(container).await.map_err(start_failure)?;
    tell(ctx, order, "Started", format!("Started container {}", spec.name));
    let meter = Arc::new(Meter::starting(&ctx.rooms.clock));
    Ok(Live { container: Arc::new(container), log, hub, upper, meter, message })
}

/// Where a container's requests are counted, if it serves any.
pub(super) fn http_server(ctx: &Context, pod: &Pod, container: &str) -> HttpServer {
    let ObjectKey { namespace, name } = key_of(pod);
    ctx.rooms.metrics.http_server(&namespace, &name, container)
}

/// The built-in busybox for whoever enters a container of another image.
fn tools_for(ctx: &Context, image: &Image) -> Option<Tools> {
    let images = ctx.rooms.images.clone();
    let lend = move || images.tools().map_err(|error| error.to_string());
    image.stand_in.is_none().then(|| Tools::new(lend))
}

/// `http`: serve a component that is a command as well.
const GUEST_ANNOTATION: &str = "sampan.dev/guest";
/// How many requests one instance of a server answers.
const REUSE_ANNOTATION: &str = "sampan.dev/http-reuse";

/// # Errors
/// If an annotation says what cannot be.
fn http(pod: &Pod, spec: &ContainerSpecOfPod) -> Result<Http, String> {
    let annotation = |name| pod.metadata.annotations.as_ref()?.get(name).map(String::as_str);
    let is_server = match annotation(GUEST_ANNOTATION) {
        None => false,
        Some("http") => true,
        Some(other) => {
            let text = "the only kind that can be asked for is \"http\"";
            return Err(format!("annotation {GUEST_ANNOTATION}: {other:?}: {text}"));
        }
    };
    let reuse = annotation(REUSE_ANNOTATION).map(|text| match text.parse() {
        Ok(reuse @ 1..) => Ok(reuse),
        _ => Err(format!("annotation {REUSE_ANNOTATION}: {text:?}: must be a number from 1 on")),
    });
    let tcp = |protocol: Option<&str>| protocol.is_none_or(|protocol| protocol == "TCP");
    let ports = spec.ports.iter().flatten().filter(|port| tcp(port.protocol.as_deref()));
    let ports = ports.filter_map(|port| u16::try_from(port.container_port).ok());
    Ok(Http { ports: ports.collect(), reuse: reuse.transpose()?, is_server, server: None })
}

fn working_dir(spec: &ContainerSpecOfPod, image: &Image) -> String {
    let given = spec.working_dir.as_deref().filter(|path| !path.is_empty());
    let path = given.unwrap_or(&image.working_dir);
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn start_failure(error: StartError) -> StartFailure {
    let message = error.to_string();
    match error {
        StartError::NotFound(_) => {
            StartFailure::Run { exit_code: 127, reason: "StartError", message }
        }
        StartError::NotExecutable(_) => {
            StartFailure::Run { exit_code: 126, reason: "StartError", message }
        }
        StartError::Host(_) => {
            StartFailure::Run { exit_code: 128, reason: "ContainerCannotRun", message }
        }
    }
}

/// Where the layers of a container's runs are.
fn layers(order: &Order) -> PathBuf {
    order.directory.join("files").join(&order.container.name)
}

/// What earlier runs wrote, be it one that sampan did not live to see end, is of no use any more; it
/// may be a lot.
async fn forget_layers(order: &Order) -> io::Result<()> {
    let layers = layers(order);
    if !layers.exists() {
        return Ok(());
    }
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(layers)).await;
    removed.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The container's writable layer, made when it is first written to.
fn upper(order: &Order) -> Volume {
    let path = layers(order).join(order.run.to_string());
    let make = move || {
        std::fs::create_dir_all(&path)?;
        Dir::open_ambient_dir(&path, ambient_authority())
    };
    Volume::empty(make, order.quota.clone())
}

/// Where a container's logs are, in its Pod's directory.
pub(super) fn log_directory(pod_directory: &Path, container: &str) -> PathBuf {
    pod_directory.join("logs").join(container)
}

fn sink(log: &Arc<Log>, hub: &Arc<Hub>, stream: Stream) -> Output {
    let (log, hub) = (log.clone(), hub.clone());
    Output::Log(Arc::new(move |bytes| {
        log.write(stream, bytes);
        hub.publish(stream, bytes);
    }))
}

/// What the container's environment refers to.
async fn sources(ctx: &Context, order: &Order) -> Result<Sources, String> {
    let needed = Needed::by(&order.container);
    let namespace = order.pod.metadata.namespace.as_deref().unwrap_or_default();
    ctx.rooms.services.synced().await;
    let services = ctx.rooms.services.list();
    let service_variables = env::of_services(&order.pod, &services);
    let mut sources = Sources { service_variables, ..Sources::default() };
    let failed = |error: kube::Error| error.to_string();
    for name in needed.config_maps {
        let key = ObjectKey::new(namespace, name.as_str());
        let found = look_up(&ctx.rooms.config_maps, &ctx.rooms.client, &key).await;
        sources.config_maps.extend(found.map_err(failed)?.map(|found| (name, found)));
    }
    for name in needed.secrets {
        let key = ObjectKey::new(namespace, name.as_str());
        let found = look_up(&ctx.rooms.secrets, &ctx.rooms.client, &key).await;
        sources.secrets.extend(found.map_err(failed)?.map(|found| (name, found)));
    }
    Ok(sources)
}

fn tell(ctx: &Context, order: &Order, reason: &'static str, message: String) {
    let reference = references::container(&order.pod, &order.container.name);
    ctx.recorder.record(&reference, EventType::Normal, reason, message);
}
