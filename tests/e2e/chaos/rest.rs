//! What there must be once nobody disturbs any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{Cluster, Home};

/// Longer than a Job waits after two failures in a row, and than containers wait after a second crash.
const TIME_MAX: &str = "--timeout=55s";

const ROLLED: &[&str] =
    &["deployment/web", "deployment/guarded", "statefulset/db", "daemonset/agent"];

/// Waits until everything is as the manifests want it.
pub(super) fn wait(cluster: &Cluster<'_>) {
    for what in ROLLED {
        cluster.kubectl(&format!("rollout status {what} {TIME_MAX}"));
    }
}

/// Gives everything its first size again, and waits until it has it and the Jobs are done.
pub(super) fn settle(cluster: &Cluster<'_>) {
    cluster.kubectl("scale deployment/web --replicas=4");
    cluster.kubectl("scale statefulset/db --replicas=3");
    cluster.kubectl("patch cronjob tick -p {\"spec\":{\"suspend\":true}}");
    wait(cluster);
    let open = "get jobs -o jsonpath={.items[?(@.status.active>0)].metadata.name}";
    cluster.until(open, str::is_empty);
    let ends = "get jobs -o jsonpath={range.items[*]}{.status.conditions[*].type};{end}";
    cluster.until(ends, |ends| ends.split_terminator(';').all(|end| end.contains("Complete")));
    let sizes =
        "get pods -l app -o jsonpath={range.items[*]}{.metadata.labels.app}={.status.phase},{end}";
    cluster.until(sizes, |pods| {
        let count = |pod: &str| pods.split(',').filter(|one| *one == pod).count();
        let running = ["web=Running", "guarded=Running", "db=Running", "agent=Running"].map(count);
        running == [4, 3, 3, 1] && pods.matches('=').count() == 11 + pods.matches("work=").count()
    });
}

/// That what was disturbed is whole, and that there is no more than limits allow.
pub(super) fn check(home: &Home, cluster: &Cluster<'_>) {
    // Who may be reached is who is ready.
    let addresses = "get pods -l app=web -o jsonpath={.items[*].status.podIP}";
    let ready = "get endpointslice -l kubernetes.io/service-name=web -o \
                 jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}";
    let words =
        |text: &str| -> BTreeSet<String> { text.split_whitespace().map(str::to_owned).collect() };
    let wanted = words(&cluster.kubectl(addresses));
    cluster.until(ready, |found| words(found) == wanted);
    // As revisionHistoryLimit says, beside what is current.
    cluster.until("get rs -l app=web -o name", |sets| sets.lines().count() <= 3);
    for app in ["db", "agent"] {
        let revisions = format!("get controllerrevisions -l app={app} -o name");
        cluster.until(&revisions, |revisions| (1..=3).contains(&revisions.lines().count()));
    }
    let jobs = "get jobs -o jsonpath={range.items[*]}{.metadata.ownerReferences[0].name},{end}";
    cluster.until(jobs, |jobs| jobs.matches("tick").count() <= 1);
    // Of each ordinal, one after the other wrote.
    for ordinal in 0..3 {
        let log = cluster.kubectl(&format!("exec db-{ordinal} -- uniq /data/who"));
        let writers: Vec<&str> = log.lines().collect();
        let distinct: BTreeSet<&str> = writers.iter().copied().collect();
        assert!(
            !writers.is_empty() && distinct.len() == writers.len(),
            "two at a time: {writers:#?}"
        );
    }
    let uids = cluster.kubectl("get pods -A -o jsonpath={.items[*].metadata.uid}");
    let (there, known) = (names(&home.path().join("data/pods")), words(&uids));
    assert!(there.is_subset(&known), "{:?} are nobody's", there.difference(&known));
}

/// Deletes everything; nothing is left over.
pub(super) fn clear(home: &Home, cluster: &Cluster<'_>) {
    cluster
        .kubectl("delete pdb,deployment,statefulset,daemonset,cronjob,job,pvc --all --timeout=55s");
    cluster.until("get pods,rs,jobs,pvc,pv,controllerrevisions -o name", str::is_empty);
    for directory in ["pods", "volumes"] {
        // The kubelet lets go of files just after the object.
        let looks = |_: &str| names(&home.path().join("data").join(directory)).is_empty();
        cluster.until("version", looks);
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What sampan holds of the machine.
#[derive(Debug)]
pub(super) struct Holdings {
    files: usize,
    resident_mib: u64,
    state_mib: u64,
}

impl Holdings {
    pub(super) fn of(home: &Home, cluster: &Cluster<'_>) -> Self {
        let state = fs::read_dir(home.path().join("data/state")).into_iter().flatten().flatten();
        let state: u64 =
            state.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum();
        Self {
            files: cluster.open_files(),
            resident_mib: cluster.resident_bytes() >> 20,
            state_mib: state >> 20,
        }
    }

    /// As much as before, give or take what a few Pods more or less need.
    pub(super) fn assert_like(&self, before: &Self) {
        assert!(self.files <= before.files + 40, "{self:?}, {before:?}");
        assert!(self.state_mib <= before.state_mib + 64, "{self:?}, {before:?}");
        assert!(self.resident_mib <= before.resident_mib * 2 + 100, "{self:?}, {before:?}");
    }
}
