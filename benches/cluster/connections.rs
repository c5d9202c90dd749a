//! Open connections that say nothing: what each costs, and that all of them still work.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use sampan::client::clock::Clock;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table};
use crate::guests;
use crate::http::Connection;
use crate::server::Home;
use crate::tcp::{self, HELLO};

const MANY: usize = 10_000;
const IDLE: Duration = Duration::from_secs(5);
/// Until all that opening them set off is over.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let program = home.path("server.wasm");
    std::fs::write(&program, guests::component("server"))?;
    let images = home.path("").display().to_string();
    let server = home.start_with(&["--allow-images", &images]).await?;
    let address = serve(&server.connect().await?, &format!("file://{}", program.display())).await?;
    HELLO.soon(address).await?;
    let clock = Clock::system();
    clock.sleep(SETTLE).await;
    let before = server.usage().context("only where there is /proc")?;
    let (mut streams, mut opened) = (Vec::with_capacity(MANY), Samples::default());
    let begin = Instant::now();
    for n in 0..MANY {
        let asked = Instant::now();
        streams.push(open(address).await.with_context(|| format!("connection {n}"))?);
        opened.push(asked.elapsed());
    }
    table.rate("NodePort: connect, one request, stay", &opened, begin.elapsed());
    clock.sleep(SETTLE).await;
    let idle = server.usage().context("only where there is /proc")?;
    clock.sleep(IDLE).await;
    let after = server.usage().context("only where there is /proc")?;
    let each = after.bytes.saturating_sub(before.bytes) as f64 / MANY as f64 / 1024.0;
    let remark = "PSS and page tables of sampan; the kernel's own not counted";
    table.figure("memory per open connection, idle", MANY, &format!("{each:.1} KiB"), remark);
    let share = (after.cpu - idle.cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    table.figure("CPU with all of them open over 5 s", MANY, &format!("{share:.1} %"), "of a core");
    let mut samples = Samples::default();
    for stream in &mut streams {
        let asked = Instant::now();
        HELLO.on(stream).await?;
        samples.push(asked.elapsed());
    }
    table.times("a request over each of them", &samples, "");
    drop(streams);
    server.stop().await
}

async fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = tcp::connect(address).await?;
    HELLO.on(&mut stream).await?;
    Ok(stream)
}

async fn serve(client: &Connection, image: &str) -> anyhow::Result<SocketAddr> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [
            {"name": "web", "image": image, "ports": [{"containerPort": 8080}]},
        ]},
    });
    client.post(PODS, pod.to_string().into()).await?;
    let ports = json!([{"port": 80, "targetPort": 8080}]);
    api::node_port(client, "web", json!({"selector": {"app": "web"}, "ports": ports})).await
}
