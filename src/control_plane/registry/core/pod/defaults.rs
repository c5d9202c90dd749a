//! What a Pod's author may leave out.
//!
//! Upstream: `pkg/apis/core/v1/defaults.go`. Each function sets only what is absent, so that a
//! second run changes nothing. Where Go clients cannot tell "absent" from the zero value (strings,
//! numbers that are no pointers), neither do we.

use k8s_openapi::api::core::v1::{
    Container, EnvVar, EphemeralContainer, HTTPGetAction, Lifecycle, ObjectFieldSelector, Pod,
    PodIP, PodSpec, PodStatus, Probe, ProjectedVolumeSource, ResourceFieldSelector,
    ResourceRequirements, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::control_plane::registry::core::set_default;

/// Upstream: `DefaultTerminationGracePeriodSeconds`.
const GRACE_PERIOD_SECONDS: i64 = 30;
/// `rw-r--r--`, the mode of files in volumes made of objects.
const FILE_MODE: i32 = 0o644;
const TOKEN_SECONDS: i64 = 60 * 60;

pub(super) fn default(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    default_spec(spec);
    spec.enable_service_links.get_or_insert(true);
    let host_network = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let resources = container.resources.get_or_insert_default();
        default_requests(resources);
        if host_network {
            default_host_ports(container);
        }
    }
    default_status(pod.status.get_or_insert_default());
}

/// What holds for a Pod's spec in a template too.
pub(super) fn default_spec(spec: &mut PodSpec) {
    set_default(&mut spec.dns_policy, "ClusterFirst");
    set_default(&mut spec.restart_policy, "Always");
    set_default(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(GRACE_PERIOD_SECONDS);
    sync_service_account(spec);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        default_container(container);
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        default_ephemeral_container(container);
    }
    for volume in spec.volumes.iter_mut().flatten() {
        default_volume(volume);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are always shown.
fn sync_service_account(spec: &mut PodSpec) {
    let name = [&spec.service_account_name, &spec.service_account]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .cloned();
    spec.service_account_name.clone_from(&name);
    spec.service_account = name;
}

fn default_status(status: &mut PodStatus) {
    set_default(&mut status.phase, "Pending");
    // `podIP` is the old form of `podIPs`; each follows from the other.
    match (&status.pod_ip, status.pod_ips.as_deref()) {
        (Some(ip), None | Some([])) => status.pod_ips = Some(vec![PodIP { ip: ip.clone() }]),
        (None, Some([first, ..])) => status.pod_ip = Some(first.ip.clone()),
        _ => {}
    }
}

fn default_container(container: &mut Container) {
    let image = container.image.as_deref().unwrap_or_default();
    set_default(&mut container.image_pull_policy, pull_policy(image));
    set_default(&mut container.termination_message_path, "/dev/termination-log");
    set_default(&mut container.termination_message_policy, "File");
    container.resources.get_or_insert_default();
    for port in container.ports.iter_mut().flatten() {
        set_default(&mut port.protocol, "TCP");
    }
    default_env(container.env.as_mut());
    let probes = [
        &mut container.liveness_probe,
        &mut container.readiness_probe,
        &mut container.startup_probe,
    ];
    for probe in probes.into_iter().flatten() {
        default_probe(probe);
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        default_lifecycle(lifecycle);
    }
}

fn default_ephemeral_container(container: &mut EphemeralContainer) {
    let image = container.image.as_deref().unwrap_or_default();
    set_default(&mut container.image_pull_policy, pull_policy(image));
    set_default(&mut container.termination_message_path, "/dev/termination-log");
    set_default(&mut container.termination_message_policy, "File");
    container.resources.get_or_insert_default();
    for port in container.ports.iter_mut().flatten() {
        set_default(&mut port.protocol, "TCP");
    }
    default_env(container.env.as_mut());
}

/// `:latest` moves, so it is asked for each time; any other tag or a digest is taken to stay.
fn pull_policy(image: &str) -> &'static str {
    // A colon before the last slash is a registry's port.
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once('@').map_or(name, |(tagged, _)| tagged).split_once(':') {
        Some((_, tag)) if tag != "latest" => "IfNotPresent",
        None if name.contains('@') => "IfNotPresent",
        _ => "Always",
    }
}

fn default_env(env: Option<&mut Vec<EnvVar>>) {
    for variable in env.into_iter().flatten() {
        if let Some(source) = &mut variable.value_from {
            default_field_ref(source.field_ref.as_mut());
            default_resource_field_ref(source.resource_field_ref.as_mut());
        }
    }
}

fn default_field_ref(field: Option<&mut ObjectFieldSelector>) {
    if let Some(field) = field {
        set_default(&mut field.api_version, "v1");
    }
}

/// A divisor that was left out is shown as `0`, and means 1.
fn default_resource_field_ref(field: Option<&mut ResourceFieldSelector>) {
    if let Some(field) = field {
        field.divisor.get_or_insert_with(|| Quantity("0".to_owned()));
    }
}

fn default_probe(probe: &mut Probe) {
    let fill = |slot: &mut Option<i32>, value| {
        if slot.unwrap_or(0) == 0 {
            *slot = Some(value);
        }
    };
    fill(&mut probe.timeout_seconds, 1);
    fill(&mut probe.period_seconds, 10);
    fill(&mut probe.success_threshold, 1);
    fill(&mut probe.failure_threshold, 3);
    if let Some(get) = &mut probe.http_get {
        default_http_get(get);
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn default_http_get(get: &mut HTTPGetAction) {
    set_default(&mut get.path, "/");
    set_default(&mut get.scheme, "HTTP");
}

fn default_lifecycle(lifecycle: &mut Lifecycle) {
    let hooks = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
    for get in hooks.into_iter().flatten().filter_map(|hook| hook.http_get.as_mut()) {
        default_http_get(get);
    }
}

/// Requests that were left out are the limits.
fn default_requests(resources: &mut ResourceRequirements) {
    let Some(limits) = resources.limits.as_ref().filter(|limits| !limits.is_empty()) else {
        return;
    };
    let requests = resources.requests.get_or_insert_default();
    for (name, limit) in limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

/// On the host's network a container's port is the host's.
fn default_host_ports(container: &mut Container) {
    for port in container.ports.iter_mut().flatten() {
        if port.host_port.unwrap_or(0) == 0 {
            port.host_port = Some(port.container_port);
        }
    }
}

fn default_volume(volume: &mut Volume) {
    // A volume that says nothing but its name is an empty directory.
    if *volume == (Volume { name: volume.name.clone(), ..Volume::default() }) {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(map) = &mut volume.config_map {
        map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        for item in downward.items.iter_mut().flatten() {
            default_field_ref(item.field_ref.as_mut());
            default_resource_field_ref(item.resource_field_ref.as_mut());
        }
    }
    if let Some(projected) = &mut volume.projected {
        default_projected(projected);
    }
    if let Some(image) = &mut volume.image {
        let reference = image.reference.clone().unwrap_or_default();
        set_default(&mut image.pull_policy, pull_policy(&reference));
    }
    let ephemeral = volume.ephemeral.as_mut();
    if let Some(template) = ephemeral.and_then(|source| source.volume_claim_template.as_mut()) {
        set_default(&mut template.spec.volume_mode, "Filesystem");
    }
    if let Some(host) = &mut volume.host_path {
        host.type_.get_or_insert_default();
    }
}

fn default_projected(projected: &mut ProjectedVolumeSource) {
    projected.default_mode.get_or_insert(FILE_MODE);
    for source in projected.sources.iter_mut().flatten() {
        if let Some(token) = &mut source.service_account_token {
            token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
        }
        let items = source.downward_api.as_mut().and_then(|downward| downward.items.as_mut());
        for item in items.into_iter().flatten() {
            default_field_ref(item.field_ref.as_mut());
            default_resource_field_ref(item.resource_field_ref.as_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(spec: Value, pointer: &str, expect: Value) {
        let mut pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        default(&mut pod);
        let once = serde_json::to_value(&pod).unwrap();
        assert_eq!(once.pointer(pointer), Some(&expect).filter(|value| !value.is_null()));
        default(&mut pod);
        assert_eq!(serde_json::to_value(&pod).unwrap(), once, "a second run changes nothing");
    }

    #[test]
    fn the_tutorial_pod_gets_what_kubernetes_gives_it() {
        let spec = json!({"containers": [
            {"name": "count", "image": "busybox", "args": ["/bin/sh", "-c", "$(data)"]}]});
        let expect = json!({
            "containers": [{
                "name": "count",
                "image": "busybox",
                "args": ["/bin/sh", "-c", "$(data)"],
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": true,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        });
        check(spec, "/spec", expect);
    }

    #[test]
    fn only_moving_tags_are_always_pulled() {
        let policy = |image: &str, expect: &str| {
            let spec = json!({"containers": [{"name": "c", "image": image}]});
            check(spec, "/spec/containers/0/imagePullPolicy", json!(expect));
        };
        policy("nginx", "Always");
        policy("nginx:latest", "Always");
        policy("nginx:1.14.2", "IfNotPresent");
        policy("localhost:5000/nginx", "Always");
        policy("localhost:5000/nginx:1", "IfNotPresent");
        policy("nginx@sha256:0123", "IfNotPresent");
    }

    #[test]
    fn requests_follow_limits() {
        let spec = json!({"containers": [{"name": "c", "resources":
            {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m"}}}]});
        let expect = json!({
            "limits": {"cpu": "500m", "memory": "1Gi"},
            "requests": {"cpu": "100m", "memory": "1Gi"},
        });
        check(spec, "/spec/containers/0/resources", expect);
    }

    #[test]
    fn empty_strings_are_as_good_as_absent() {
        check(
            json!({"containers": [], "restartPolicy": ""}),
            "/spec/restartPolicy",
            json!("Always"),
        );
        let spec = json!({"containers": [], "serviceAccount": "builder"});
        check(spec, "/spec/serviceAccountName", json!("builder"));
    }

    #[test]
    fn probes_ports_and_volumes_are_filled_in() {
        let container = json!({
            "name": "c",
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        });
        let spec = json!({"containers": [container], "hostNetwork": true, "volumes": [
            {"name": "scratch"}, {"name": "settings", "configMap": {"name": "m"}}]});
        let at = |pointer: &str, expect: Value| check(spec.clone(), pointer, expect);
        at(
            "/spec/containers/0/ports/0",
            json!({"containerPort": 80, "hostPort": 80, "protocol": "TCP"}),
        );
        at(
            "/spec/containers/0/livenessProbe",
            json!({
                "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                "timeoutSeconds": 1, "periodSeconds": 3, "successThreshold": 1, "failureThreshold": 3,
            }),
        );
        at("/spec/containers/0/env/0/valueFrom/fieldRef/apiVersion", json!("v1"));
        at("/spec/volumes/0", json!({"name": "scratch", "emptyDir": {}}));
        at("/spec/volumes/1/configMap", json!({"name": "m", "defaultMode": 420}));
    }
}
