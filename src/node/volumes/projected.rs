//! `projected`: several sources in one directory; also what configMap, secret and downwardAPI come to.
//!
//! Upstream: `pkg/volume/projected/projected.go`.

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume, VolumeProjection};

use super::interests::Object;
use super::mounter::{Context, Error, Mounted, Mounter, SetUp};
use super::payload::Payload;
use super::shown::Shown;
use super::token::Token;
use super::{config_map, downward_api, secret};
use crate::api::object::ObjectKey;

/// `rw-r--r--`, the API's own default.
const MODE_DEFAULT: u32 = 0o644;

/// A volume whose files are made from objects. Guests cannot write to it.
pub(super) struct Projected {
    sources: Vec<VolumeProjection>,
    default_mode: u32,
    /// One for each source; most stay unused.
    tokens: Vec<Token>,
    shown: Shown,
}

pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.projected.as_ref()?;
    let sources = source.sources.clone().unwrap_or_default();
    Some(Box::new(Projected::new(sources, source.default_mode)))
}

impl Projected {
    pub(super) fn new(sources: Vec<VolumeProjection>, default_mode: Option<i32>) -> Self {
        let mut tokens = Vec::new();
        tokens.resize_with(sources.len(), Token::default);
        let default_mode = super::payload::mode(default_mode, MODE_DEFAULT);
        Self { sources, default_mode, tokens, shown: Shown::default() }
    }

    /// All files, and when one of them is to be made anew.
    async fn collect(&mut self, ctx: &Context<'_>) -> Result<(Payload, Option<Timestamp>), String> {
        let mut payload = Payload::default();
        let mut again_at = None;
        let mut faults = Vec::new();
        for (source, token) in self.sources.iter().zip(&mut self.tokens) {
            match collect_one(source, token, ctx, self.default_mode).await {
                Ok(files) => payload.extend(files),
                Err(fault) => faults.push(fault),
            }
            again_at = again_at.into_iter().chain(token.renew_at()).min();
        }
        if faults.is_empty() { Ok((payload, again_at)) } else { Err(joined(faults)) }
    }
}

async fn collect_one(
    source: &VolumeProjection,
    token: &mut Token,
    ctx: &Context<'_>,
    default_mode: u32,
) -> Result<Payload, String> {
    let namespace = ctx.namespace();
    if let Some(projection) = &source.config_map {
        let map = ctx.node.config_map(namespace, &projection.name).await?;
        return config_map::payload(projection, map.as_deref(), default_mode);
    }
    if let Some(projection) = &source.secret {
        let found = ctx.node.secret(namespace, &projection.name).await?;
        return secret::payload(projection, found.as_deref(), default_mode);
    }
    if let Some(projection) = &source.downward_api {
        return downward_api::payload(projection, ctx.pod, ctx.facts, default_mode);
    }
    if let Some(projection) = &source.service_account_token {
        let text = token.current(projection, ctx).await?;
        let mut payload = Payload::default();
        payload.put(&projection.path, text.into_bytes(), default_mode)?;
        return Ok(payload);
    }
    if source.cluster_trust_bundle.is_some() {
        return Err("ClusterTrustBundle projections are not supported: sampan has no \
                    ClusterTrustBundles"
            .to_owned());
    }
    Ok(Payload::default())
}

#[async_trait]
impl Mounter for Projected {
    fn shows(&self, pod: &Pod) -> Vec<Object> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let key = |name: &str| ObjectKey::new(namespace, name);
        let object = |source: &VolumeProjection| {
            let map = source.config_map.as_ref().map(|map| Object::ConfigMap(key(&map.name)));
            map.or_else(|| source.secret.as_ref().map(|secret| Object::Secret(key(&secret.name))))
        };
        self.sources.iter().filter_map(object).collect()
    }

    async fn set_up(&mut self, ctx: &Context<'_>) -> Result<SetUp, Error> {
        let (payload, again_at) = self.collect(ctx).await?;
        if !self.shown.shows(&payload) {
            self.shown.put(payload, ctx.now())?;
        }
        Ok(SetUp { mounted: Mounted::shown(self.shown.clone()), again_at })
    }
}

/// Several faults as one text.
///
/// Upstream: `utilerrors.NewAggregate`.
pub(super) fn joined(mut faults: Vec<String>) -> String {
    faults.dedup();
    match faults.as_slice() {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}
