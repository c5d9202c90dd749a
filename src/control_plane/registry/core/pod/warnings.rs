//! What is allowed in a Pod and yet hardly meant.
//!
//! Upstream: `pkg/api/pod/warnings.go`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use crate::api::fields::Path;
use crate::api::meta;
use crate::api::quantity::Quantity;

/// Resources that are counted in bytes.
const BYTES: [&str; 2] = ["memory", "ephemeral-storage"];

pub(super) fn warnings(pod: &Pod) -> Vec<String> {
    let mut warnings: Vec<String> = hostname(pod).into_iter().collect();
    warnings.extend(pod.spec.iter().flat_map(|spec| of_spec(spec, &Path::new("spec"))));
    warnings
}

/// What is hardly meant in a Pod's spec, in a Pod or in a template.
pub(super) fn of_spec(spec: &PodSpec, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        warnings.push(format!(
            "{path}: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    for (path, container) in containers(spec, path) {
        warnings.extend(hidden_variables(container, &path));
        warnings.extend(fractions_of_bytes(container, &path));
    }
    warnings
}

fn containers<'a>(spec: &'a PodSpec, path: &Path) -> impl Iterator<Item = (Path, &'a Container)> {
    let (init, regular) = (path.child("initContainers"), path.child("containers"));
    let init = spec
        .init_containers
        .iter()
        .flatten()
        .enumerate()
        .map(move |(index, container)| (init.index(index), container));
    let regular = spec
        .containers
        .iter()
        .enumerate()
        .map(move |(index, container)| (regular.index(index), container));
    init.chain(regular)
}

fn hostname(pod: &Pod) -> Option<String> {
    let complaints =
        meta::dns1123_label(pod.metadata.name.as_deref().filter(|name| !name.is_empty())?);
    let text = "metadata.name: this is used in the Pod's hostname, which can result in surprising \
                behavior; a DNS label is recommended";
    (!complaints.is_empty()).then(|| format!("{text}: [{}]", complaints.join(" ")))
}

/// The last definition of a variable counts, and merge patches know it by name only.
fn hidden_variables(container: &Container, path: &Path) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let variables = container.env.iter().flatten().enumerate();
    variables
        .filter(|(_, variable)| !seen.insert(&variable.name))
        .map(|(index, variable)| {
            format!(
                "{}: hides previous definition of {:?}, which may be dropped when using apply",
                path.child("env").index(index),
                variable.name
            )
        })
        .collect()
}

/// Who writes `memory: 128m` means `128M`.
fn fractions_of_bytes(container: &Container, path: &Path) -> Vec<String> {
    let Some(resources) = &container.resources else { return Vec::new() };
    let path = path.child("resources");
    let lists = [("limits", &resources.limits), ("requests", &resources.requests)];
    let mut warnings = Vec::new();
    for (field, list) in lists {
        for (name, amount) in list.iter().flatten() {
            let fraction = Quantity::of(amount).is_ok_and(|amount| !amount.is_whole());
            if BYTES.contains(&name.as_str()) && fraction {
                let path = path.child(field).key(name);
                let amount = &amount.0;
                warnings.push(format!(
                    "{path}: fractional byte value {amount:?} is invalid, must be an integer"
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(name: &str, spec: Value, expect: &[&str]) {
        let pod = json!({"metadata": {"name": name}, "spec": spec});
        assert_eq!(warnings(&serde_json::from_value(pod).unwrap()), expect);
    }

    #[test]
    fn slips_are_named() {
        check(
            "p",
            json!({"containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi", "cpu": "1m"}}}]}),
            &[],
        );
        check(
            "p.q",
            json!({
                "terminationGracePeriodSeconds": -1,
                "containers": [{"name": "c", "env": [{"name": "A"}, {"name": "B"}, {"name": "A"}],
                    "resources": {"limits": {"memory": "128m"}}}],
            }),
            &[
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
                "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].resources.limits[memory]: fractional byte value \"128m\" is invalid, must be an integer",
            ],
        );
    }
}
