//! What becomes of an object's dependents when it is deleted, noted as finalizers for the garbage
//! collector.
//!
//! Upstream: `deletionFinalizersForGarbageCollection` in `k8s.io/apiserver/pkg/registry/generic/registry/store.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use crate::client::owners::{FOREGROUND, ORPHAN};
use crate::control_plane::registry::AnyResource;

/// The finalizers that the object has from now on.
pub(super) fn finalizers(
    resource: &dyn AnyResource,
    options: &DeleteOptions,
    current: &[String],
) -> Vec<String> {
    // What expires by itself is nobody's owner.
    if resource.ttl().is_some() {
        return current.to_vec();
    }
    let wanted = wanted(options, current, resource.orphans_dependents());
    let ours = |name: &String| name == FOREGROUND || name == ORPHAN;
    if current.iter().filter(|name| ours(name)).map(String::as_str).eq(wanted) {
        return current.to_vec();
    }
    let others = current.iter().filter(|name| !ours(name)).cloned();
    others.chain(wanted.map(str::to_owned)).collect()
}

/// What a client is told that does not say what shall become of the dependents.
pub(super) fn warning(resource: &dyn AnyResource, options: &DeleteOptions) -> Option<String> {
    let is_silent = options.propagation_policy.is_none() && options.orphan_dependents.is_none();
    resource.orphaning_warning().filter(|_| is_silent).map(str::to_owned)
}

/// What the client says counts before what the object says, and that before what is usual for the kind.
fn wanted(
    options: &DeleteOptions,
    current: &[String],
    orphans_by_default: bool,
) -> Option<&'static str> {
    if let Some(orphan) = options.orphan_dependents {
        return orphan.then_some(ORPHAN);
    }
    match options.propagation_policy.as_deref() {
        Some("Orphan") => return Some(ORPHAN),
        Some("Foreground") => return Some(FOREGROUND),
        Some(_) => return None,
        None => {}
    }
    let noted = current
        .iter()
        .find_map(|name| [ORPHAN, FOREGROUND].into_iter().find(|finalizer| finalizer == name));
    noted.or_else(|| orphans_by_default.then_some(ORPHAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: Option<&str>, current: &[&str], by_default: bool, expect: Option<&str>) {
        let options = DeleteOptions {
            propagation_policy: policy.map(str::to_owned),
            ..DeleteOptions::default()
        };
        let current: Vec<String> = current.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(wanted(&options, &current, by_default), expect);
    }

    #[test]
    fn the_client_then_the_object_then_the_kind_decides() {
        check(None, &[], false, None);
        check(None, &[], true, Some(ORPHAN));
        check(Some("Background"), &[FOREGROUND], true, None);
        check(Some("Foreground"), &[ORPHAN], true, Some(FOREGROUND));
        check(Some("Orphan"), &[], false, Some(ORPHAN));
        check(None, &["example.com/hold", FOREGROUND], true, Some(FOREGROUND));
        let options = DeleteOptions { orphan_dependents: Some(true), ..DeleteOptions::default() };
        assert_eq!(wanted(&options, &[], false), Some(ORPHAN));
    }
}
