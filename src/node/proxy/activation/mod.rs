//! Scale to zero: Deployments that ask for it (see [`Settings`]) sleep when nobody is connected, and
//! the first connection to one of their Services wakes them, waits, and is handed over.
//!
//! ```text
//! connection ── door without endpoints ── bell rings ──> PATCH deployment: replicas
//!      │ waits                                                │ controllers, scheduler, kubelet
//!      └──<── bell offers the first Pod that listens <────────┘ (its endpoint follows by the slices)
//! ```

mod cold_starts;
mod settings;
mod sleepers;

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::sync::Notify;
use tracing::{debug, info};

use self::cold_starts::ColdStarts;
use self::settings::Settings;
use self::sleepers::{Sleeper, Sleepers};
use super::references;
use super::start::Context;
use crate::api::object::ObjectKey;
use crate::client::events::EventType;

/// A Deployment with open connections, or that is about to sleep, is looked at again no sooner.
const LOOK_MIN: Duration = Duration::from_millis(200);
/// While somebody is connected nobody knows when the idle time begins: look this often.
const LOOK_BUSY: Duration = Duration::from_secs(2);

/// Follows Deployments and Services until the proxy stops.
pub(super) async fn run(ctx: Arc<Context>) {
    let stop = ctx.stop.clone();
    let mut activation = Activation {
        desk: Arc::default(),
        sleepers: Sleepers::default(),
        cold_starts: ColdStarts::default(),
        ctx,
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = activation.follow() => {}
    }
}

struct Activation {
    ctx: Arc<Context>,
    /// Told of every ring and answer.
    desk: Arc<Notify>,
    sleepers: Sleepers,
    cold_starts: ColdStarts,
}

impl Activation {
    async fn follow(&mut self) {
        let rooms = &self.ctx.rooms;
        rooms.deployments.synced().await;
        rooms.services.synced().await;
        let (mut deployments, mut services) =
            (rooms.deployments.changes(), rooms.services.changes());
        let (clock, desk) = (rooms.clock.clone(), self.desk.clone());
        let network = rooms.network.clone();
        let mut look_at = Duration::MAX;
        loop {
            // Who waits is to be sent to the first Pod that listens: that changes the version.
            let version = network.routes().version();
            self.offer();
            let listening = async {
                match self.sleepers.any_wakes() {
                    true => network.routes().changed_since(version).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(key) = deployments.next() => {
                    let mut keys = vec![key];
                    while let Some(Some(key)) = deployments.next().now_or_never() {
                        keys.push(key);
                    }
                    self.deployments_changed(keys);
                    look_at = clock.monotonic();
                }
                Some(_) = services.next() => {
                    while let Some(Some(_)) = services.next().now_or_never() {}
                    self.sleepers.hang_bells(&self.ctx, &self.desk);
                }
                () = desk.notified() => self.answer().await,
                () = listening => {}
                () = sleep_until(&clock, look_at) => look_at = self.look().await,
                else => return,
            }
        }
    }

    fn deployments_changed(&mut self, keys: Vec<ObjectKey>) {
        let mut bells_differ = false;
        for key in keys {
            let deployment = self.ctx.rooms.deployments.get(&key);
            let settings = deployment.as_deref().map(Settings::of).unwrap_or(Ok(None));
            let settings = settings.unwrap_or_else(|fault| {
                if let Some(deployment) = deployment.as_deref() {
                    self.tell(deployment, EventType::Warning, "InvalidScaleToZero", fault);
                }
                None
            });
            let now = self.ctx.rooms.clock.monotonic();
            bells_differ |= self.sleepers.set(key, deployment.zip(settings), now);
        }
        if bells_differ {
            self.sleepers.hang_bells(&self.ctx, &self.desk);
        }
    }

    /// Somebody rang, or has been answered.
    async fn answer(&mut self) {
        for (service, waits) in self.sleepers.take_waits() {
            for waited in waits {
                self.ctx.rooms.metrics.cold_start(&service.namespace, &service.name, waited);
                self.cold_starts.add(&service, waited);
            }
            self.cold_starts.tell(&self.ctx, &service).await;
        }
        for (key, service) in self.sleepers.take_rings() {
            if let Err(error) = self.wake(&key, &service).await {
                // The connection gives up in time; the next one rings again.
                debug!(deployment = %key, %error, "Failed to wake a Deployment");
                self.sleepers.stays_asleep(&key);
            }
        }
    }

    async fn wake(&self, key: &ObjectKey, service: &ObjectKey) -> Result<(), kube::Error> {
        let Some(deployment) = self.ctx.rooms.deployments.get(key) else { return Ok(()) };
        let Some(sleeper) = self.sleepers.get(key) else { return Ok(()) };
        if replicas(&deployment) > 0 {
            return Ok(());
        }
        let count = sleeper.settings.awake_replicas;
        self.patch(key, &json!({"spec": {"replicas": count}})).await?;
        info!(deployment = %key, replicas = count, "Woken");
        let text = format!("Scaled up to {count}: a connection to Service {} came", service.name);
        self.tell(&deployment, EventType::Normal, "ScaledFromZero", text);
        Ok(())
    }

    /// Puts to sleep who was idle for long enough; answers when to look again.
    async fn look(&self) -> Duration {
        let now = self.ctx.rooms.clock.monotonic();
        let mut next = Duration::MAX;
        for key in self.sleepers.keys() {
            let Some(deployment) = self.ctx.rooms.deployments.get(&key) else { continue };
            let Some(sleeper) = self.sleepers.get(&key) else { continue };
            if !sleeper.settings.auto_stop || replicas(&deployment) <= sleeper.settings.min_replicas
            {
                continue;
            }
            let at = match sleepers::quiet_since(&self.ctx, &deployment) {
                None => now + LOOK_BUSY.min(sleeper.settings.idle),
                Some(since) => since.max(sleeper.awake_since) + sleeper.settings.idle,
            };
            if at <= now {
                if let Err(error) = self.put_to_sleep(&key, &deployment, sleeper).await {
                    debug!(deployment = %key, %error, "Failed to put a Deployment to sleep");
                    next = next.min(now + LOOK_BUSY);
                }
            } else {
                next = next.min(at.max(now + LOOK_MIN));
            }
        }
        next
    }

    async fn put_to_sleep(
        &self,
        key: &ObjectKey,
        deployment: &Deployment,
        sleeper: &Sleeper,
    ) -> Result<(), kube::Error> {
        let (before, after) = (replicas(deployment), sleeper.settings.min_replicas);
        let annotations = json!({settings::AWAKE_REPLICAS: before.to_string()});
        let patch = json!({
            // Somebody who changes it now, has the last word.
            "metadata": {
                "resourceVersion": deployment.metadata.resource_version,
                "annotations": annotations,
            },
            "spec": {"replicas": after},
        });
        self.patch(key, &patch).await?;
        info!(deployment = %key, replicas = after, "Put to sleep");
        let idle = sleeper.settings.idle.as_secs();
        let text =
            format!("Scaled down to {after} from {before}: nobody was connected for {idle}s");
        self.tell(deployment, EventType::Normal, "ScaledToZero", text);
        Ok(())
    }

    async fn patch(&self, key: &ObjectKey, patch: &serde_json::Value) -> Result<(), kube::Error> {
        let api: Api<Deployment> = Api::namespaced(self.ctx.rooms.client.kube(), &key.namespace);
        api.patch(&key.name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }

    /// Sends those who wait to the first Pods that listen.
    fn offer(&mut self) {
        if self.sleepers.offer(&self.ctx) {
            self.ctx.rooms.network.routes().changed();
        }
    }

    fn tell(&self, deployment: &Deployment, type_: EventType, reason: &'static str, text: String) {
        self.ctx.recorder.record(&references::deployment(deployment), type_, reason, text);
    }
}

fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

async fn sleep_until(clock: &crate::client::clock::Clock, at: Duration) {
    match at {
        Duration::MAX => std::future::pending().await,
        at => clock.sleep_until(at).await,
    }
}
