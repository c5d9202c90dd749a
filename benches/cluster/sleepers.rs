//! A request to a Deployment that has no Pod yet: until its answer.

use std::time::Duration;

use anyhow::{Context, ensure};
use sampan::client::clock::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table};
use crate::guests;
use crate::http::Connection;
use crate::server::Home;
use crate::tcp::{Exchange, HELLO};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const WAKES: usize = 50;
const ASLEEP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// A component that serves, and a program that does: the built-in nginx.
const SERVERS: [(&str, Exchange); 2] = [
    ("component", HELLO),
    (
        "nginx",
        Exchange {
            question: b"GET / HTTP/1.1\r\nHost: web\r\n\r\n",
            begins: b"HTTP/1.1 200 ",
            ends: b"</html>\n",
        },
    ),
];

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let program = home.path("server.wasm");
    std::fs::write(&program, guests::component("server"))?;
    let images = home.path("").display().to_string();
    let server = home.start_with(&["--allow-images", &images]).await?;
    let client = server.connect().await?;
    for (name, get) in SERVERS {
        let image = match name {
            "component" => format!("file://{}", program.display()),
            name => name.to_owned(),
        };
        client.post(DEPLOYMENTS, deployment(name, &image).to_string().into()).await?;
        let spec = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
        let address = api::node_port(&client, name, spec).await?;
        // Compiles the program.
        get.soon(address).await?;
        let mut samples = Samples::default();
        for _ in 0..WAKES {
            sleep(&client, name).await?;
            let asked = Instant::now();
            get.once(address).await?;
            samples.push(asked.elapsed());
        }
        table.times(&format!("scaled to zero: request -> answer, {name}"), &samples, "");
    }
    server.stop().await
}

fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"sampan.dev/scale-to-zero": "true"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "web", "image": image, "ports": [{"containerPort": 80}]}],
                },
            },
        },
    })
}

/// Scales it down and waits until nothing of it is left.
async fn sleep(client: &Connection, name: &str) -> anyhow::Result<()> {
    let patch = json!({"spec": {"replicas": 0}}).to_string();
    client.patch(&format!("{DEPLOYMENTS}/{name}"), patch.into()).await?;
    let (clock, begin) = (Clock::system(), Instant::now());
    let pods = format!("{PODS}?labelSelector=app%3D{name}");
    while api::count(client, &pods).await? > 0 || !is_settled(client, name).await? {
        ensure!(begin.elapsed() < ASLEEP_TIMEOUT, "it does not go to sleep");
        clock.sleep(POLL).await;
    }
    Ok(())
}

/// Whether the controllers have nothing left to say.
async fn is_settled(client: &Connection, name: &str) -> anyhow::Result<bool> {
    let deployment = client.get(&format!("{DEPLOYMENTS}/{name}")).await?;
    let deployment: Value = serde_json::from_slice(&deployment)?;
    let generation = deployment["metadata"]["generation"].as_i64().context("no generation")?;
    let status = &deployment["status"];
    let has_pods = status["replicas"].as_i64().is_some_and(|count| count > 0);
    Ok(status["observedGeneration"] == generation && !has_pods)
}
