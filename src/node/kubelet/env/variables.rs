//! The environment and the command line of a container.

use std::collections::{HashMap, HashSet};

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};

use super::expand::expand;
use super::sources::Sources;
use crate::api::downward::{self, Facts};

/// What a container runtime sets when the image does not.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const HOME: &str = "/root";

/// The container's variables: the runtime's, the image's, then `envFrom` and `env` of the Pod; a
/// later one replaces an earlier one of the same name. Services' variables fill what is left.
///
/// # Errors
/// A reference to something that is not there, worded as upstream words CreateContainerConfigError.
pub(in crate::node::kubelet) fn environment(
    pod: &Pod,
    container: &Container,
    image_env: &[(String, String)],
    hostname: &str,
    facts: &Facts,
    sources: &Sources,
) -> Result<Vec<(String, String)>, String> {
    let services = &sources.service_variables;
    let mut of_pod = Variables::default();
    env_from(container, sources, &mut of_pod)?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            None => {
                let value = variable.value.as_deref().unwrap_or_default();
                let value_of =
                    |name: &str| of_pod.get(name).or_else(|| services.get(name).cloned());
                Some(expand(value, value_of))
            }
            Some(from) => value_from(pod, container, namespace, facts, sources, from)?,
        };
        if let Some(value) = value {
            of_pod.set(&variable.name, value);
        }
    }
    let mut all = Variables::default();
    all.set("PATH", PATH.to_owned());
    all.set("HOSTNAME", hostname.to_owned());
    all.set("HOME", HOME.to_owned());
    for (name, value) in image_env.iter().chain(&of_pod.0) {
        all.set(name, value.clone());
    }
    // Nothing that is set is replaced by what tells of Services; there may be thousands.
    let set: HashSet<String> = all.0.iter().map(|(name, _)| name.clone()).collect();
    let others = services.iter().filter(|(name, _)| !set.contains(*name));
    all.0.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    Ok(all.0)
}

/// Program and arguments: `command` replaces the image's entrypoint and its arguments, `args` the
/// arguments alone. Empty if neither image nor Pod name a program.
pub(in crate::node::kubelet) fn argv(
    container: &Container,
    entrypoint: &[String],
    cmd: &[String],
    environment: &[(String, String)],
) -> Vec<String> {
    let given = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let command = given(&container.command);
    let args = given(&container.args);
    let values: HashMap<&str, &str> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expanded = |list: Vec<String>| {
        list.into_iter().map(|text| expand(&text, |name| values.get(name).map(|v| (*v).to_owned())))
    };
    let program: Vec<String> = match &command {
        Some(command) => expanded(command.clone()).collect(),
        None => entrypoint.to_vec(),
    };
    let arguments: Vec<String> = match (args, command) {
        (Some(args), _) => expanded(args).collect(),
        (None, Some(_)) => Vec::new(),
        (None, None) => cmd.to_vec(),
    };
    [program, arguments].concat()
}

/// Variables in the order in which they were first set.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

fn env_from(container: &Container, sources: &Sources, into: &mut Variables) -> Result<(), String> {
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut entries = match &source.config_map_ref {
            Some(of) => sources.config_map(&of.name, of.optional.unwrap_or(false))?,
            None => Default::default(),
        };
        if let Some(of) = &source.secret_ref {
            entries.extend(sources.secret(&of.name, of.optional.unwrap_or(false))?);
        }
        for (key, value) in entries {
            into.set(&format!("{prefix}{key}"), value);
        }
    }
    Ok(())
}

/// `None` for an optional reference to something that is not there.
fn value_from(
    pod: &Pod,
    container: &Container,
    namespace: &str,
    facts: &Facts,
    sources: &Sources,
    from: &EnvVarSource,
) -> Result<Option<String>, String> {
    if let Some(field) = &from.field_ref {
        return downward::field(pod, facts, &field.field_path).map(Some);
    }
    if let Some(selector) = &from.resource_field_ref {
        return downward::resource(pod, Some(container), &facts.allocatable, selector).map(Some);
    }
    if let Some(of) = &from.config_map_key_ref {
        let optional = of.optional.unwrap_or(false);
        let value = sources.config_map(&of.name, optional)?.remove(&of.key);
        let missing =
            || format!("couldn't find key {} in ConfigMap {namespace}/{}", of.key, of.name);
        return if optional { Ok(value) } else { value.ok_or_else(missing).map(Some) };
    }
    if let Some(of) = &from.secret_key_ref {
        let optional = of.optional.unwrap_or(false);
        let value = sources.secret(&of.name, optional)?.remove(&of.key);
        let missing = || format!("couldn't find key {} in Secret {namespace}/{}", of.key, of.name);
        return if optional { Ok(value) } else { value.ok_or_else(missing).map(Some) };
    }
    Ok(Some(String::new()))
}
