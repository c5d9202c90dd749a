//! A ServiceAccount's token in a volume: bound to the Pod, renewed in time.
//!
//! Upstream: `pkg/kubelet/token/token_manager.go`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{
    BoundObjectReference, TokenRequest, TokenRequestSpec, TokenRequestStatus,
};
use k8s_openapi::api::core::v1::{ServiceAccount, ServiceAccountTokenProjection};
use tracing::warn;

use super::mounter::Context;
use super::node::text_of;
use crate::client::written;

/// What the API gives a token for which no life was asked.
const LIFETIME_DEFAULT: SignedDuration = SignedDuration::from_hours(1);
/// None is used longer, however long it may live.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// When a renewal failed: the old token holds for a while yet.
const RENEWAL_RETRY: SignedDuration = SignedDuration::from_secs(30);

/// The token last asked for.
#[derive(Debug, Default)]
pub(super) struct Token(Option<Held>);

#[derive(Debug)]
struct Held {
    text: String,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

impl Token {
    /// When to ask again.
    pub(super) fn renew_at(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|held| held.renew_at)
    }

    /// A token that holds for a good while yet.
    ///
    /// # Errors
    /// If there is none and the API server gives none.
    pub(super) async fn current(
        &mut self,
        projection: &ServiceAccountTokenProjection,
        ctx: &Context<'_>,
    ) -> Result<String, String> {
        let now = ctx.now();
        if let Some(held) = self.0.as_ref().filter(|held| now < held.renew_at) {
            return Ok(held.text.clone());
        }
        let error = match request(projection, ctx).await {
            Ok(status) => {
                let lifetime = projection.expiration_seconds.map(SignedDuration::from_secs);
                let renew_at = renew_at(now, lifetime.unwrap_or(LIFETIME_DEFAULT));
                let expires_at = status.expiration_timestamp.0;
                self.0 = Some(Held { text: status.token.clone(), renew_at, expires_at });
                return Ok(status.token);
            }
            Err(error) => error,
        };
        let Some(held) = self.0.as_mut().filter(|held| now < held.expires_at) else {
            return Err(format!("failed to fetch token: {error}"));
        };
        warn!(%error, "Failed to renew a Pod's token; trying again");
        held.renew_at = now.saturating_add(RENEWAL_RETRY).unwrap_or(held.expires_at);
        Ok(held.text.clone())
    }
}

async fn request(
    projection: &ServiceAccountTokenProjection,
    ctx: &Context<'_>,
) -> Result<TokenRequestStatus, String> {
    let meta = &ctx.pod.metadata;
    let account = ctx.pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    let audience = projection.audience.clone().filter(|audience| !audience.is_empty());
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audience.into_iter().collect(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: meta.name.clone(),
                uid: meta.uid.clone(),
            }),
            expiration_seconds: projection.expiration_seconds,
        },
        ..TokenRequest::default()
    };
    let (client, at) = (&ctx.node.client, (ctx.namespace(), account.unwrap_or_default()));
    let answer =
        written::create_subresource::<ServiceAccount, TokenRequest>(client, at, "token", &request);
    let answer = answer.await.map_err(|error| text_of(&error))?;
    answer.status.ok_or_else(|| "the answer has no token".to_owned())
}

/// After four fifths of its life.
fn renew_at(now: Timestamp, lifetime: SignedDuration) -> Timestamp {
    let age = (lifetime * 4 / 5).min(AGE_MAX);
    now.saturating_add(age).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_after_four_fifths_of_its_life_and_every_day() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let check = |seconds, expect: &str| {
            let at = renew_at(now, SignedDuration::from_secs(seconds));
            assert_eq!(at, expect.parse().unwrap());
        };
        check(3600, "2026-11-22T00:48:00Z");
        check(600, "2026-11-22T00:08:00Z");
        check(1 << 32, "2026-11-23T00:00:00Z");
    }
}
