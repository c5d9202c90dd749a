//! /etc/hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use k8s_openapi::api::core::v1::HostAlias;

use super::Name;

/// What every Pod's file begins with.
const HEAD: &str = "\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
";

pub(super) fn content(address: Ipv4Addr, name: &Name, aliases: &[HostAlias]) -> String {
    let mut content = HEAD.to_owned();
    content += &format!("{address}\t{}\n", own(name).join("\t"));
    if !aliases.is_empty() {
        content += "\n# Entries added by HostAliases.\n";
    }
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default();
        content += &format!("{}\t{}\n", alias.ip, names.join("\t"));
    }
    content
}

/// The same for a resolver; what is no address in `aliases` is no entry.
pub(super) fn entries(
    address: Ipv4Addr,
    name: &Name,
    aliases: &[HostAlias],
) -> Vec<(IpAddr, Vec<String>)> {
    let localhost = || vec!["localhost".to_owned()];
    let mut entries = vec![
        (Ipv4Addr::LOCALHOST.into(), localhost()),
        (Ipv6Addr::LOCALHOST.into(), localhost()),
        (address.into(), own(name)),
    ];
    entries.extend(aliases.iter().filter_map(|alias| {
        Some((alias.ip.parse().ok()?, alias.hostnames.clone().unwrap_or_default()))
    }));
    entries
}

fn own(name: &Name) -> Vec<String> {
    let full = name.domain.iter().map(|domain| format!("{}.{domain}", name.host));
    full.chain([name.host.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pod_and_its_aliases_follow_localhost() {
        let mut name = Name { host: "web-0".to_owned(), domain: None, kernel: "web-0".to_owned() };
        let address = Ipv4Addr::new(10, 42, 0, 2);
        let plain = content(address, &name, &[]);
        assert!(plain.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(plain.ends_with("ip6-allrouters\n10.42.0.2\tweb-0\n"), "{plain}");
        name.domain = Some("sub.ns.svc.cluster.local".to_owned());
        let aliases = json!([{"ip": "1.2.3.4", "hostnames": ["a", "b.example"]}, {"ip": "::9"}]);
        let aliases: Vec<HostAlias> = serde_json::from_value(aliases).unwrap();
        let full = content(address, &name, &aliases);
        let expect = "10.42.0.2\tweb-0.sub.ns.svc.cluster.local\tweb-0\n\n\
                      # Entries added by HostAliases.\n1.2.3.4\ta\tb.example\n::9\t\n";
        assert!(full.ends_with(expect), "{full}");
        let entries = entries(address, &name, &aliases);
        assert_eq!(entries[3], ("1.2.3.4".parse().unwrap(), vec!["a".into(), "b.example".into()]));
    }
}
