//! Earlier templates, kept as ControllerRevisions: what StatefulSets and DaemonSets can be brought back to.
//!
//! Upstream: `pkg/controller/history/controller_history.go`, `pkg/controller/daemon/update.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use super::Context;
use super::ownership::{Object, managed_by, namespace, revision};
use super::reconcile::is_gone;

/// Tells Pods of one revision from those of another.
pub(super) const POD_LABEL: &str = "controller-revision-hash";

/// Bound: so many names that others have are passed over by one reconcile.
const COLLISIONS_MAX: usize = 8;

/// Bound of a name's given part; with a hyphen and the hash it fits into a DNS subdomain.
const NAME_BYTES_MAX: usize = 223;

/// The hash of a template, in upstream's alphabet (no vowels: no words). Not upstream's value, which is
/// made of Go's way of printing structures; it need only be the same for the same template.
pub(super) fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut text = serde_json::to_vec(template).unwrap_or_default();
    if let Some(collisions) = collisions {
        text.extend(collisions.to_le_bytes());
    }
    let digits = fnv_1a(&text).to_string();
    digits.bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// FNV-1a of 32 bits. Upstream: `ComputeHash` in `pkg/controller/controller_utils.go`, which uses FNV-1a
/// too.
fn fnv_1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Whose history it is, and of what.
pub(super) struct Subject<'a, O> {
    pub(super) owner: &'a O,
    pub(super) template: &'a PodTemplateSpec,
    /// The label by which a revision shows its hash.
    pub(super) hash_label: &'static str,
    /// How often a name was somebody else's, so far.
    pub(super) collisions: Option<i32>,
}

/// What must be done so that the newest revision is the one of the current template.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing(Arc<ControllerRevision>),
    /// An earlier one is brought back: it gets this number.
    Renumber(Arc<ControllerRevision>, i64),
    Create(Box<ControllerRevision>),
}

/// Oldest first.
pub(super) fn in_order(revisions: &mut [Arc<ControllerRevision>]) {
    revisions.sort_by(|a, b| {
        let age = |revision: &ControllerRevision| {
            let made = revision.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (revision.revision, made, revision.metadata.name.clone())
        };
        age(a).cmp(&age(b))
    });
}

pub(super) fn name(revision: &ControllerRevision) -> &str {
    revision.metadata.name.as_deref().unwrap_or_default()
}

/// What brings an owner back to this template, as a strategic merge patch: so kubectl applies it.
fn snapshot(template: &PodTemplateSpec) -> Value {
    let mut template = json!(template);
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template of a revision; none if it holds something else.
pub(super) fn template_of(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.as_ref()?.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

impl<O: Object> Subject<'_, O> {
    /// `revisions` are in order.
    fn step(&self, revisions: &[Arc<ControllerRevision>]) -> Step {
        let data = Some(RawExtension(snapshot(self.template)));
        let next = revisions.last().map_or(1, |last| last.revision + 1);
        let same = revisions.iter().rposition(|revision| revision.data == data);
        match same {
            Some(at) if at + 1 == revisions.len() => Step::Nothing(revisions[at].clone()),
            Some(at) => Step::Renumber(revisions[at].clone(), next),
            None => Step::Create(Box::new(self.new_revision(data, next, self.collisions))),
        }
    }

    fn new_revision(
        &self,
        data: Option<RawExtension>,
        number: i64,
        collisions: Option<i32>,
    ) -> ControllerRevision {
        let hash = hash(self.template, collisions);
        let meta = self.owner.metadata();
        let of_template = self.template.metadata.as_ref();
        let mut labels = of_template.and_then(|meta| meta.labels.clone()).unwrap_or_default();
        labels.insert(self.hash_label.to_owned(), hash.clone());
        let name = meta.name.as_deref().unwrap_or_default();
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(format!("{name}-{hash}")),
                namespace: meta.namespace.clone(),
                labels: Some(labels),
                annotations: meta.annotations.clone(),
                owner_references: Some(vec![managed_by(self.owner)]),
                ..ObjectMeta::default()
            },
            data,
            revision: number,
        }
    }
}

/// The revision of the current template, and how often its name was somebody else's by now. Makes it if
/// there is none; when it returns, the cache shows it. `revisions` are in order.
///
/// # Errors
/// If the API server refuses it.
pub(super) async fn ensure<O: Object>(
    ctx: &Context,
    subject: &Subject<'_, O>,
    revisions: &[Arc<ControllerRevision>],
) -> Result<(Arc<ControllerRevision>, Option<i32>), kube::Error> {
    let api = api(ctx, subject.owner.metadata());
    match subject.step(revisions) {
        Step::Nothing(current) => Ok((current, subject.collisions)),
        Step::Renumber(old, number) => {
            let patch = json!({"metadata": {"uid": old.metadata.uid}, "revision": number});
            let patch = Patch::Merge(&patch);
            let written = api.patch(name(&old), &PatchParams::default(), &patch).await?;
            ctx.caches.controller_revisions.reached(revision(&written.metadata)).await;
            Ok((Arc::new(written), subject.collisions))
        }
        Step::Create(new) => create(ctx, subject, &api, *new).await,
    }
}

async fn create<O: Object>(
    ctx: &Context,
    subject: &Subject<'_, O>,
    api: &Api<ControllerRevision>,
    new: ControllerRevision,
) -> Result<(Arc<ControllerRevision>, Option<i32>), kube::Error> {
    let (mut new, mut collisions) = (new, subject.collisions);
    let mut attempts = 0;
    loop {
        let error = match api.create(&PostParams::default(), &new).await {
            Ok(written) => {
                ctx.caches.controller_revisions.reached(revision(&written.metadata)).await;
                return Ok((Arc::new(written), collisions));
            }
            Err(error) => error,
        };
        attempts += 1;
        let taken = matches!(&error, kube::Error::Api(answer) if answer.is_already_exists());
        if !taken || attempts > COLLISIONS_MAX {
            return Err(error);
        }
        let there = api.get(name(&new)).await?;
        if there.data == new.data {
            return Ok((Arc::new(there), collisions));
        }
        collisions = Some(collisions.unwrap_or(0) + 1);
        new = subject.new_revision(new.data, new.revision, collisions);
    }
}

/// Revisions beyond `limit` that nobody uses, oldest first; a negative limit keeps all. `revisions` are
/// in order.
///
/// Upstream: `truncateHistory`.
pub(super) fn forgotten(
    revisions: &[Arc<ControllerRevision>],
    limit: i32,
    is_live: impl Fn(&ControllerRevision) -> bool,
) -> Vec<&ControllerRevision> {
    let Ok(limit) = usize::try_from(limit) else { return Vec::new() };
    let mut history: Vec<&ControllerRevision> = revisions
        .iter()
        .map(|revision| &**revision)
        .filter(|revision| !is_live(revision))
        .collect();
    history.truncate(history.len().saturating_sub(limit));
    history
}

/// # Errors
/// If the API server refuses; not if it is gone already.
pub(super) async fn delete(ctx: &Context, old: &ControllerRevision) -> Result<(), kube::Error> {
    let precondition = Preconditions { uid: old.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
    match api(ctx, &old.metadata).delete(name(old), &params).await {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn api(ctx: &Context, meta: &ObjectMeta) -> Api<ControllerRevision> {
    Api::namespaced(ctx.client.kube(), namespace(meta))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::StatefulSet;

    use super::*;

    fn template(image: &str) -> PodTemplateSpec {
        serde_json::from_value(json!({"metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "image": image}]}}))
        .unwrap()
    }

    fn owner() -> StatefulSet {
        serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n", "uid": "u",
            "annotations": {"kubernetes.io/change-cause": "why"}}}))
        .unwrap()
    }

    fn kept(image: &str, number: i64) -> Arc<ControllerRevision> {
        Arc::new(ControllerRevision {
            metadata: ObjectMeta { name: Some(image.to_owned()), ..ObjectMeta::default() },
            data: Some(RawExtension(snapshot(&template(image)))),
            revision: number,
        })
    }

    fn step(image: &str, revisions: &[Arc<ControllerRevision>]) -> Step {
        let (owner, template) = (owner(), template(image));
        let subject =
            Subject { owner: &owner, template: &template, hash_label: "hash", collisions: None };
        subject.step(revisions)
    }

    #[test]
    fn hashes_differ_by_template_and_by_collision() {
        let template = template("a");
        assert_eq!(hash(&template, None), hash(&template.clone(), None));
        assert_ne!(hash(&template, None), hash(&template, Some(1)));
        assert_ne!(hash(&template, None), hash(&PodTemplateSpec::default(), None));
        assert!(hash(&template, None).bytes().all(|c| b"bcdfghjklmnpqrstvwxz2456789".contains(&c)));
    }

    #[test]
    fn a_new_template_is_a_new_revision_and_an_old_one_comes_back() {
        let revisions = [kept("a", 1), kept("b", 2)];
        assert_eq!(step("b", &revisions), Step::Nothing(revisions[1].clone()));
        assert_eq!(step("a", &revisions), Step::Renumber(revisions[0].clone(), 3));
        let Step::Create(new) = step("c", &revisions) else { panic!("it is there already") };
        assert_eq!(new.revision, 3);
        assert_eq!(template_of(&new), Some(template("c")));
        let hash = hash(&template("c"), None);
        let value = serde_json::to_value(&new).unwrap();
        assert_eq!(value["metadata"]["name"], format!("s-{hash}"));
        assert_eq!(value["metadata"]["labels"], json!({"app": "a", "hash": hash}));
        assert_eq!(value["metadata"]["annotations"]["kubernetes.io/change-cause"], "why");
        assert_eq!(value["data"]["spec"]["template"]["$patch"], "replace");
    }

    #[test]
    fn the_oldest_that_nobody_uses_are_forgotten() {
        let revisions = [kept("a", 1), kept("b", 2), kept("c", 3), kept("d", 4)];
        let names = |limit| {
            let old = forgotten(&revisions, limit, |revision| ["b", "d"].contains(&name(revision)));
            old.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(0), ["a", "c"]);
        assert_eq!(names(1), ["a"]);
        assert_eq!(names(2), Vec::<&str>::new());
        assert_eq!(names(-1), Vec::<&str>::new());
    }
}
