//! Bytes through a NodePort to a server of the machine's own, outside the Pods' network: directly,
//! through sampan, and through nginx's stream proxy if `NGINX` names that program; in turns.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::api;
use crate::figures::Table;
use crate::http::Connection;
use crate::peers::{self, Peer};
use crate::server::Home;
use crate::tcp::{self, Exchange};

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const CONNECTIONS: [usize; 2] = [1, 64];
const BULK_BYTES: usize = 2 << 30;
const BULK_ROUNDS: usize = 3;
const CHUNK: usize = 256 * 1024;
/// 64 bytes that come back as they are.
const ECHO: Exchange = Exchange { question: WORDS, begins: WORDS, ends: WORDS };
const WORDS: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let machine = address_of_machine().context("this machine has one address only, loopback")?;
    let listener = TcpListener::bind(SocketAddr::new(machine, 0)).await?;
    let backend = listener.local_addr()?;
    let tasks = TaskTracker::new();
    let serving = tasks.spawn(serve(listener, tasks.clone()));
    let home = Home::new()?;
    let server = home.start_with(&["--egress-grant", &backend.to_string()]).await?;
    let mut ways = vec![
        ("directly".to_owned(), backend),
        ("sampan's NodePort".to_owned(), lead_to(&server.connect().await?, backend).await?),
    ];
    let mut nginx = None;
    match peers::program("NGINX") {
        Ok(program) => {
            let (address, child) = start_nginx(&program, &home.path("nginx"), backend)?;
            ways.push(("nginx stream".to_owned(), address));
            nginx = Some(child);
        }
        Err(error) => table.failed("nginx stream", &error),
    }
    for (_, address) in &ways {
        ECHO.soon(*address).await?;
    }
    for connections in CONNECTIONS {
        ECHO.compare(table, "64 bytes to and fro", &ways, connections).await?;
    }
    for round in 1..=BULK_ROUNDS {
        for (name, address) in &ways {
            let rate = bulk(*address).await?;
            let what = format!("bytes to and fro, round {round}: {name}");
            table.figure(&what, 1, &format!("{rate:.2} GiB/s"), "each way");
        }
    }
    drop(nginx);
    serving.abort();
    server.stop().await
}

/// Echoes all connections.
async fn serve(listener: TcpListener, tasks: TaskTracker) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tasks.spawn(async move {
            // A connection of a client that has had enough breaks off.
            let _ = stream.set_nodelay(true);
            let mut buffer = vec![0; CHUNK];
            while let Ok(read) = stream.read(&mut buffer).await {
                if read == 0 || stream.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// GiB/s there, while the same comes back. Neither side closes before all is there: nginx would not
/// pass the rest on.
async fn bulk(address: SocketAddr) -> anyhow::Result<f64> {
    let (mut reader, mut writer) = tcp::connect(address).await?.into_split();
    let begin = Instant::now();
    let sending = TaskTracker::new().spawn(async move {
        let chunk = vec![0x5a; CHUNK];
        for _ in 0..BULK_BYTES / CHUNK {
            writer.write_all(&chunk).await?;
        }
        std::io::Result::Ok(writer)
    });
    let (mut buffer, mut total) = (vec![0; CHUNK], 0);
    while total < BULK_BYTES {
        match reader.read(&mut buffer).await? {
            0 => break,
            read => total += read,
        }
    }
    drop(sending.await??);
    ensure!(total == BULK_BYTES, "{total} bytes came back of {BULK_BYTES}");
    Ok(BULK_BYTES as f64 / f64::from(1 << 30) / begin.elapsed().as_secs_f64())
}

/// A Service without a selector, whose only endpoint is outside.
async fn lead_to(client: &Connection, backend: SocketAddr) -> anyhow::Result<SocketAddr> {
    let ports = json!([{"port": 80}]);
    let address = api::node_port(client, "outside", json!({"ports": ports})).await?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "outside", "labels": {"kubernetes.io/service-name": "outside"}},
        "addressType": "IPv4", "endpoints": [{"addresses": [backend.ip()]}],
        "ports": [{"name": "", "port": backend.port(), "protocol": "TCP"}],
    });
    client.post(SLICES, slice.to_string().into()).await?;
    Ok(address)
}

/// The address from which this machine would reach others; nothing is sent.
fn address_of_machine() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

fn start_nginx(
    program: &str,
    directory: &Path,
    backend: SocketAddr,
) -> anyhow::Result<(SocketAddr, Peer)> {
    std::fs::create_dir(directory)?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let modules = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load =
        if Path::new(modules).exists() { format!("load_module {modules};") } else { String::new() };
    // One process, so that stopping it stops all; like sampan it then has one thread for the bytes.
    let config = format!(
        "{load} daemon off; master_process off; pid {pid}; error_log {log};
        events {{ worker_connections 4096; }}
        stream {{ server {{ listen {address}; proxy_pass {backend}; }} }}",
        pid = directory.join("pid").display(),
        log = directory.join("error.log").display(),
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).arg("-c").arg(&file);
    Ok((address, Peer::start(&mut command)?))
}
