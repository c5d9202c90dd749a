//! Requests to a component of wasi:http behind a NodePort, and the same component in `wasmtime serve`
//! if `PEER` names that program; in turns, in one run.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::api::{self, PODS};
use crate::figures::Table;
use crate::guests;
use crate::http::Connection;
use crate::peers::{self, Peer};
use crate::server::Home;
use crate::tcp::HELLO;

const CONNECTIONS: [usize; 2] = [1, 64];

/// `wasmtime serve`, as it comes, and with the knobs that this engine has turned, too.
const PEERS: &[(&str, &[&str])] = &[
    ("wasmtime serve", &[]),
    (
        "wasmtime serve, tuned",
        &[
            "-Opooling-allocator=y",
            "-Opooling-memory-keep-resident=1048576",
            "-Opooling-table-keep-resident=65536",
            "-Opooling-async-stack-keep-resident=65536",
            "-Opooling-decommit-batch-size=16",
            "-Opooling-pagemap-scan=y",
        ],
    ),
];

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let program = home.path("server.wasm");
    std::fs::write(&program, guests::component("server"))?;
    let images = home.path("").display().to_string();
    let server = home.start_with(&["--allow-images", &images]).await?;
    let client = server.connect().await?;
    let mut servers = Vec::new();
    for (name, reuse) in [("an instance per request", 1), ("an instance per 128", 128)] {
        let address = serve(&client, &program, reuse).await?;
        servers.push((format!("NodePort, {name}"), address));
    }
    let mut running = Vec::new();
    match peers::program("PEER") {
        Ok(program_of_peer) => {
            for (name, options) in PEERS {
                let (address, peer) = start_peer(&program_of_peer, options, &program)?;
                servers.push(((*name).to_owned(), address));
                running.push(peer);
            }
        }
        Err(error) => table.failed("wasmtime serve", &error),
    }
    for (_, address) in &servers {
        HELLO.soon(*address).await?;
    }
    for connections in CONNECTIONS {
        HELLO.compare(table, "GET", &servers, connections).await?;
    }
    drop(running);
    server.stop().await
}

/// A Pod of the component, and a NodePort before it.
async fn serve(client: &Connection, program: &Path, reuse: u32) -> anyhow::Result<SocketAddr> {
    let name = format!("web-{reuse}");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "labels": {"app": name},
            "annotations": {"sampan.dev/http-reuse": reuse.to_string()},
        },
        "spec": {"containers": [{
            "name": "web", "image": format!("file://{}", program.display()),
            "ports": [{"containerPort": 8080}],
        }]},
    });
    client.post(PODS, pod.to_string().into()).await?;
    let spec = json!({"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]});
    api::node_port(client, &name, spec).await
}

fn start_peer(peer: &str, options: &[&str], program: &Path) -> anyhow::Result<(SocketAddr, Peer)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = Command::new(peer);
    command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(options).arg(program);
    Ok((address, Peer::start(&mut command)?))
}
