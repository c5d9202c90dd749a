//! The rules, held against everything that was seen, in the order in which it happened.
//!
//! A controller acts on what its caches show: not on what is, but on what was, at some moment after its
//! own writes before last (each waits for those before it to be seen). So a rule about what a controller
//! decided is broken if no such moment justifies it. What nobody decides, such as how many Pods of an
//! ordinal there are, holds at every moment.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::objects::{Pod, Seen, What};
use super::views::{View, Window, available, size};
use super::watcher::{Change, History};

#[derive(Debug, Default)]
struct Judge {
    now: HashMap<String, Arc<Seen>>,
    /// By the uid of who manages them.
    parts: HashMap<String, HashSet<String>>,
    windows: HashMap<String, Window>,
    /// Pods that somebody else than a controller sent away, by uid.
    disturbed: HashSet<String>,
    /// Pods of Jobs that succeeded before anybody deleted them, by the Job and the index.
    succeeded: HashMap<String, HashMap<String, Option<i64>>>,
    /// Pods of Jobs that succeeded though they were being deleted: counted or not, as it was seen.
    doubtful: HashMap<String, HashSet<String>>,
    /// Scheduled times of CronJobs.
    times: HashSet<(String, String)>,
    gone: HashSet<String>,
    /// Events by whom, about whom.
    told: HashMap<(String, String), usize>,
    /// Budgets that all Pods of have been there for since the last kill.
    settled: HashSet<String>,
    life: usize,
    violations: Vec<String>,
}

/// Writes about one object by one source in one life: upstream's burst, and what refills while it lasts.
const EVENTS_MAX: usize = 27;

/// Everything that is wrong with what was seen.
pub(super) fn judge(history: &History, disturbed: &HashSet<String>) -> Vec<String> {
    let mut changes: Vec<&Change> = history.changes.iter().collect();
    changes.sort_by_key(|change| (change.life, change.revision));
    let mut judge = Judge { disturbed: disturbed.clone(), ..Judge::default() };
    judge.violations.extend(history.faults.iter().cloned());
    for change in changes {
        if change.life != judge.life {
            judge.begin_life(change.life);
        }
        judge.take(change, change.revision > history.whole_after[change.life]);
    }
    judge.look_at_ends();
    judge.violations
}

impl Judge {
    fn begin_life(&mut self, life: usize) {
        self.life = life;
        self.windows.clear();
        self.settled.clear();
        self.told.clear();
    }

    fn say(&mut self, change: &Change, name: &str, text: impl fmt::Display) {
        let Change { life, revision, .. } = change;
        self.violations.push(format!("life {life}, revision {revision}: {name}: {text}"));
    }

    /// `whole`: nothing has been missed just before.
    fn take(&mut self, change: &Change, whole: bool) {
        let before = self.now.get(&change.uid).cloned();
        let Some(subject) = change.seen.clone().or_else(|| before.clone()) else { return };
        if self.gone.contains(&change.uid) {
            self.say(change, &subject.name, "is back though it was deleted");
        }
        if matches!(subject.what, What::Event { .. }) {
            self.count_event(change, &subject);
            return;
        }
        let owners = self.owners(&subject);
        for owner in &owners {
            self.look(owner);
        }
        self.store(change, before.as_deref(), &subject);
        if whole {
            self.rule(change, before.as_deref(), &subject);
        }
        self.rule_jobs(change, before.as_deref(), &subject);
        for owner in owners {
            let is_turn = self.is_own_write(&owner, change, before.as_deref(), &subject);
            if is_turn && let Some(window) = self.windows.get_mut(&owner) {
                window.turn();
            }
            self.look(&owner);
        }
    }

    /// Whose controllers look at this object: its own, its owner's, the budget that covers it.
    fn owners(&self, seen: &Seen) -> Vec<String> {
        let budgets = self.now.values().filter(|one| {
            let What::Budget { app, .. } = &one.what else { return false };
            seen.pod().is_some_and(|pod| pod.app == *app)
        });
        let own = seen.pod().is_none().then(|| seen.uid.clone());
        let own = own.into_iter().chain(seen.owner.clone());
        own.chain(budgets.map(|budget| budget.uid.clone())).collect()
    }

    fn store(&mut self, change: &Change, before: Option<&Seen>, subject: &Seen) {
        match &change.seen {
            Some(seen) => drop(self.now.insert(change.uid.clone(), seen.clone())),
            None => {
                self.now.remove(&change.uid);
                self.gone.insert(change.uid.clone());
                self.windows.remove(&change.uid);
            }
        }
        if let Some(owner) = before.and_then(|before| before.owner.as_ref()) {
            self.parts.entry(owner.clone()).or_default().remove(&change.uid);
        }
        if let (Some(owner), true) = (&subject.owner, change.seen.is_some()) {
            self.parts.entry(owner.clone()).or_default().insert(change.uid.clone());
        }
    }

    fn view(&self, owner: &str) -> Option<View> {
        let owner = self.now.get(owner)?.clone();
        let parts = match &owner.what {
            What::Budget { app, .. } => {
                let all = self.now.values();
                all.filter(|one| one.pod().is_some_and(|pod| pod.app == *app)).cloned().collect()
            }
            _ => {
                let parts = self.parts.get(&owner.uid).into_iter().flatten();
                parts.filter_map(|uid| self.now.get(uid).cloned()).collect()
            }
        };
        Some(View { owner, parts })
    }

    fn look(&mut self, owner: &str) {
        if let Some(view) = self.view(owner) {
            self.windows.entry(owner.to_owned()).or_default().push(view);
        }
    }

    /// Whether the owner's controller wrote this: its status, or what its next look must show it.
    fn is_own_write(
        &self,
        owner: &str,
        change: &Change,
        before: Option<&Seen>,
        now: &Seen,
    ) -> bool {
        if change.uid == owner {
            let granted = matches!((&now.what, before.map(|before| &before.what)),
                (What::Budget { disrupted: now, .. }, Some(What::Budget { disrupted: before, .. }))
                if now.len() > before.len());
            return before.is_some_and(|before| before.generation == now.generation) && !granted;
        }
        let is_set =
            self.now.get(owner).is_some_and(|one| matches!(one.what, What::StatefulSet { .. }));
        is_set && (before.is_none() || self.is_sent_away(change, before, now))
    }

    /// A Pod begins to end because a controller wants it so.
    fn is_sent_away(&self, change: &Change, before: Option<&Seen>, now: &Seen) -> bool {
        let goes = now.going || change.seen.is_none();
        now.pod().is_some()
            && goes
            && before.is_some_and(|before| !before.going)
            && !self.disturbed.contains(&change.uid)
    }

    fn rule(&mut self, change: &Change, before: Option<&Seen>, now: &Seen) {
        let owner = now.owner.as_ref().and_then(|owner| self.now.get(owner)).cloned();
        let text = match (&now.what, &owner) {
            (What::ReplicaSet { .. }, Some(owner)) if change.seen.is_some() => {
                self.resized(before, now, &owner.uid)
            }
            (What::Pod(_), Some(owner)) if before.is_none() => self.made(now, owner),
            (What::Pod(pod), Some(owner)) if self.is_sent_away(change, before, now) => {
                self.sent_away(before, pod, owner)
            }
            (What::Job { .. }, Some(owner)) if before.is_none() => self.scheduled(now, owner),
            (What::Budget { .. }, _) => self.granted(before, now),
            _ => None,
        };
        if let Some(text) = text {
            self.say(change, &now.name, text);
        }
        let kept: Vec<String> = self.broken_budgets();
        for text in kept {
            self.say(change, &now.name, text);
        }
    }

    /// A Deployment never has more Pods than its size and surge, nor takes away one that it must have.
    fn resized(&self, before: Option<&Seen>, now: &Seen, owner: &str) -> Option<String> {
        let (What::ReplicaSet { size: to, desired: to_of, .. }, from) =
            (&now.what, before.map(|one| &one.what))
        else {
            return None;
        };
        let (from, from_of) = match from {
            Some(What::ReplicaSet { size, desired, .. }) => (*size, desired.as_ref()),
            _ => (0, None),
        };
        let current = self.view(owner)?;
        let window = self.windows.get(owner)?;
        let total: i64 = current.parts.iter().map(|part| size(part)).sum();
        if *to > from
            && !window.any(|view| {
                view.bounds().is_some_and(|(replicas, surge, _)| total <= replicas + surge)
            })
        {
            return Some(format!("grows from {from} to {to}: {total} in all, {current:?}"));
        }
        // Whoever is scaled has its sets scaled alike, whatever is available.
        let is_scaled = from_of != to_of.as_ref();
        let stays_available = |view: &View| {
            let Some((replicas, _, unavailable)) = view.bounds() else { return false };
            let left = |changed: i64| -> i64 {
                let sizes = current.parts.iter().map(|part| {
                    let size = if part.uid == now.uid { changed } else { size(part) };
                    let then = view.parts.iter().find(|one| one.uid == part.uid);
                    size.min(then.map_or(0, |one| available(one)))
                });
                sizes.sum()
            };
            left(*to) >= replicas - unavailable || left(*to) == left(from)
        };
        (*to < from && !is_scaled && !window.any(stays_available))
            .then(|| format!("shrinks from {from} to {to}, and too few are available: {current:?}"))
    }

    /// Nobody has more Pods than it wants, a StatefulSet makes them in order, and nobody makes one twice.
    fn made(&self, pod: &Seen, owner: &Seen) -> Option<String> {
        let view = self.view(&owner.uid)?;
        let window = self.windows.get(&owner.uid)?;
        let active = view.active();
        let index = pod.pod().and_then(|pod| pod.index);
        match &owner.what {
            What::ReplicaSet { .. } => {
                let is_wanted = |view: &View| active <= size(&view.owner);
                (!window.any(is_wanted)).then(|| format!("is one of {active} Pods: {window:?}"))
            }
            What::StatefulSet { .. } => {
                let index = index?;
                let twins = view
                    .parts
                    .iter()
                    .filter(|part| part.pod().and_then(|pod| pod.index) == Some(index));
                let is_due = |view: &View| index < view.replicas() && view.are_healthy(0..index);
                let twins = twins.count();
                (twins > 1 || !window.any(is_due)).then(|| format!("comes too early: {window:?}"))
            }
            What::DaemonSet => (active > 1).then(|| format!("is one of {active} Pods of its node")),
            What::Job { parallelism, .. } => {
                let twins = view.parts.iter().filter(|part| {
                    part.is_active() && part.pod().and_then(|pod| pod.index) == index
                });
                let has_twin = index.is_some() && twins.count() > 1;
                let done = self.succeeded.get(&owner.uid).into_iter().flat_map(HashMap::values);
                let is_done = index.is_some() && done.into_iter().any(|done| *done == index);
                (active > *parallelism || has_twin || is_done).then(|| {
                    format!("is one of {active}; twin: {has_twin}, done before: {is_done}")
                })
            }
            _ => None,
        }
    }

    /// A Pod that is not ready goes before one that is, and a StatefulSet's go from the end.
    fn sent_away(&self, before: Option<&Seen>, pod: &Pod, owner: &Seen) -> Option<String> {
        let window = self.windows.get(&owner.uid)?;
        if owner.going {
            return None;
        }
        match &owner.what {
            What::ReplicaSet { .. } => {
                let was_ready = before.is_some_and(Seen::is_healthy);
                let is_too_much = |view: &View| {
                    let ready = view.parts.iter().filter(|part| part.is_healthy()).count();
                    let unready = view.active() - i64::try_from(ready).unwrap_or(0);
                    let excess = view.active() - size(&view.owner);
                    excess > if was_ready { unready } else { 0 }
                };
                (!window.any(is_too_much)).then(|| format!("is deleted for no reason: {window:?}"))
            }
            What::StatefulSet { .. } => {
                let index = pod.index?;
                let may_go = |view: &View| {
                    let replicas = view.replicas();
                    let after = view.parts.iter().filter_map(|part| part.pod());
                    let after: Vec<&Pod> = after.filter(|one| one.index > pod.index).collect();
                    let is_last = index >= replicas && after.is_empty();
                    let is_updated = index < replicas
                        && view.are_healthy(index + 1..replicas)
                        && after.iter().all(|one| one.revision != pod.revision);
                    is_last || is_updated || view.is_over(index)
                };
                (!window.any(may_go)).then(|| format!("is deleted out of turn: {window:?}"))
            }
            _ => None,
        }
    }

    /// `Forbid`: one at a time, and each time once.
    fn scheduled(&mut self, job: &Seen, owner: &Seen) -> Option<String> {
        let What::Job { time, .. } = &job.what else { return None };
        let view = self.view(&owner.uid)?;
        let runs =
            |one: &&Arc<Seen>| matches!(&one.what, What::Job { ended: None, .. }) && !one.going;
        let running = view.parts.iter().filter(runs).count();
        let time = time.clone().unwrap_or_default();
        let is_first = self.times.insert((owner.uid.clone(), time.clone()));
        (running > 1 || !is_first)
            .then(|| format!("is one of {running}, first of {time}: {is_first}"))
    }

    /// An eviction leaves as many as the budget wants, by a count that was right.
    fn granted(&self, before: Option<&Seen>, now: &Seen) -> Option<String> {
        let (What::Budget { wanted, disrupted, .. }, What::Budget { disrupted: old, .. }) =
            (&now.what, &before?.what)
        else {
            return None;
        };
        if disrupted.len() <= old.len() {
            return None;
        }
        let leaves_enough = |view: &View| {
            let stay = view
                .parts
                .iter()
                .filter(|part| part.is_healthy() && !disrupted.contains(&part.name));
            i64::try_from(stay.count()).unwrap_or(0) >= *wanted
        };
        let window = self.windows.get(&now.uid)?;
        (!window.any(leaves_enough)).then(|| format!("grants what it does not have: {window:?}"))
    }

    /// Budgets whose Pods nobody disturbs but by evictions: since all were there, enough have been.
    fn broken_budgets(&mut self) -> Vec<String> {
        let budgets = self.now.values().filter(|one| matches!(one.what, What::Budget { .. }));
        let budgets: Vec<Arc<Seen>> = budgets.cloned().collect();
        let mut broken = Vec::new();
        for budget in budgets {
            let (What::Budget { wanted, .. }, Some(view)) = (&budget.what, self.view(&budget.uid))
            else {
                continue;
            };
            let healthy = view.parts.iter().filter(|part| part.is_healthy()).count();
            let healthy = i64::try_from(healthy).unwrap_or(0);
            if healthy > *wanted {
                self.settled.insert(budget.uid.clone());
            } else if healthy < *wanted && self.settled.remove(&budget.uid) {
                broken.push(format!("leaves {} {healthy} of {wanted}", budget.name));
            }
        }
        broken
    }

    /// Notes what became of a Job's Pods.
    fn rule_jobs(&mut self, change: &Change, before: Option<&Seen>, now: &Seen) {
        let (Some(pod), Some(owner)) = (now.pod(), &now.owner) else { return };
        let is_of_job = |one: &Arc<Seen>| matches!(one.what, What::Job { .. });
        let was_over = before.and_then(Seen::pod).is_some_and(Pod::is_over);
        if pod.phase != "Succeeded" || was_over || !self.now.get(owner).is_some_and(is_of_job) {
            return;
        }
        if now.going {
            self.doubtful.entry(owner.clone()).or_default().insert(change.uid.clone());
        } else {
            let of_job = self.succeeded.entry(owner.clone()).or_default();
            of_job.insert(change.uid.clone(), pod.index);
        }
    }

    fn count_event(&mut self, change: &Change, event: &Seen) {
        let What::Event { about, source } = &event.what else { return };
        if change.seen.is_none() {
            return;
        }
        let count = self.told.entry((about.clone(), source.clone())).or_default();
        *count += 1;
        if *count == EVENTS_MAX + 1 {
            let text = format!("more than {EVENTS_MAX} Events by {source}");
            self.say(change, &event.name, text);
        }
    }

    /// What is there at the end is what it should be.
    fn look_at_ends(&mut self) {
        let mut wrong = Vec::new();
        for seen in self.now.values() {
            if let Some(owner) = &seen.owner
                && !self.now.contains_key(owner)
                && seen.pod().is_some()
            {
                wrong.push(format!("{}: its owner is gone", seen.name));
            }
            let What::Job { completions, succeeded, ended, .. } = &seen.what else { continue };
            let count = |count: usize| i64::try_from(count).unwrap_or(0);
            let sure = count(self.succeeded.get(&seen.uid).map_or(0, HashMap::len));
            let doubtful = count(self.doubtful.get(&seen.uid).map_or(0, HashSet::len));
            let is_exact = (sure..=sure + doubtful).contains(completions);
            if ended.as_deref() == Some("Complete") && (succeeded != completions || !is_exact) {
                wrong.push(format!(
                    "{}: {succeeded} of {completions} are counted, {sure} and {doubtful} seen",
                    seen.name
                ));
            }
        }
        self.violations.extend(wrong);
    }
}
