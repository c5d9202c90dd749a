//! `sampan service NAME`: where a Service is reached from outside.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgMatches, Args, FromArgMatches};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client};

use super::which::WhichArguments;
use super::{Subcommand, ip, output, reach};
use crate::config::{Environment, Places};

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    which: WhichArguments,
    /// The Service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Its namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Print nothing but the URLs, one line for each port
    #[arg(long)]
    url: bool,
}

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        Arguments::augment_args(clap::Command::new("service"))
            .about("Say at which URLs a NodePort or LoadBalancer Service is reached")
    },
    run,
};

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let Arguments { which, service: name, namespace, url } = Arguments::from_arg_matches(matches)?;
    let places = Places::new(&which.into(), env)?;
    let runtime = tokio::runtime::Runtime::new().context("start the asynchronous runtime")?;
    let (doors, has_endpoints) = runtime.block_on(async {
        let client = reach::client(&places).await?;
        let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
        let found = services.get_opt(&name).await.with_context(|| format!("read {name}"))?;
        let Some(service) = found else {
            bail!("find the Service {name:?} in the namespace {namespace:?}; see: kubectl get services -A")
        };
        let doors = doors(&service, ip::of_node(&client).await?)?;
        Ok((doors, has_endpoints(&client, &namespace, &name).await?))
    })?;
    match url {
        true => doors.iter().for_each(|door| output::print(&door.url)),
        false => table(&namespace, &name, &doors).iter().for_each(|line| output::print(line)),
    }
    if !has_endpoints {
        output::say(&format!("note: no Pod behind {name} is ready; connections will be refused"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn has_endpoints(client: &Client, namespace: &str, name: &str) -> anyhow::Result<bool> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = slices.list(&of_service).await.context("list the Service's endpoints")?;
    let mut endpoints = slices.into_iter().flat_map(|slice| slice.endpoints);
    Ok(endpoints.any(|endpoint| {
        endpoint.conditions.is_none_or(|conditions| conditions.ready.unwrap_or(true))
    }))
}

/// One port, as it is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Door {
    /// As minikube shows it: `http/80`, or `80` if it has no name.
    port: String,
    url: String,
}

/// # Errors
/// What helps instead, for a Service that is not reached from outside.
fn doors(service: &Service, node: IpAddr) -> anyhow::Result<Vec<Door>> {
    let spec = service.spec.clone().unwrap_or_default();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    match spec.type_.as_deref() {
        Some("NodePort" | "LoadBalancer") => {}
        Some("ExternalName") => {
            let target = spec.external_name.unwrap_or_default();
            bail!("give a URL for {name}: it is but another name for {target}");
        }
        _ => bail!("give a URL for {name}: {}", instead(namespace, name, &ports)),
    }
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let balancer = balancer.and_then(|balancer| balancer.ingress.as_ref()?.first()?.ip.clone());
    let balancer: Option<IpAddr> = balancer.and_then(|ip| ip.parse().ok());
    let doors: Vec<Door> = ports
        .iter()
        .filter_map(|port| {
            let of_node = || Some((node, port.node_port?));
            let of_balancer = balancer.map(|ip| (ip, port.port));
            let (ip, number) = of_balancer.or_else(of_node)?;
            Some(door(port, SocketAddr::new(ip, u16::try_from(number).ok()?)))
        })
        .collect();
    match doors.is_empty() {
        true => bail!("give a URL for {name}: it has no port that is open outside the cluster"),
        false => Ok(doors),
    }
}

/// For a Service that has an address inside the cluster only.
fn instead(namespace: &str, name: &str, ports: &[ServicePort]) -> String {
    let port = ports.first().map_or(80, |port| port.port);
    let local = if port < 1024 { port + 8000 } else { port };
    format!(
        "it is of type ClusterIP and has no port outside the cluster\n\
         hint: kubectl port-forward -n {namespace} service/{name} {local}:{port} opens one for you,\n\
         hint: sampan ssh -- wget -qO- http://{name}.{namespace}:{port} asks from inside, and\n\
         hint: kubectl patch service -n {namespace} {name} -p '{{\"spec\":{{\"type\":\"NodePort\"}}}}' opens one for all"
    )
}

fn door(port: &ServicePort, address: SocketAddr) -> Door {
    let name = port.name.as_deref().unwrap_or_default();
    let speaks = port.app_protocol.as_deref().unwrap_or(name);
    let scheme = match port.protocol.as_deref() {
        Some("UDP") => "udp",
        Some("SCTP") => "sctp",
        _ if speaks.starts_with("https") || port.port == 443 => "https",
        _ => "http",
    };
    let target = match &port.target_port {
        Some(IntOrString::String(target)) => target.clone(),
        _ => port.port.to_string(),
    };
    let port = if name.is_empty() { target } else { format!("{name}/{}", port.port) };
    Door { port, url: format!("{scheme}://{address}") }
}

/// Columns as kubectl sets them.
fn table(namespace: &str, name: &str, doors: &[Door]) -> Vec<String> {
    let head = ["NAMESPACE", "NAME", "TARGET PORT", "URL"];
    let rows = doors.iter().map(|door| [namespace, name, &door.port, &door.url]);
    let rows: Vec<[&str; 4]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0) + 3;
    let [first, second, third] = [width(0), width(1), width(2)];
    let line = |[namespace, name, port, url]: &[&str; 4]| {
        format!("{namespace:first$}{name:second$}{port:third$}{url}")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};

    use super::*;

    fn doors_of(spec: Value, status: Value) -> Result<Vec<Door>, String> {
        let metadata = json!({"name": "web", "namespace": "shop"});
        let service = json!({"metadata": metadata, "spec": spec, "status": status});
        let service = serde_json::from_value(service).unwrap();
        doors(&service, Ipv4Addr::LOCALHOST.into()).map_err(|err| err.to_string())
    }

    #[track_caller]
    fn check(spec: Value, status: Value, expect: &[(&str, &str)]) {
        let doors = doors_of(spec, status).unwrap();
        let doors: Vec<_> =
            doors.iter().map(|door| (door.port.as_str(), door.url.as_str())).collect();
        assert_eq!(doors, expect);
    }

    #[test]
    fn each_port_has_a_url() {
        let ports = json!([
            {"port": 80, "nodePort": 30080},
            {"name": "https", "port": 8443, "nodePort": 30443},
            {"name": "dns", "port": 53, "nodePort": 30053, "protocol": "UDP"},
        ]);
        check(
            json!({"type": "NodePort", "ports": ports}),
            json!({}),
            &[
                ("80", "http://127.0.0.1:30080"),
                ("https/8443", "https://127.0.0.1:30443"),
                ("dns/53", "udp://127.0.0.1:30053"),
            ],
        );
        let balanced = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.2"}]}});
        let port = json!([{"port": 80, "nodePort": 30080}]);
        let spec = json!({"type": "LoadBalancer", "ports": port});
        check(spec.clone(), balanced, &[("80", "http://127.0.0.2:80")]);
        check(spec, json!({}), &[("80", "http://127.0.0.1:30080")]);
    }

    #[test]
    fn services_without_a_door_are_told_what_helps() {
        let inside = json!({"type": "ClusterIP", "ports": [{"port": 80}]});
        let refusal = doors_of(inside, json!({})).unwrap_err();
        assert!(refusal.contains("kubectl port-forward -n shop service/web 8080:80"), "{refusal}");
        let alias = json!({"type": "ExternalName", "externalName": "example.com"});
        assert!(doors_of(alias, json!({})).unwrap_err().ends_with("another name for example.com"));
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let doors = [Door { port: "80".into(), url: "http://127.0.0.1:30080".into() }];
        assert_eq!(
            table("default", "web", &doors),
            [
                "NAMESPACE   NAME   TARGET PORT   URL",
                "default     web    80            http://127.0.0.1:30080"
            ]
        );
    }
}
