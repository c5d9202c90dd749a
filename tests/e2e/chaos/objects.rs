//! What the rules need to know of an object, read from its JSON.

use serde_json::Value;

type Read = fn(&Value) -> What;

/// What is watched: the collection's path, and how an item is read.
pub(super) const KINDS: &[(&str, Read)] = &[
    ("/apis/apps/v1/namespaces/default/deployments", deployment),
    ("/apis/apps/v1/namespaces/default/replicasets", replica_set),
    ("/apis/apps/v1/namespaces/default/statefulsets", stateful_set),
    ("/apis/apps/v1/namespaces/default/daemonsets", daemon_set),
    ("/apis/batch/v1/namespaces/default/cronjobs", cron_job),
    ("/apis/batch/v1/namespaces/default/jobs", job),
    ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget),
    ("/api/v1/namespaces/default/pods", pod),
    ("/api/v1/namespaces/default/events", event),
];

/// One object as it was at one revision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) uid: String,
    /// The uid of who manages it.
    pub(super) owner: Option<String>,
    pub(super) generation: i64,
    /// It is marked as deleted.
    pub(super) going: bool,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Deployment {
        replicas: i64,
        surge: i64,
        unavailable: i64,
    },
    /// `desired` is its Deployment's size, as noted when its own was decided.
    ReplicaSet {
        size: i64,
        available: i64,
        desired: Option<String>,
    },
    StatefulSet {
        replicas: i64,
    },
    DaemonSet,
    CronJob,
    Job {
        parallelism: i64,
        completions: i64,
        succeeded: i64,
        ended: Option<String>,
        time: Option<String>,
    },
    /// `disrupted`: those whose eviction was granted and has not been seen yet.
    Budget {
        app: String,
        wanted: i64,
        disrupted: Vec<String>,
    },
    Pod(Pod),
    /// `about`: a uid.
    Event {
        about: String,
        source: String,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pod {
    pub(super) app: String,
    pub(super) ready: bool,
    pub(super) phase: String,
    /// Of a StatefulSet's template.
    pub(super) revision: Option<String>,
    /// A StatefulSet's ordinal, a Job's index.
    pub(super) index: Option<i64>,
    pub(super) restarts: i64,
}

impl Pod {
    /// Neither has it ended nor can it be helped any more.
    pub(super) fn is_over(&self) -> bool {
        ["Succeeded", "Failed"].contains(&&*self.phase)
    }
}

impl Seen {
    pub(super) fn of(object: &Value, read: Read) -> Self {
        let meta = &object["metadata"];
        let owners = meta["ownerReferences"].as_array().into_iter().flatten();
        let owner = owners.into_iter().find(|owner| owner["controller"] == true);
        Self {
            name: text(&meta["name"]),
            uid: text(&meta["uid"]),
            owner: owner.map(|owner| text(&owner["uid"])),
            generation: number(&meta["generation"], 0),
            going: !meta["deletionTimestamp"].is_null(),
            what: read(object),
        }
    }

    pub(super) fn pod(&self) -> Option<&Pod> {
        match &self.what {
            What::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// A Pod that counts for whoever manages it.
    pub(super) fn is_active(&self) -> bool {
        !self.going && self.pod().is_some_and(|pod| !pod.is_over())
    }

    /// An active Pod that is ready.
    pub(super) fn is_healthy(&self) -> bool {
        self.is_active() && self.pod().is_some_and(|pod| pod.ready)
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, default: i64) -> i64 {
    value.as_i64().unwrap_or(default)
}

fn deployment(object: &Value) -> What {
    let spec = &object["spec"];
    let rolling = &spec["strategy"]["rollingUpdate"];
    What::Deployment {
        replicas: number(&spec["replicas"], 1),
        surge: number(&rolling["maxSurge"], 1),
        unavailable: number(&rolling["maxUnavailable"], 1),
    }
}

fn replica_set(object: &Value) -> What {
    let desired = &object["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"];
    What::ReplicaSet {
        size: number(&object["spec"]["replicas"], 1),
        available: number(&object["status"]["availableReplicas"], 0),
        desired: desired.as_str().map(str::to_owned),
    }
}

fn stateful_set(object: &Value) -> What {
    What::StatefulSet { replicas: number(&object["spec"]["replicas"], 1) }
}

fn daemon_set(_: &Value) -> What {
    What::DaemonSet
}

fn cron_job(_: &Value) -> What {
    What::CronJob
}

fn job(object: &Value) -> What {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut ends = conditions.filter(|one| one["status"] == "True").map(|one| text(&one["type"]));
    let time = "batch.kubernetes.io/cronjob-scheduled-timestamp";
    What::Job {
        parallelism: number(&object["spec"]["parallelism"], 1),
        completions: number(&object["spec"]["completions"], 1),
        succeeded: number(&object["status"]["succeeded"], 0),
        ended: ends.find(|one| ["Complete", "Failed"].contains(&&**one)),
        time: object["metadata"]["annotations"][time].as_str().map(str::to_owned),
    }
}

fn budget(object: &Value) -> What {
    let disrupted = object["status"]["disruptedPods"].as_object().into_iter().flatten();
    What::Budget {
        app: text(&object["spec"]["selector"]["matchLabels"]["app"]),
        wanted: number(&object["spec"]["minAvailable"], 0),
        disrupted: disrupted.map(|(name, _)| name.clone()).collect(),
    }
}

fn pod(object: &Value) -> What {
    let (meta, status) = (&object["metadata"], &object["status"]);
    let labels = &meta["labels"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|one| one["type"] == "Ready");
    let index = labels["apps.kubernetes.io/pod-index"].as_str();
    let index = index.or_else(|| labels["batch.kubernetes.io/job-completion-index"].as_str());
    What::Pod(Pod {
        app: text(&labels["app"]),
        ready: ready.any(|one| one["status"] == "True"),
        phase: text(&status["phase"]),
        revision: labels["controller-revision-hash"].as_str().map(str::to_owned),
        index: index.and_then(|index| index.parse().ok()),
        restarts: number(&status["containerStatuses"][0]["restartCount"], 0),
    })
}

fn event(object: &Value) -> What {
    What::Event {
        about: text(&object["involvedObject"]["uid"]),
        source: text(&object["source"]["component"]),
    }
}
