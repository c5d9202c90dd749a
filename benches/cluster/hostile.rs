//! How a server fares beside a hundred Pods that mean harm: its answers over a NodePort, alone and beside
//! them, a request every few milliseconds and one after another.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use sampan::client::clock::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table, on_one_thread};
use crate::guests;
use crate::http::Connection;
use crate::server::Home;
use crate::tcp::{HELLO, connect};

const HOSTILE: usize = 100;
const SPAN: Duration = Duration::from_secs(15);
/// Between two requests of a client that is not in a hurry.
const PAUSE: Duration = Duration::from_millis(5);
/// From the last one's start until they are what they are.
const SETTLED: Duration = Duration::from_secs(3);
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What each of them does, over and over. Without a space: a program of `wasm-workloads/testing`.
const ATTACKS: &[&str] = &[
    "spin",
    "recurse",
    "eat-memory",
    "flood",
    "while :; do :; done",
    "yes we are here; true",
    "bomb() { bomb | bomb & }; while :; do bomb; done",
    "i=0; while :; do echo x > /tmp/$i; i=$((i+1)); done",
    "while :; do head -c 16777216 /dev/zero > /big; rm /big; done",
    "while :; do ls -R / /proc; cat /../../../etc/passwd /proc/*/status; done > /dev/null 2>&1",
    "p=/x; while :; do p=$p/../x/./y; mkdir -p $p; cat $p/../../..; done > /dev/null 2>&1",
    "i=0; while :; do ln -s /l$i /l$((i+1)); cat /l$i; i=$((i+1)); done > /dev/null 2>&1",
];

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    for name in ["server", "spin", "recurse", "eat-memory", "flood"] {
        std::fs::write(program(&home, name), guests::component(name))?;
    }
    let images = home.path("").display().to_string();
    let server = home.start_with(&["--allow-images", &images]).await?;
    let client = server.connect().await?;
    let address = serve(&client, &program(&home, "server")).await?;
    HELLO.soon(address).await?;
    on_one_thread(measure(table, address, "alone"))?;
    for number in 0..HOSTILE {
        let attack = ATTACKS[number % ATTACKS.len()];
        client.post(PODS, hostile(&home, number, attack).to_string().into()).await?;
    }
    all_started(&client).await?;
    // What starts goes before what computes, and a hundred starts take a second of two cores.
    Clock::system().sleep(SETTLED).await;
    on_one_thread(measure(table, address, "beside 100 hostile Pods"))?;
    let asked = Instant::now();
    client.get(PODS).await?;
    table.figure("the API's list of them", 1, &format!("{:.1?}", asked.elapsed()), "");
    if let Some(usage) = server.usage() {
        table.figure("memory", 1, &format!("{} MiB", usage.bytes >> 20), "");
    }
    let asked = Instant::now();
    client.delete(&format!("{PODS}?labelSelector=kind%3Dhostile")).await?;
    while api::count(&client, PODS).await? > 1 {
        ensure!(asked.elapsed() < START_TIMEOUT, "they do not go");
        Clock::system().sleep(Duration::from_millis(20)).await;
    }
    table.figure("until all are gone", 1, &format!("{:.1?}", asked.elapsed()), "");
    on_one_thread(measure(table, address, "when they are gone"))?;
    server.stop().await
}

fn program(home: &Home, name: &str) -> std::path::PathBuf {
    home.path(&format!("{name}.wasm"))
}

async fn serve(client: &Connection, program: &Path) -> anyhow::Result<SocketAddr> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{
            "name": "web", "image": format!("file://{}", program.display()),
            "ports": [{"containerPort": 8080}],
        }]},
    });
    client.post(PODS, pod.to_string().into()).await?;
    let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]});
    api::node_port(client, "web", spec).await
}

fn hostile(home: &Home, number: usize, attack: &str) -> Value {
    let container = if attack.contains(' ') {
        json!({"image": "busybox", "command": ["sh", "-c", attack]})
    } else {
        json!({"image": format!("file://{}", program(home, attack).display())})
    };
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("hostile-{number}"), "labels": {"kind": "hostile"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    });
    pod["spec"]["containers"][0]["name"] = json!("main");
    // Without one, a hundred of them are the whole machine's.
    let limits = json!({"limits": {"memory": "64Mi", "ephemeral-storage": "32Mi"}});
    pod["spec"]["containers"][0]["resources"] = limits;
    pod
}

/// Until each has run: some have failed by then, and are started again.
async fn all_started(client: &Connection) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let list: Value = serde_json::from_slice(&client.get(PODS).await?)?;
        let items = list["items"].as_array().context("no list")?;
        let has_run = |pod: &&Value| {
            let status = &pod["status"]["containerStatuses"][0];
            !status["containerID"].as_str().unwrap_or_default().is_empty()
        };
        if items.iter().filter(has_run).count() > HOSTILE {
            return Ok(());
        }
        ensure!(begin.elapsed() < START_TIMEOUT, "not all of them start");
        Clock::system().sleep(Duration::from_millis(50)).await;
    }
}

async fn measure(table: &Table, address: SocketAddr, beside: &str) -> anyhow::Result<()> {
    for (pause, how) in [(PAUSE, "every 5 ms"), (Duration::ZERO, "one after another")] {
        let mut stream = connect(address).await?;
        HELLO.on(&mut stream).await?;
        let (mut samples, begin) = (Samples::default(), Instant::now());
        while begin.elapsed() < SPAN / 2 {
            let asked = Instant::now();
            HELLO.on(&mut stream).await?;
            samples.push(asked.elapsed());
            if !pause.is_zero() {
                Clock::system().sleep(pause).await;
            }
        }
        table.times(&format!("GET {how}, {beside}"), &samples, "");
    }
    Ok(())
}
