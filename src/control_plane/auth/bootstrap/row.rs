//! Permissions as they are written in this program's tables.

use k8s_openapi::api::rbac::v1::PolicyRule;

pub(in super::super) type Words = &'static [&'static str];

/// One permission: what [`PolicyRule`] says, without a heap.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Row {
    verbs: Words,
    groups: Words,
    resources: Words,
    names: Words,
    paths: Words,
}

impl Row {
    /// Verbs on resources (`pods`, `pods/log`) of these groups; the core group is the empty one.
    pub(in super::super) const fn on(groups: Words, resources: Words, verbs: Words) -> Self {
        Self { verbs, groups, resources, names: &[], paths: &[] }
    }

    /// The same for objects of these names only.
    pub(super) const fn named(self, names: Words) -> Self {
        Self { names, ..self }
    }

    /// Verbs on paths that are no resources: whole ones, or beginnings that end in `*`.
    pub(in super::super) const fn paths(paths: Words, verbs: Words) -> Self {
        Self { verbs, groups: &[], resources: &[], names: &[], paths }
    }

    pub(in super::super) fn rule(&self) -> PolicyRule {
        let owned = |words: Words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let some = |words: Words| Some(owned(words)).filter(|words| !words.is_empty());
        PolicyRule {
            verbs: owned(self.verbs),
            api_groups: some(self.groups),
            resources: some(self.resources),
            resource_names: some(self.names),
            non_resource_urls: some(self.paths),
        }
    }
}
