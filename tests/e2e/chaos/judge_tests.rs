//! Histories that break a rule, and that a rule must bear with.

use std::collections::HashSet;
use std::sync::Arc;

use super::judge::judge;
use super::objects::{Pod, Seen, What};
use super::watcher::{Change, History};

/// Tells a history, one change after the other.
struct Tale(History);

impl Tale {
    /// A Deployment of 2 with a surge of 1, its ReplicaSet, and one Pod of it that is ready.
    fn of_a_deployment() -> Self {
        let history = History { whole_after: vec![0], ..History::default() };
        let mut tale = Self(history);
        tale.is_reported();
        tale.is("set", Some("web"), set(2, 0));
        tale.is("a", Some("set"), pod(true, None));
        tale
    }

    fn is(&mut self, name: &str, owner: Option<&str>, what: What) {
        self.seen(name, owner, false, what);
    }

    /// The Deployment, or its status once it is there.
    fn is_reported(&mut self) {
        self.is("web", None, What::Deployment { replicas: 2, surge: 1, unavailable: 1 });
    }

    fn goes(&mut self, name: &str, owner: &str, what: What) {
        self.seen(name, Some(owner), true, what);
    }

    fn seen(&mut self, name: &str, owner: Option<&str>, going: bool, what: What) {
        let owner = owner.map(str::to_owned);
        let (name, uid) = (name.to_owned(), name.to_owned());
        self.push(name.clone(), Some(Seen { name, uid, owner, generation: 1, going, what }));
    }

    fn is_gone(&mut self, name: &str) {
        self.push(name.to_owned(), None);
    }

    fn push(&mut self, uid: String, seen: Option<Seen>) {
        let revision = u64::try_from(self.0.changes.len()).unwrap() + 1;
        let (life, seen) = (self.0.whole_after.len() - 1, seen.map(Arc::new));
        self.0.changes.push(Change { life, revision, uid, seen });
    }

    /// Panics unless the only violation has these words; without words there must be none.
    #[track_caller]
    fn ends(&self, disturbed: &[&str], words: &str) {
        let disturbed: HashSet<String> = disturbed.iter().map(|uid| (*uid).to_owned()).collect();
        let found = judge(&self.0, &disturbed);
        match words {
            "" => assert!(found.is_empty(), "{found:#?}"),
            words => assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:#?}"),
        }
    }
}

fn set(size: i64, available: i64) -> What {
    What::ReplicaSet { size, available, desired: Some("2".to_owned()) }
}

fn pod(ready: bool, index: Option<i64>) -> What {
    let phase = "Running".to_owned();
    What::Pod(Pod { app: "app".to_owned(), ready, phase, index, ..Pod::default() })
}

fn ended(index: i64) -> What {
    What::Pod(Pod { phase: "Succeeded".to_owned(), index: Some(index), ..Pod::default() })
}

fn job(succeeded: i64, ended: Option<&str>) -> What {
    let ended = ended.map(str::to_owned);
    What::Job { parallelism: 1, completions: 2, succeeded, ended, time: None }
}

fn budget(disrupted: &[&str]) -> What {
    let disrupted = disrupted.iter().map(|name| (*name).to_owned()).collect();
    What::Budget { app: "app".to_owned(), wanted: 1, disrupted }
}

#[test]
fn a_rollout_beyond_its_surge_is_seen() {
    let mut tale = Tale::of_a_deployment();
    tale.is("new", Some("web"), set(1, 0));
    tale.ends(&[], "");
    tale.is("new", Some("web"), set(2, 0));
    tale.ends(&[], "new: grows from 1 to 2: 4 in all");
}

#[test]
fn a_rollout_that_leaves_too_few_is_seen() {
    let mut tale = Tale::of_a_deployment();
    tale.is("new", Some("web"), set(1, 0));
    tale.is("set", Some("web"), set(2, 2));
    // What was before its own writes before last is known to the controller.
    tale.is_reported();
    tale.is_reported();
    // One may be missing.
    tale.is("set", Some("web"), set(1, 2));
    tale.ends(&[], "");
    tale.is("set", Some("web"), set(0, 1));
    tale.ends(&[], "set: shrinks from 1 to 0, and too few are available");
}

#[test]
fn pods_beyond_a_size_are_seen_unless_it_has_just_become_less() {
    let mut tale = Tale::of_a_deployment();
    tale.is("b", Some("set"), pod(true, None));
    tale.is("set", Some("web"), set(2, 2));
    tale.ends(&[], "");
    tale.is("set", Some("web"), set(2, 1));
    tale.is("c", Some("set"), pod(false, None));
    tale.ends(&[], "c: is one of 3 Pods");

    let mut tale = Tale::of_a_deployment();
    tale.seen("set", Some("web"), false, What::ReplicaSet { size: 1, available: 2, desired: None });
    tale.is("b", Some("set"), pod(true, None));
    tale.ends(&[], "");
}

#[test]
fn a_pod_that_goes_for_no_reason_is_seen_unless_we_sent_it() {
    let mut tale = Tale::of_a_deployment();
    tale.goes("a", "set", pod(true, None));
    tale.ends(&["a"], "");
    tale.ends(&[], "a: is deleted for no reason");
}

#[test]
fn a_stateful_set_out_of_order_is_seen() {
    let mut tale = Tale(History { whole_after: vec![0], ..History::default() });
    tale.is("db", None, What::StatefulSet { replicas: 2 });
    tale.is("db-0", Some("db"), pod(false, Some(0)));
    let before = tale.0.changes.clone();
    tale.is("db-1", Some("db"), pod(false, Some(1)));
    tale.ends(&[], "db-1: comes too early");

    tale.0.changes = before;
    tale.is("db-0", Some("db"), pod(true, Some(0)));
    tale.is("db-1", Some("db"), pod(false, Some(1)));
    tale.ends(&[], "");
    tale.is("db", None, What::StatefulSet { replicas: 0 });
    tale.goes("db-0", "db", pod(true, Some(0)));
    tale.ends(&[], "db-0: is deleted out of turn");
}

#[test]
fn a_jobs_work_done_twice_is_seen() {
    let mut tale = Tale(History { whole_after: vec![0], ..History::default() });
    tale.is("job", None, job(0, None));
    tale.is("a", Some("job"), pod(true, Some(0)));
    tale.is("a", Some("job"), ended(0));
    tale.is("b", Some("job"), pod(true, Some(1)));
    tale.ends(&[], "");
    let before = tale.0.changes.clone();
    tale.is("c", Some("job"), pod(true, Some(2)));
    tale.ends(&[], "c: is one of 2; twin: false, done before: false");
    tale.0.changes = before;
    tale.is("b", Some("job"), ended(1));
    tale.is("job", None, job(2, Some("Complete")));
    tale.ends(&[], "");
    tale.is("c", Some("job"), pod(true, Some(1)));
    tale.ends(&[], "c: is one of 1; twin: false, done before: true");
    tale.is("c", Some("job"), ended(1));
    assert_eq!(judge(&tale.0, &HashSet::new()).len(), 2);
}

#[test]
fn a_time_that_comes_twice_is_seen() {
    let at = |time: &str, ended: Option<&str>| What::Job {
        parallelism: 1,
        completions: 1,
        succeeded: 0,
        ended: ended.map(str::to_owned),
        time: Some(time.to_owned()),
    };
    let mut tale = Tale(History { whole_after: vec![0], ..History::default() });
    tale.is("tick", None, What::CronJob);
    tale.is("one", Some("tick"), at("1", None));
    tale.is("two", Some("tick"), at("2", None));
    tale.ends(&[], "two: is one of 2, first of 2: true");
    tale.0.changes.pop();
    tale.is_gone("one");
    tale.is("again", Some("tick"), at("1", None));
    tale.ends(&[], "again: is one of 1, first of 1: false");
}

#[test]
fn an_eviction_beyond_the_budget_is_seen() {
    let mut tale = Tale(History { whole_after: vec![0], ..History::default() });
    tale.is("budget", None, budget(&[]));
    tale.is("set", None, set(2, 2));
    tale.is("a", Some("set"), pod(true, None));
    tale.is("b", Some("set"), pod(true, None));
    tale.is("budget", None, budget(&["a"]));
    tale.ends(&[], "");
    tale.is("budget", None, budget(&["a", "b"]));
    tale.ends(&[], "budget: grants what it does not have");
    tale.0.changes.pop();
    tale.goes("a", "set", pod(true, None));
    tale.goes("b", "set", pod(true, None));
    tale.ends(&["a", "b"], "b: leaves budget 0 of 1");
}

#[test]
fn the_dead_who_come_back_and_orphans_and_floods_are_seen() {
    let mut tale = Tale::of_a_deployment();
    tale.is_gone("set");
    tale.ends(&[], "a: its owner is gone");
    let mut tale = Tale::of_a_deployment();
    tale.is_gone("web");
    tale.is_reported();
    tale.ends(&[], "web: is back though it was deleted");
    let mut tale = Tale::of_a_deployment();
    for n in 0..28 {
        let (about, source) = ("a".to_owned(), "kubelet".to_owned());
        tale.is(&format!("event-{n}"), None, What::Event { about, source });
    }
    tale.ends(&[], "more than 27 Events by kubelet");
}
