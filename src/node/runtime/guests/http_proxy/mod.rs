//! Servers: components that export wasi:http/incoming-handler. The host owns their ports and speaks
//! HTTP; an instance is called for each request.
//!
//! ```text
//! mod         which ports; accept
//! connection  HTTP/1.1 or HTTP/2, time-outs, the goodbye of a Pod that drains
//! request     one request: an instance, its call, the response; what goes wrong
//! instances   made, waiting for their next request, let go
//! ```
//!
//! A server is one process with any number of instances: `ps` shows one line with the time and the
//! memory of all. An instance that trapped costs its request only: 500, and a line in the log.

mod connection;
mod instances;
mod request;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use self::instances::{First, Instances};
use super::{Guest, Runnable};
use crate::node::network::{Error, Listener, PodNetwork};
use crate::node::runtime::container::Shared;
use crate::node::runtime::metered::Metered;
use crate::node::runtime::process::{self, Process, Start};
use crate::node::runtime::signals::{self, Disposition};
use crate::node::runtime::wasi::Listen;
use crate::telemetry::{HttpRequests, HttpServer};

/// Where a server is to be found that does not say.
const DEFAULT_PORT: u16 = 80;

pub(super) struct HttpProxy;

/// A linked server.
struct Linked {
    proxy: ProxyPre<Process>,
    listen: Option<Listen>,
}

/// A server that runs.
struct Server {
    start: Start,
    pod: PodNetwork,
    instances: Instances,
    requests: HttpRequests,
    /// For connections whose heads may be large.
    roomy: Semaphore,
    connections: TaskTracker,
    /// Its connections are to end when they have nothing to do.
    quits: CancellationToken,
}

impl Guest for HttpProxy {
    fn name(&self) -> &'static str {
        "http-proxy"
    }

    fn export(&self) -> &'static str {
        "wasi:http/incoming-handler@0.2."
    }

    fn prepare(&self, instance: InstancePre<Process>) -> Result<Box<dyn Runnable>, String> {
        let listen = Listen::of(&instance);
        let proxy = ProxyPre::new(instance).map_err(|error| format!("{error:#}"))?;
        Ok(Box::new(Linked { proxy, listen }))
    }
}

impl Runnable for Linked {
    fn serves(&self) -> bool {
        true
    }

    fn run(&self, mut start: Start) -> BoxFuture<'_, wasmtime::Result<i32>> {
        Box::pin(async move {
            let (ports, first) = match self.ports(&start).await? {
                Ok((ports, _)) if ports.is_empty() => return Ok(0),
                Ok(answer) => answer,
                Err(text) => {
                    start.tell(&text).await;
                    return Ok(1);
                }
            };
            let Some(pod) = start.container.network.clone() else {
                return Ok(start.refuse("its Pod has no network").await);
            };
            let listeners = match ports.iter().map(|port| open(&pod, *port)).collect() {
                Ok::<Vec<_>, String>(listeners) => listeners.into_iter().flatten(),
                Err(text) => return Ok(start.refuse(&text).await),
            };
            if let Some(ready) = start.launch.ready.take() {
                // Nobody may be waiting.
                let _ = ready.send(());
            }
            let instances = Instances::new(self.proxy.clone(), self.reuse(&start.container));
            if let Some(first) = first {
                instances.adopt(first, &start)?;
            }
            start.container.serves_requests();
            let counted = start.container.http.server.as_ref();
            let requests = counted.map(HttpServer::requests).unwrap_or_default();
            let roomy = Semaphore::new(connection::ROOMY_MAX);
            let server = Arc::new(Server {
                start,
                pod,
                instances,
                requests,
                roomy,
                connections: TaskTracker::new(),
                quits: CancellationToken::new(),
            });
            server.run(listeners).await;
            Ok(0)
        })
    }
}

impl Linked {
    /// What the component says, or else the Pod; and the instance that said it.
    async fn ports(
        &self,
        start: &Start,
    ) -> wasmtime::Result<Result<(Vec<u16>, Option<First>), String>> {
        let Some(listen) = self.listen.clone() else {
            let ports = start.container.http.ports.clone();
            return Ok(Ok((if ports.is_empty() { vec![DEFAULT_PORT] } else { ports }, None)));
        };
        let meter = start.entry.meter.another();
        let process = Process::another(start);
        let mut store = process::store(self.proxy.engine(), process, meter.clone());
        let arguments = start.launch.argv.clone();
        let call = async move {
            let (instance, ports) = listen.call(&mut store, &arguments).await?;
            Ok::<_, wasmtime::Error>((store, instance, ports))
        };
        let machine = start.container.machine.clone();
        let (store, instance, ports) = Metered::new(call, machine, meter.clone()).await?;
        Ok(ports.map(|mut ports| {
            ports.sort_unstable();
            ports.dedup();
            (ports, Some(First { store, instance, meter }))
        }))
    }

    /// Requests that one instance answers. Who says its ports is one of our images, made for it.
    fn reuse(&self, container: &Shared) -> u32 {
        let allowed = if self.listen.is_some() { u32::MAX } else { 1 };
        container.http.reuse.unwrap_or(allowed)
    }
}

/// Listens at all addresses of the Pod.
fn open(pod: &PodNetwork, port: u16) -> Result<[Listener; 2], String> {
    let listen = |ip: IpAddr| {
        pod.listen(SocketAddr::new(ip, port)).map_err(|error| {
            let hint = match error {
                Error::AddressInUse => ": another server of this Pod has the port",
                _ => "",
            };
            format!("cannot listen on port {port}: {error}{hint}")
        })
    };
    Ok([listen(Ipv4Addr::UNSPECIFIED.into())?, listen(Ipv6Addr::UNSPECIFIED.into())?])
}

impl Start {
    /// Says why the server does not run; answers its exit code.
    async fn refuse(&self, why: &str) -> i32 {
        self.say(why).await;
        1
    }

    /// A line of the host's in the container's log.
    async fn say(&self, what: &str) {
        let name = self.launch.argv.first().map(String::as_str).unwrap_or_default();
        self.tell(&format!("{name}: {what}")).await;
    }

    /// A line of the guest's own, as it is.
    async fn tell(&self, text: &str) {
        let line = format!("{}\n", text.trim_end());
        // Nobody may be left to read it.
        let _ = self.launch.stderr.write(line.as_bytes()).await;
    }
}

impl Server {
    /// Until the Pod leaves the network, or the process is told to quit: then nobody is let in any more,
    /// and those who are there are served to their end, as nginx does by this signal.
    async fn run(self: &Arc<Self>, listeners: impl Iterator<Item = Listener>) {
        let told = &self.start.entry.signals;
        told.handle(signals::QUIT, Disposition::Catch);
        let accepting = listeners.map(|listener| self.clone().accept(listener));
        let serve = futures::future::join_all(accepting);
        let clock = &self.start.container.runtime.clock;
        tokio::select! {
            _ = futures::future::join(serve, self.instances.forget_idle(clock)) => return,
            () = told.arrived(signals::QUIT) => {}
        }
        self.quits.cancel();
        self.connections.close();
        self.connections.wait().await;
    }

    async fn accept(self: Arc<Self>, listener: Listener) {
        while let Ok(stream) = listener.accept().await {
            let connection = connection::serve(self.clone(), stream);
            self.spawn(self.connections.track_future(connection));
        }
    }

    /// Until its connections are to come to their end.
    async fn leaving(&self) {
        tokio::select! {
            () = self.pod.draining() => {}
            () = self.quits.cancelled() => {}
        }
    }

    fn is_leaving(&self) -> bool {
        self.pod.is_draining() || self.quits.is_cancelled()
    }

    /// Ends with the server.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.start.kill.clone();
        self.start.container.spawn_task(async move {
            tokio::select! {
                biased;
                () = kill.turned() => {}
                () = task => {}
            }
        });
    }
}
