//! NetworkPolicies: who may connect to whom.
//!
//! Upstream: `pkg/registry/networking/networkpolicy/strategy.go`,
//! `pkg/apis/networking/validation/validation.go`.

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::core::pod::validate_selector;
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{invalid_number, set_default, text, validate_cidr};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
const TYPES: &[&str] = &["Ingress", "Egress"];

#[derive(Debug)]
pub(crate) struct NetworkPolicies;

impl Resource for NetworkPolicies {
    type Object = NetworkPolicy;

    const NAMES: Names = Names {
        plural: "networkpolicies",
        singular: "networkpolicy",
        short: &["netpol"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const GENERATION: bool = true;

    fn default(policy: &mut NetworkPolicy) {
        let spec = policy.spec.get_or_insert_default();
        spec.pod_selector.get_or_insert_default();
        let ingress = spec.ingress.iter_mut().flatten().map(|rule| &mut rule.ports);
        let egress = spec.egress.iter_mut().flatten().map(|rule| &mut rule.ports);
        for port in ingress.chain(egress).flatten().flatten() {
            set_default(&mut port.protocol, "TCP");
        }
        if spec.policy_types.as_ref().is_none_or(Vec::is_empty) {
            let has_egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
            let types = if has_egress { TYPES } else { &TYPES[..1] };
            spec.policy_types = Some(types.iter().map(|kind| (*kind).to_owned()).collect());
        }
    }

    fn validate(policy: &NetworkPolicy) -> Vec<FieldError> {
        validate_spec(&policy.spec.clone().unwrap_or_default(), &Path::new("spec"))
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, column("Pod-Selector", "The labels of the Pods that it is about."), AGE];
        COLUMNS
    }

    fn row(policy: &NetworkPolicy, now: Timestamp) -> Vec<Value> {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        vec![
            print::name(&policy.metadata),
            print::selector(selector).into(),
            print::age(&policy.metadata, now),
        ]
    }
}

fn validate_spec(spec: &NetworkPolicySpec, path: &Path) -> Vec<FieldError> {
    let mut faults = validate_selector(spec.pod_selector.as_ref(), &path.child("podSelector"));
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        let path = path.child("ingress").index(index);
        faults.extend(validate_rule(rule.ports.as_deref(), rule.from.as_deref(), "from", &path));
    }
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        let path = path.child("egress").index(index);
        faults.extend(validate_rule(rule.ports.as_deref(), rule.to.as_deref(), "to", &path));
    }
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let path = path.child("policyTypes");
    if types.len() > TYPES.len() {
        let detail = "may not specify more than two policyTypes";
        faults.push(FieldError::invalid(path, types.to_vec(), detail));
        return faults;
    }
    for (index, kind) in
        types.iter().enumerate().filter(|(_, kind)| !TYPES.contains(&kind.as_str()))
    {
        faults.push(FieldError::not_supported(path.index(index), kind.as_str(), TYPES));
    }
    faults
}

fn validate_rule(
    ports: Option<&[NetworkPolicyPort]>,
    peers: Option<&[NetworkPolicyPeer]>,
    direction: &'static str,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (index, port) in ports.unwrap_or_default().iter().enumerate() {
        faults.extend(validate_port(port, &path.child("ports").index(index)));
    }
    for (index, peer) in peers.unwrap_or_default().iter().enumerate() {
        faults.extend(validate_peer(peer, &path.child(direction).index(index)));
    }
    faults
}

fn validate_port(port: &NetworkPolicyPort, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let protocol = text(&port.protocol);
    if port.protocol.is_some() && !PROTOCOLS.contains(&protocol) {
        let path = path.child("protocol");
        faults.push(FieldError::not_supported(path, protocol, PROTOCOLS));
    }
    let end_path = path.child("endPort");
    let end =
        |detail: &str| port.end_port.map(|end| FieldError::invalid(end_path.clone(), end, detail));
    match &port.port {
        None => faults.extend(end("may not be specified when `port` is not specified")),
        Some(IntOrString::String(name)) => {
            faults.extend(end("may not be specified when `port` is non-numeric"));
            faults.extend(invalid_each(&path.child("port"), name, meta::port_name(name)));
        }
        Some(IntOrString::Int(number)) => {
            let complaints = meta::port_number(i64::from(*number));
            faults.extend(invalid_number(&path.child("port"), *number, complaints));
            if let Some(last) = port.end_port {
                if last < *number {
                    faults.extend(end("must be greater than or equal to `port`"));
                }
                let complaints = meta::port_number(i64::from(last));
                faults.extend(invalid_number(&end_path, last, complaints));
            }
        }
    }
    faults
}

fn validate_peer(peer: &NetworkPolicyPeer, path: &Path) -> Vec<FieldError> {
    let mut faults = validate_selector(peer.pod_selector.as_ref(), &path.child("podSelector"));
    let namespaces = peer.namespace_selector.as_ref();
    faults.extend(validate_selector(namespaces, &path.child("namespaceSelector")));
    if let Some(block) = &peer.ip_block {
        faults.extend(validate_block(block, &path.child("ipBlock")));
    }
    match (peer.pod_selector.is_some() || namespaces.is_some(), peer.ip_block.is_some()) {
        (false, false) => faults.push(FieldError::required(path.clone(), "must specify a peer")),
        (true, true) => {
            let detail = "may not specify both ipBlock and another peer";
            faults.push(FieldError::forbidden(path.clone(), detail));
        }
        _ => {}
    }
    faults
}

fn validate_block(block: &IPBlock, path: &Path) -> Vec<FieldError> {
    let cidr_path = path.child("cidr");
    if block.cidr.is_empty() {
        return vec![FieldError::required(cidr_path, "")];
    }
    let Ok(cidr) = block.cidr.parse::<IpNet>() else {
        return Vec::from_iter(validate_cidr(&block.cidr, &cidr_path));
    };
    let mut faults = Vec::new();
    for (index, except) in block.except.iter().flatten().enumerate() {
        let path = path.child("except").index(index);
        match except.parse::<IpNet>() {
            Err(_) => faults.extend(validate_cidr(except, &path)),
            Ok(inner) if cidr.contains(&inner.addr()) && cidr.prefix_len() < inner.prefix_len() => {
            }
            Ok(_) => {
                let detail = "must be a strict subset of `cidr`";
                faults.push(FieldError::invalid(path, except.as_str(), detail));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(spec: Value) -> NetworkPolicy {
        let mut policy =
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        NetworkPolicies::default(&mut policy);
        policy
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let told = |spec| serde_json::to_value(policy(spec).spec).unwrap();
        assert_eq!(told(json!({})), json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
        let both = told(json!({"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}));
        assert_eq!(both["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(both["egress"][0]["ports"][0]["protocol"], "TCP");
    }

    #[test]
    fn faults_are_worded_as_upstream() {
        let spec = json!({"podSelector": {}, "policyTypes": ["Ingress", "Both"], "ingress": [{
            "ports": [{"port": "http", "endPort": 90}, {"port": 90, "endPort": 80}, {"endPort": 1},
                {"protocol": "ICMP"}],
            "from": [{}, {"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}},
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8", "11.0.0.0/16", "x"]}},
                {"ipBlock": {"cidr": "10.0.0.0"}}],
        }]});
        let faults = NetworkPolicies::validate(&policy(spec));
        let expect = [
            "spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is non-numeric",
            "spec.ingress[0].ports[1].endPort: Invalid value: 80: must be greater than or equal to `port`",
            "spec.ingress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is not specified",
            "spec.ingress[0].ports[3].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
            "spec.ingress[0].from[0]: Required value: must specify a peer",
            "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
            "spec.ingress[0].from[2].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
            "spec.ingress[0].from[2].ipBlock.except[1]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
            "spec.ingress[0].from[2].ipBlock.except[2]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            "spec.ingress[0].from[3].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            "spec.policyTypes[1]: Unsupported value: \"Both\": supported values: \"Ingress\", \"Egress\"",
        ];
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_row_shows_whom_it_is_about() {
        let row = |spec| NetworkPolicies::row(&policy(spec), Timestamp::UNIX_EPOCH)[1].clone();
        assert_eq!(row(json!({})), "<none>");
        assert_eq!(row(json!({"podSelector": {"matchLabels": {"app": "web"}}})), "app=web");
    }
}
