//! What controllers could know when they decided.

use std::fmt;
use std::sync::Arc;

use super::objects::{Pod, Seen, What};

/// What an owner's controller could see at one moment: the owner, and what it manages.
#[derive(Clone)]
pub(super) struct View {
    pub(super) owner: Arc<Seen>,
    pub(super) parts: Vec<Arc<Seen>>,
}

/// The views since the owner's controller wrote last, and those of its turn before.
#[derive(Default)]
pub(super) struct Window {
    before: Vec<View>,
    since: Vec<View>,
}

impl fmt::Debug for Window {
    /// The last ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.before.iter().chain(&self.since);
        f.debug_list().entries(all.rev().take(5)).finish()
    }
}

impl Window {
    pub(super) fn push(&mut self, view: View) {
        self.since.push(view);
    }

    /// The controller has written: a turn is over.
    pub(super) fn turn(&mut self) {
        self.before = std::mem::take(&mut self.since);
    }

    pub(super) fn any(&self, justifies: impl Fn(&View) -> bool) -> bool {
        self.before.iter().chain(&self.since).any(justifies)
    }
}

impl fmt::Debug for View {
    /// What a violation shows of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.owner.what)?;
        for part in &self.parts {
            let (name, going) = (&part.name, if part.going { " going" } else { "" });
            match part.pod() {
                Some(Pod { ready, phase, revision, .. }) => {
                    write!(f, " {name}{going} {phase} ready={ready} {revision:?};")?;
                }
                None => write!(f, " {name}{going} {:?};", part.what)?,
            }
        }
        Ok(())
    }
}

impl View {
    /// A Deployment's size, surge and how many may be missing.
    pub(super) fn bounds(&self) -> Option<(i64, i64, i64)> {
        match self.owner.what {
            What::Deployment { replicas, surge, unavailable } => {
                Some((replicas, surge, unavailable))
            }
            _ => None,
        }
    }

    pub(super) fn replicas(&self) -> i64 {
        match self.owner.what {
            What::StatefulSet { replicas } => replicas,
            _ => 0,
        }
    }

    pub(super) fn active(&self) -> i64 {
        i64::try_from(self.parts.iter().filter(|part| part.is_active()).count()).unwrap_or(0)
    }

    fn at(&self, index: i64) -> Option<&Seen> {
        let mut parts = self.parts.iter().map(|part| &**part);
        parts.find(|part| part.pod().and_then(|pod| pod.index) == Some(index))
    }

    pub(super) fn are_healthy(&self, mut indexes: std::ops::Range<i64>) -> bool {
        indexes.all(|index| self.at(index).is_some_and(Seen::is_healthy))
    }

    pub(super) fn is_over(&self, index: i64) -> bool {
        self.at(index).and_then(Seen::pod).is_some_and(Pod::is_over)
    }
}

pub(super) fn size(set: &Seen) -> i64 {
    match set.what {
        What::ReplicaSet { size, .. } => size,
        _ => 0,
    }
}

pub(super) fn available(set: &Seen) -> i64 {
    match set.what {
        What::ReplicaSet { available, .. } => available,
        _ => 0,
    }
}
