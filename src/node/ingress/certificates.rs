//! The certificates of Ingresses' hosts, found by the name that a client asks for.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::api::object::ObjectKey;

/// What every handshake reads.
#[derive(Debug, Default)]
pub(super) struct Certificates(RwLock<HashMap<String, Arc<CertifiedKey>>>);

/// Why a Secret is of no use, for the Ingress's Events.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadSecret {
    #[error("the Secret {0} is not there")]
    Missing(ObjectKey),
    #[error("the Secret {0} has no tls.crt and tls.key")]
    Empty(ObjectKey),
    #[error("the Secret {key} holds no certificate with its key: {reason}")]
    Unusable { key: ObjectKey, reason: String },
}

impl Certificates {
    /// Takes over what `ingresses` name; answers what of it is of no use, with whose it is.
    pub(super) fn replace(
        &self,
        ingresses: &[Arc<Ingress>],
        secret: impl Fn(&ObjectKey) -> Option<Arc<Secret>>,
    ) -> Vec<(Arc<Ingress>, BadSecret)> {
        let mut by_host = HashMap::new();
        let mut bad = Vec::new();
        for ingress in ingresses {
            let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
            for tls in ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten()) {
                let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else {
                    continue;
                };
                let key = ObjectKey::new(namespace, name);
                let certified = match secret(&key) {
                    None => Err(BadSecret::Missing(key)),
                    Some(secret) => certified(key, &secret),
                };
                match certified {
                    Err(reason) => bad.push((Arc::clone(ingress), reason)),
                    Ok(certified) => {
                        let hosts = tls.hosts.clone().filter(|hosts| !hosts.is_empty());
                        // Without hosts it is for whoever has none of their own.
                        for host in hosts.unwrap_or_else(|| vec![String::new()]) {
                            let host = host.to_ascii_lowercase();
                            by_host.entry(host).or_insert_with(|| Arc::clone(&certified));
                        }
                    }
                }
            }
        }
        *self.0.write() = by_host;
        bad
    }

    fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let by_host = self.0.read();
        let name = name.to_ascii_lowercase();
        let wildcard = || name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let found = by_host.get(&name).or_else(|| by_host.get(&wildcard()?));
        found.or_else(|| by_host.get("")).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name().unwrap_or_default())
    }
}

fn certified(key: ObjectKey, secret: &Secret) -> Result<Arc<CertifiedKey>, BadSecret> {
    let data = |name: &str| secret.data.as_ref().and_then(|data| data.get(name));
    let (Some(chain), Some(private)) = (data("tls.crt"), data("tls.key")) else {
        return Err(BadSecret::Empty(key));
    };
    let unusable = |reason: String| BadSecret::Unusable { key: key.clone(), reason };
    let chain = CertificateDer::pem_slice_iter(&chain.0)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|err| unusable(err.to_string()))?;
    let private =
        PrivateKeyDer::from_pem_slice(&private.0).map_err(|err| unusable(err.to_string()))?;
    let provider = rustls::crypto::ring::default_provider();
    let certified = CertifiedKey::from_der(chain, private, &provider);
    certified.map(Arc::new).map_err(|err| unusable(err.to_string()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    fn secret(names: &[&str]) -> Secret {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let data = [("tls.crt", made.cert.pem()), ("tls.key", made.signing_key.serialize_pem())];
        let data = data.map(|(name, pem)| (name.to_owned(), ByteString(pem.into_bytes())));
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    fn ingress(tls: serde_json::Value) -> Arc<Ingress> {
        let ingress = json!({"metadata": {"namespace": "n"}, "spec": {"tls": tls}});
        Arc::new(serde_json::from_value(ingress).unwrap())
    }

    #[test]
    fn a_host_has_its_own_certificate() {
        let (own, wild) = (Arc::new(secret(&["a.b.c"])), Arc::new(secret(&["*.b.c"])));
        let secrets = |key: &ObjectKey| match key.name.as_str() {
            "own" => Some(own.clone()),
            "wild" => Some(wild.clone()),
            "empty" => Some(Arc::new(Secret::default())),
            _ => None,
        };
        let certificates = Certificates::default();
        let tls = json!([
            {"hosts": ["a.b.c"], "secretName": "own"}, {"hosts": ["*.b.c"], "secretName": "wild"},
            {"hosts": ["x"], "secretName": "missing"}, {"hosts": ["y"], "secretName": "empty"}]);
        let bad = certificates.replace(&[ingress(tls)], secrets);
        let bad: Vec<String> = bad.iter().map(|(_, reason)| reason.to_string()).collect();
        assert_eq!(
            bad,
            ["the Secret n/missing is not there", "the Secret n/empty has no tls.crt and tls.key"]
        );
        let of = |name| certificates.find(name).map(|found| found.cert[0].clone());
        assert!(of("A.b.c").is_some() && of("z.b.c").is_some());
        assert_ne!(of("a.b.c"), of("z.b.c"));
        assert!(of("x").is_none() && of("").is_none());
        certificates.replace(&[ingress(json!([{"secretName": "own"}]))], secrets);
        assert_eq!(certificates.find("").unwrap().cert.len(), 1);
    }
}
