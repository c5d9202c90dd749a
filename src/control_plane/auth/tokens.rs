//! ServiceAccount tokens: JSON Web Tokens signed with ES256 by our own key.
//!
//! Upstream: `pkg/serviceaccount/{jwt,claims}.go`; RFC 7515 and RFC 7519.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::authenticate::CREDENTIAL_ID;
use super::{BoundTo, Credential, Identity};

/// Who signs, and for whom tokens are meant if nothing else was asked for.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Upstream: no token outlives what it is bound to, so its length is up to who asks; the request's
/// own validation bounds it by 2^32 s.
const LIFETIME_DEFAULT_SECONDS: i64 = 60 * 60;

/// Bound: longer ones are not ours (about 1 KB); keeps a caller from making us hash megabytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Signs tokens and checks them.
pub struct Tokens {
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// Which key signed, for the day there are two.
    key_id: String,
}

/// What a token is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub namespace: String,
    pub service_account: String,
    pub service_account_uid: String,
    /// Whom it is meant for; [`ISSUER`] if empty.
    pub audiences: Vec<String>,
    /// From now on.
    pub lifetime_seconds: Option<i64>,
    /// What else must exist for the token to hold: a Pod, Secret or Node.
    pub bound_to: Option<BoundTo>,
    /// Names this token among all others (`Ids::uid`).
    pub id: String,
}

/// A signed token and its end.
#[derive(Debug, Clone)]
pub struct Token {
    pub token: String,
    pub expires: Timestamp,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    #[error("it is not a JSON Web Token of ours")]
    Malformed,
    #[error("another algorithm than ES256 signed it")]
    Algorithm,
    #[error("the signature does not fit")]
    Signature,
    #[error("another issuer made it")]
    Issuer,
    #[error("it is meant for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
}

/// The token key is not an ECDSA P-256 key in PKCS #8.
#[derive(Debug, thiserror::Error)]
#[error("the token key is of no use")]
pub struct BadKey;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
    nbf: i64,
    sub: String,
}

#[derive(Serialize, Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Reference>,
}

#[derive(Serialize, Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

impl Tokens {
    /// # Errors
    /// [`BadKey`] if `key` is not what [`super::pki::Pki`] keeps.
    pub fn new(key: &PrivatePkcs8KeyDer<'_>) -> Result<Self, BadKey> {
        let random = SystemRandom::new();
        let pkcs8 = key.secret_pkcs8_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|_| BadKey)?;
        let key_id = BASE64.encode(Sha256::digest(key.public_key()));
        Ok(Self { key, random, key_id })
    }

    /// Signs a token that begins at `now`.
    pub fn mint(&self, request: &Request, now: Timestamp) -> Token {
        let lifetime = request.lifetime_seconds.unwrap_or(LIFETIME_DEFAULT_SECONDS);
        let begins = now.as_second();
        let ends = begins.saturating_add(lifetime);
        let claims = Claims {
            aud: audiences(request),
            exp: ends,
            iat: begins,
            iss: ISSUER.to_owned(),
            jti: request.id.clone(),
            kubernetes: private_claims(request),
            nbf: begins,
            sub: subject(&request.namespace, &request.service_account),
        };
        let header = Header { alg: "ES256".to_owned(), kid: self.key_id.clone() };
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .expect("ECDSA signing fails only without randomness, and then nothing else works");
        let token = format!("{signed}.{}", BASE64.encode(signature.as_ref()));
        Token { token, expires: Timestamp::from_second(ends).unwrap_or(Timestamp::MAX) }
    }

    /// Who the token speaks for, and what must still exist for it to do so.
    ///
    /// # Errors
    /// [`Invalid`] says why it does not hold at `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Credential, Invalid> {
        let claims = self.signed_claims(token)?;
        if claims.iss != ISSUER {
            return Err(Invalid::Issuer);
        }
        if !claims.aud.iter().any(|audience| audience == ISSUER) {
            return Err(Invalid::Audience);
        }
        if claims.exp <= now.as_second() {
            return Err(Invalid::Expired);
        }
        if claims.nbf > now.as_second() {
            return Err(Invalid::NotYet);
        }
        let account = &claims.kubernetes.serviceaccount;
        if claims.sub != subject(&claims.kubernetes.namespace, &account.name) {
            return Err(Invalid::Malformed);
        }
        Ok(credential(claims))
    }

    fn signed_claims(&self, token: &str) -> Result<Claims, Invalid> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Invalid::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Invalid::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Invalid::Malformed)?;
        let header: Header = decode(header)?;
        if header.alg != "ES256" {
            return Err(Invalid::Algorithm);
        }
        let signature = BASE64.decode(signature).map_err(|_| Invalid::Malformed)?;
        let public_key = self.key.public_key().as_ref();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| Invalid::Signature)?;
        decode(claims)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

fn audiences(request: &Request) -> Vec<String> {
    if request.audiences.is_empty() {
        return vec![ISSUER.to_owned()];
    }
    request.audiences.clone()
}

fn subject(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

fn private_claims(request: &Request) -> Kubernetes {
    let bound = |resource: &str| {
        let bound = request.bound_to.as_ref().filter(|bound| bound.resource == resource)?;
        Some(Reference { name: bound.name.clone(), uid: bound.uid.clone() })
    };
    Kubernetes {
        namespace: request.namespace.clone(),
        serviceaccount: Reference {
            name: request.service_account.clone(),
            uid: request.service_account_uid.clone(),
        },
        pod: bound("pods"),
        secret: bound("secrets"),
        node: bound("nodes"),
    }
}

fn credential(claims: Claims) -> Credential {
    let Kubernetes { namespace, serviceaccount, pod, secret, node } = claims.kubernetes;
    let mut identity =
        Identity::service_account(&namespace, &serviceaccount.name, &serviceaccount.uid);
    let mut add = |key: &str, value: String| identity.extra.insert(key.to_owned(), vec![value]);
    add(CREDENTIAL_ID, format!("JTI={}", claims.jti));
    if let Some(pod) = &pod {
        add("authentication.kubernetes.io/pod-name", pod.name.clone());
        add("authentication.kubernetes.io/pod-uid", pod.uid.clone());
    }
    if let Some(node) = &node {
        add("authentication.kubernetes.io/node-name", node.name.clone());
        add("authentication.kubernetes.io/node-uid", node.uid.clone());
    }
    let bound = |resource: &'static str, namespace: &str, reference: Option<Reference>| {
        let Reference { name, uid } = reference?;
        Some(BoundTo { resource, namespace: namespace.to_owned(), name, uid })
    };
    let bound_to = [
        bound("serviceaccounts", &namespace, Some(serviceaccount)),
        bound("pods", &namespace, pod),
        bound("secrets", &namespace, secret),
        bound("nodes", "", node),
    ];
    Credential { identity, bound_to: bound_to.into_iter().flatten().collect() }
}

fn encode(part: &impl Serialize) -> String {
    let json = serde_json::to_vec(part).expect("strings and numbers are JSON");
    BASE64.encode(json)
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Invalid> {
    let json = BASE64.decode(part).map_err(|_| Invalid::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Invalid::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock::Clock;
    use crate::control_plane::auth::pki::Pki;

    fn tokens() -> Tokens {
        let pki = Pki::ephemeral(&[], &Clock::manual(now())).unwrap();
        Tokens::new(&pki.token_key).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-22T17:00:00Z".parse().unwrap()
    }

    fn request() -> Request {
        Request {
            namespace: "shop".to_owned(),
            service_account: "cart".to_owned(),
            service_account_uid: "u-1".to_owned(),
            lifetime_seconds: Some(600),
            id: "t-1".to_owned(),
            ..Request::default()
        }
    }

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_second(now().as_second() + seconds).unwrap()
    }

    #[track_caller]
    fn check(request: &Request, at: Timestamp, expect: Result<&str, Invalid>) {
        let tokens = tokens();
        let token = tokens.mint(request, now());
        let user = tokens.verify(&token.token, at).map(|credential| credential.identity.user);
        assert_eq!(user.as_deref(), expect.as_ref().copied());
    }

    #[test]
    fn a_token_speaks_for_its_account_until_it_expires() {
        check(&request(), now(), Ok("system:serviceaccount:shop:cart"));
        check(&request(), later(599), Ok("system:serviceaccount:shop:cart"));
        check(&request(), later(600), Err(Invalid::Expired));
        check(&request(), later(-1), Err(Invalid::NotYet));
    }

    #[test]
    fn a_token_for_others_is_refused() {
        let others = Request { audiences: vec!["vault".to_owned()], ..request() };
        check(&others, now(), Err(Invalid::Audience));
        let both = vec!["vault".to_owned(), ISSUER.to_owned()];
        check(
            &Request { audiences: both, ..request() },
            now(),
            Ok("system:serviceaccount:shop:cart"),
        );
    }

    #[test]
    fn a_token_is_bound_to_its_account_and_pod() {
        let pod = BoundTo {
            resource: "pods",
            namespace: "shop".to_owned(),
            name: "cart-1".to_owned(),
            uid: "u-2".to_owned(),
        };
        let tokens = tokens();
        let request = Request { bound_to: Some(pod.clone()), ..request() };
        let token = tokens.mint(&request, now());
        let credential = tokens.verify(&token.token, now()).unwrap();
        let account = BoundTo {
            resource: "serviceaccounts",
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            uid: "u-1".to_owned(),
        };
        assert_eq!(credential.bound_to, [account, pod]);
        let extra = &credential.identity.extra;
        assert_eq!(extra["authentication.kubernetes.io/pod-name"], ["cart-1"]);
        assert_eq!(extra[CREDENTIAL_ID], ["JTI=t-1"]);
        assert_eq!(
            credential.identity.groups,
            ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
        );
    }

    #[test]
    fn forged_tokens_are_refused() {
        let tokens = tokens();
        let token = tokens.mint(&request(), now()).token;
        let other = self::tokens().mint(&request(), now()).token;
        assert_eq!(tokens.verify(&other, now()), Err(Invalid::Signature));
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("a token has three parts: {token}");
        };
        let unsigned = encode(&Header { alg: "none".to_owned(), kid: String::new() });
        let forged = format!("{unsigned}.{claims}.{signature}");
        assert_eq!(tokens.verify(&forged, now()), Err(Invalid::Algorithm));
        let mut changed: Claims = decode(claims).unwrap();
        changed.sub = subject("kube-system", "admin");
        let forged = format!("{header}.{}.{signature}", encode(&changed));
        assert_eq!(tokens.verify(&forged, now()), Err(Invalid::Signature));
        assert_eq!(tokens.verify(&format!("{header}.{claims}."), now()), Err(Invalid::Signature));
        assert_eq!(tokens.verify(&"x".repeat(TOKEN_BYTES_MAX + 1), now()), Err(Invalid::Malformed));
    }
}
