//! A Pod's name for itself.

use k8s_openapi::api::core::v1::Pod;

/// Bound: a label of DNS, and a kernel's host name.
const LABEL_LENGTH_MAX: usize = 63;
const KERNEL_LENGTH_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Name {
    pub(super) host: String,
    /// With a `subdomain`: where DNS has the Pod, if a headless Service of that name is there.
    pub(super) domain: Option<String>,
    /// What `hostname` prints.
    pub(in crate::node::kubelet) kernel: String,
}

impl Name {
    /// # Errors
    /// With `setHostnameAsFQDN`: if the full name is longer than a kernel takes, in upstream's words.
    pub(in crate::node::kubelet) fn of(pod: &Pod, cluster_domain: &str) -> Result<Self, String> {
        let spec = pod.spec.as_ref();
        let host = host(pod);
        let subdomain = spec.and_then(|spec| spec.subdomain.as_deref());
        let domain = subdomain.filter(|subdomain| !subdomain.is_empty()).map(|subdomain| {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            format!("{subdomain}.{namespace}.svc.{cluster_domain}")
        });
        let is_full = spec.and_then(|spec| spec.set_hostname_as_fqdn) == Some(true);
        let kernel = match &domain {
            Some(domain) if is_full => format!("{host}.{domain}"),
            _ => host.clone(),
        };
        if kernel.len() > KERNEL_LENGTH_MAX {
            return Err(format!(
                "failed to construct FQDN from Pod hostname and cluster domain, FQDN {kernel} is too \
                 long ({KERNEL_LENGTH_MAX} characters is the max, {} characters requested)",
                kernel.len()
            ));
        }
        Ok(Self { host, domain, kernel })
    }

    /// The Pod's own, when its full name will not do: for files that are never read.
    pub(in crate::node::kubelet) fn short(pod: &Pod) -> Self {
        let host = host(pod);
        Self { kernel: host.clone(), host, domain: None }
    }
}

fn host(pod: &Pod) -> String {
    let given = pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
    let name = given.filter(|name| !name.is_empty());
    let mut host = name.or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    host.truncate(LABEL_LENGTH_MAX);
    host.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn name(pod_name: &str, spec: &Value) -> Result<Name, String> {
        let mut spec = spec.clone();
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"name": pod_name, "namespace": "ns"}, "spec": spec});
        Name::of(&serde_json::from_value(pod).unwrap(), "cluster.local")
    }

    #[track_caller]
    fn check(pod_name: &str, spec: Value, expect: (&str, Option<&str>, &str)) {
        let name = name(pod_name, &spec).unwrap();
        assert_eq!((name.host.as_str(), name.domain.as_deref(), name.kernel.as_str()), expect);
    }

    #[test]
    fn a_pod_is_called_as_it_says() {
        check("web-0", json!({}), ("web-0", None, "web-0"));
        check("web-0", json!({"hostname": "db"}), ("db", None, "db"));
        let domain = Some("sub.ns.svc.cluster.local");
        check("web-0", json!({"subdomain": "sub"}), ("web-0", domain, "web-0"));
        let full = json!({"subdomain": "sub", "setHostnameAsFQDN": true});
        check("web-0", full, ("web-0", domain, "web-0.sub.ns.svc.cluster.local"));
        check("web-0", json!({"setHostnameAsFQDN": true}), ("web-0", None, "web-0"));
        let long = format!("{}-tail", "x".repeat(62));
        check(&long, json!({}), (&"x".repeat(62), None, &"x".repeat(62)));
    }

    #[test]
    fn a_full_name_fits_a_kernel() {
        let spec = json!({"subdomain": "s".repeat(40), "setHostnameAsFQDN": true});
        let refusal = name("web-0", &spec).unwrap_err();
        assert!(
            refusal.ends_with("is too long (64 characters is the max, 67 characters requested)"),
            "{refusal}"
        );
    }
}
