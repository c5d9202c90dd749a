//! Probes and lifecycle hooks.

use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, LifecycleHandler, PodSpec, Probe, SleepAction,
    TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{invalid_number, not_negative, text};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};

/// What probes and hooks have in common: exactly one of these is given.
#[derive(Default)]
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc_port: Option<i32>,
    sleep: Option<&'a SleepAction>,
}

pub(super) fn validate(container: &Container, spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let grace = spec.termination_grace_period_seconds;
    let mut faults = Vec::new();
    if let Some(lifecycle) = &container.lifecycle {
        let path = path.child("lifecycle");
        let hooks = [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)];
        for (name, hook) in hooks {
            if let Some(hook) = hook {
                faults.extend(Handler::of_hook(hook).validate(grace, &path.child(name)));
            }
        }
    }
    if let Some(probe) = &container.liveness_probe {
        let path = path.child("livenessProbe");
        faults.extend(validate_probe(probe, grace, &path));
        faults.extend(validate_success_threshold(probe, &path));
    }
    if let Some(probe) = &container.readiness_probe {
        let path = path.child("readinessProbe");
        faults.extend(validate_probe(probe, grace, &path));
        if let Some(seconds) = probe.termination_grace_period_seconds {
            let path = path.child("terminationGracePeriodSeconds");
            let detail = "must not be set for readinessProbes";
            faults.push(FieldError::invalid(path, seconds, detail));
        }
    }
    if let Some(probe) = &container.startup_probe {
        let path = path.child("startupProbe");
        faults.extend(validate_probe(probe, grace, &path));
        faults.extend(validate_success_threshold(probe, &path));
    }
    faults
}

fn validate_probe(probe: &Probe, grace: Option<i64>, path: &Path) -> Vec<FieldError> {
    let mut faults = Handler::of_probe(probe).validate(grace, path);
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (field, number) in numbers {
        faults.extend(not_negative(&path.child(field), number.map(i64::from)));
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|one| *one <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        faults.push(FieldError::invalid(path, seconds, "must be greater than 0"));
    }
    faults
}

fn validate_success_threshold(probe: &Probe, path: &Path) -> Option<FieldError> {
    let threshold = probe.success_threshold.filter(|threshold| *threshold != 1)?;
    Some(FieldError::invalid(path.child("successThreshold"), threshold, "must be 1"))
}

impl<'a> Handler<'a> {
    fn of_probe(probe: &'a Probe) -> Self {
        Self {
            exec: probe.exec.as_ref(),
            http_get: probe.http_get.as_ref(),
            tcp_socket: probe.tcp_socket.as_ref(),
            grpc_port: probe.grpc.as_ref().map(|grpc| grpc.port),
            sleep: None,
        }
    }

    fn of_hook(hook: &'a LifecycleHandler) -> Self {
        Self {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc_port: None,
            sleep: hook.sleep.as_ref(),
        }
    }

    fn validate(&self, grace: Option<i64>, path: &Path) -> Vec<FieldError> {
        let child = |name: &'static str| path.child(name);
        let given: Vec<(&str, Vec<FieldError>)> = [
            self.exec.map(|exec| ("exec", validate_exec(exec, &child("exec")))),
            self.http_get.map(|get| ("httpGet", validate_http_get(get, &child("httpGet")))),
            self.tcp_socket.map(|tcp| {
                ("tcpSocket", validate_port(&tcp.port, &child("tcpSocket").child("port")))
            }),
            self.grpc_port.map(|port| {
                ("grpc", validate_port(&IntOrString::Int(port), &child("grpc").child("port")))
            }),
            self.sleep.map(|sleep| ("sleep", validate_sleep(sleep, grace, &child("sleep")))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if given.is_empty() {
            return vec![FieldError::required(path.clone(), "must specify a handler type")];
        }
        let second = |name| {
            vec![FieldError::forbidden(child(name), "may not specify more than 1 handler type")]
        };
        let faults = given.into_iter().enumerate();
        faults
            .flat_map(|(index, (name, own))| if index == 0 { own } else { second(name) })
            .collect()
    }
}

fn validate_exec(exec: &ExecAction, path: &Path) -> Vec<FieldError> {
    if exec.command.as_ref().is_none_or(Vec::is_empty) {
        return vec![FieldError::required(path.child("command"), "")];
    }
    Vec::new()
}

fn validate_http_get(get: &HTTPGetAction, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if text(&get.path).is_empty() {
        faults.push(FieldError::required(path.child("path"), ""));
    }
    faults.extend(validate_port(&get.port, &path.child("port")));
    let scheme = text(&get.scheme);
    if !["HTTP", "HTTPS"].contains(&scheme) {
        let path = path.child("scheme");
        faults.push(FieldError::not_supported(path, scheme, &["HTTP", "HTTPS"]));
    }
    for header in get.http_headers.iter().flatten() {
        faults.extend(validate_header_name(&header.name, &path.child("httpHeaders")));
    }
    faults
}

/// Upstream: `validation.IsHTTPHeaderName`.
fn validate_header_name(name: &str, path: &Path) -> Option<FieldError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !name.is_empty() && name.bytes().all(allowed) {
        return None;
    }
    let detail = "a valid HTTP header must consist of alphanumeric characters or '-' \
                  (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
    Some(FieldError::invalid(path.clone(), name, detail))
}

fn validate_port(port: &IntOrString, path: &Path) -> Vec<FieldError> {
    match port {
        IntOrString::Int(port) => invalid_number(path, *port, meta::port_number(i64::from(*port))),
        IntOrString::String(name) => invalid_each(path, name, meta::port_name(name)),
    }
}

fn validate_sleep(sleep: &SleepAction, grace: Option<i64>, path: &Path) -> Vec<FieldError> {
    match grace {
        Some(grace) if sleep.seconds < 0 || sleep.seconds > grace => {
            let detail = format!(
                "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            );
            vec![FieldError::invalid(path.clone(), sleep.seconds, detail)]
        }
        _ => Vec::new(),
    }
}
