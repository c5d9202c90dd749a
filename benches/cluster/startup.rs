//! From the start of the binary until /readyz answers.

use anyhow::ensure;

use crate::api::{self, CONFIG_MAPS};
use crate::figures::{Samples, Table};
use crate::server::Home;

const STARTS: usize = 20;
const OBJECTS: usize = 1_000;

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let mut fresh = Samples::default();
    for _ in 0..STARTS {
        let home = Home::new()?;
        let server = home.start().await?;
        fresh.push(server.start);
        server.stop().await?;
    }
    table.times("binary start -> /readyz 200, no data directory yet", &fresh, "with new keys");

    let home = Home::new()?;
    home.start().await?.stop().await?;
    table.times("the same, restart on an empty store", &restarts(&home, 0).await?, "");

    let server = home.start().await?;
    let connections = server.connections(16).await?;
    api::create_many(connections, CONFIG_MAPS, "start", OBJECTS, api::config_map).await?;
    server.stop().await?;
    let full = restarts(&home, OBJECTS).await?;
    table.times("the same, restart on 1,000 ConfigMaps", &full, "listed after each start");
    Ok(())
}

/// Starts and stops; the server must have at least `objects` ConfigMaps each time.
async fn restarts(home: &Home, objects: usize) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        let server = home.start().await?;
        samples.push(server.start);
        let found = api::count(&server.connect().await?, CONFIG_MAPS).await?;
        ensure!(found >= objects, "{found} of {objects} ConfigMaps are left");
        server.stop().await?;
    }
    Ok(samples)
}
