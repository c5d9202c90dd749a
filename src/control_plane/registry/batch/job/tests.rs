use serde_json::json;

use super::*;

fn bare(spec: Value) -> Job {
    let whole = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {
        "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "i"}]}}}});
    let whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
    let mut job = serde_json::from_value(whole).unwrap();
    Jobs::default(&mut job);
    job
}

/// As it is when it has been created.
fn job(spec: Value) -> Job {
    let mut job = bare(spec);
    Jobs::prepare_for_create(&mut job);
    job
}

#[track_caller]
fn texts(faults: &[FieldError], expect: &[&str]) {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(texts, expect);
}

#[track_caller]
fn check(spec: Value, expect: &[&str]) {
    texts(&Jobs::validate(&job(spec)), expect);
}

#[test]
fn left_out_fields_are_filled_in() {
    let spec = serde_json::to_value(job(json!({})).spec).unwrap();
    let expect = json!({"completions": 1, "parallelism": 1, "backoffLimit": 6,
        "completionMode": "NonIndexed", "suspend": false, "manualSelector": false,
        "podReplacementPolicy": "TerminatingOrFailed"});
    for (field, value) in expect.as_object().unwrap() {
        assert_eq!(&spec[field], value, "{field}");
    }
    // A work queue: any success counts.
    let queue = job(json!({"parallelism": 4})).spec.unwrap();
    assert_eq!((queue.completions, queue.parallelism), (None, Some(4)));
    let rules = json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]);
    let spec = job(json!({"completionMode": "Indexed", "completions": 3,
        "backoffLimitPerIndex": 1, "podFailurePolicy": {"rules": rules}}));
    let spec = serde_json::to_value(spec.spec).unwrap();
    assert_eq!((&spec["backoffLimit"], &spec["parallelism"]), (&json!(i32::MAX), &json!(1)));
    assert_eq!(spec["podReplacementPolicy"], "Failed");
    assert_eq!(spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
}

#[test]
fn a_selector_is_generated_that_no_other_job_has() {
    let mut with_label = bare(json!({"template": {"metadata": {"labels": {"app": "a"}}}}));
    assert_eq!(serde_json::to_value(&with_label.metadata.labels).unwrap(), json!({"app": "a"}));
    Jobs::prepare_for_create(&mut with_label);
    let spec = serde_json::to_value(with_label.spec).unwrap();
    let labels = json!({"app": "a", "batch.kubernetes.io/controller-uid": "u", "controller-uid": "u",
        "batch.kubernetes.io/job-name": "j", "job-name": "j"});
    assert_eq!(spec["template"]["metadata"]["labels"], labels);
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}});
    assert_eq!(spec["selector"], selector);
    // Without labels of its own it has those of its Pods.
    assert_eq!(job(json!({})).metadata.labels.unwrap().len(), 4);
    check(json!({}), &[]);
    let manual = json!({"manualSelector": true, "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}}});
    check(manual, &[]);
    check(json!({"manualSelector": true}), &["spec.selector: Required value"]);
    check(
        json!({"selector": {"matchLabels": {"app": "a"}}}),
        &[
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"a\",\"batch.kubernetes.io/controller-uid\":\"u\"}}: `selector` not auto-generated",
            "spec.template.metadata.labels: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":\"u\",\"job-name\":\"j\"}: `selector` does not match template `labels`",
        ],
    );
    check(
        json!({"template": {"metadata": {"labels": {"job-name": "other"}}}}),
        &[
            "spec.template.metadata.labels[job-name]: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":\"u\",\"job-name\":\"other\"}: must be 'j'",
        ],
    );
}

#[test]
fn a_jobs_pods_end() {
    check(
        json!({"template": {"spec": {"restartPolicy": null}}}),
        &[
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ],
    );
    check(
        json!({"parallelism": -1, "completions": -2, "backoffLimit": -3,
            "activeDeadlineSeconds": -4, "ttlSecondsAfterFinished": -5}),
        &[
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            "spec.completions: Invalid value: -2: must be greater than or equal to 0",
            "spec.activeDeadlineSeconds: Invalid value: -4: must be greater than or equal to 0",
            "spec.backoffLimit: Invalid value: -3: must be greater than or equal to 0",
            "spec.ttlSecondsAfterFinished: Invalid value: -5: must be greater than or equal to 0",
        ],
    );
    check(
        json!({"managedBy": "me", "completionMode": "Random", "podReplacementPolicy": "Never"}),
        &[
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            "spec.completionMode: Unsupported value: \"Random\": supported values: \"NonIndexed\", \"Indexed\"",
            "spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ],
    );
}

#[test]
fn indexes_have_bounds() {
    check(
        json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 1}),
        &[
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        ],
    );
    check(
        json!({"completionMode": "Indexed", "parallelism": 100_001}),
        &[
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
            "spec.completions: Required value: when completion mode is Indexed",
        ],
    );
    check(
        json!({"completionMode": "Indexed", "completions": 2, "maxFailedIndexes": 3}),
        &[
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            "spec.maxFailedIndexes: Invalid value: 3: must be less than or equal to completions",
        ],
    );
    check(
        json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001,
            "backoffLimitPerIndex": 1}),
        &[
            "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
        ],
    );
    let mut long = job(json!({"completionMode": "Indexed", "completions": 11}));
    long.metadata.name = Some("j".repeat(61));
    let faults = Jobs::validate(&long);
    let detail =
        format!("will not able to create pod with invalid DNS label: {}-10", "j".repeat(61));
    assert!(faults.iter().any(|fault| fault.detail == detail), "{faults:?}");
}

#[test]
fn rules_of_failure_are_checked() {
    check(
        json!({"podReplacementPolicy": "TerminatingOrFailed",
        "template": {"spec": {"restartPolicy": "OnFailure"}},
        "podFailurePolicy": {"rules": [
            {"action": "", "onExitCodes": {"operator": "", "values": []}},
            {"action": "Run", "onExitCodes":
                {"containerName": "d", "operator": "In", "values": [3, 0, 3]}},
            {"action": "FailIndex"},
            {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [1]},
                "onPodConditions": [{"type": "Bad type", "status": "Perhaps"}]},
        ]}}),
        &[
            "spec.podFailurePolicy.rules[0].action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            "spec.podFailurePolicy.rules[0].onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]",
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: null: at least one value is required",
            "spec.podFailurePolicy.rules[1].action: Unsupported value: \"Run\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
            "spec.podFailurePolicy.rules[1].onExitCodes.containerName: Invalid value: \"d\": must be one of the container or initContainer names in the pod template",
            "spec.podFailurePolicy.rules[1].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
            "spec.podFailurePolicy.rules[1].onExitCodes.values[2]: Duplicate value: 3",
            "spec.podFailurePolicy.rules[1].onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
            "spec.podFailurePolicy.rules[2].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
            "spec.podFailurePolicy.rules[2]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            "spec.podFailurePolicy.rules[3].onPodConditions[0].type: Invalid value: \"Bad type\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.podFailurePolicy.rules[3].onPodConditions[0].status: Unsupported value: \"Perhaps\": supported values: \"False\", \"True\", \"Unknown\"",
            "spec.podFailurePolicy.rules[3]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
        ],
    );
}

#[test]
fn rules_of_success_are_checked() {
    check(
        json!({"successPolicy": {"rules": []}}),
        &["spec.successPolicy: Invalid value: {\"rules\":[]}: requires indexed completion mode"],
    );
    let indexed = |rules: Value| json!({"completionMode": "Indexed", "completions": 5, "successPolicy": {"rules": rules}});
    check(
        indexed(json!([])),
        &[
            "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified",
        ],
    );
    check(indexed(json!([{"succeededIndexes": "0,2-4", "succeededCount": 2}])), &[]);
    check(
        indexed(json!([{}, {"succeededIndexes": "0,5"}, {"succeededCount": 6},
            {"succeededIndexes": "1-2", "succeededCount": 3}])),
        &[
            "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
            "spec.successPolicy.rules[1].succeededIndexes: Invalid value: \"0,5\": error parsing succeededIndexes: too large index: \"5\"",
            "spec.successPolicy.rules[2].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)",
            "spec.successPolicy.rules[3].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
        ],
    );
}

#[track_caller]
fn check_update(old: &Job, change: &Value, expect: &[&str]) {
    let whole = serde_json::to_value(old).unwrap();
    let whole = crate::api::patch::merge::apply(whole, change).unwrap();
    let mut new = serde_json::from_value(whole).unwrap();
    Jobs::default(&mut new);
    let faults = Jobs::validate_update(&new, old);
    let short: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.path, fault.detail)).collect();
    assert_eq!(short, expect);
}

#[test]
fn what_a_job_does_is_settled_when_it_is_made() {
    let old = job(json!({"completions": 3}));
    let free = json!({"spec": {"parallelism": 9, "suspend": true, "backoffLimit": 1,
        "activeDeadlineSeconds": 5, "ttlSecondsAfterFinished": 6}});
    check_update(&old, &free, &[]);
    let image = json!({"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}});
    check_update(&old, &image, &["spec.template: field is immutable"]);
    check_update(
        &old,
        &json!({"spec": {"completions": 4, "managedBy": "a.io/b",
            "selector": {"matchLabels": {"job-name": "j"}}}}),
        &[
            "spec.completions: field is immutable",
            "spec.selector: field is immutable",
            "spec.managedBy: field is immutable",
        ],
    );
    let indexed = job(json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3}));
    let both = json!({"spec": {"completions": 5, "parallelism": 5}});
    check_update(&indexed, &both, &[]);
    let alone = json!({"spec": {"completions": 5}});
    let text = "spec.completions: can only be modified in tandem with spec.parallelism";
    check_update(&indexed, &alone, &[text]);
}

#[test]
fn a_job_that_waits_may_be_sent_elsewhere() {
    let mut old = job(json!({"suspend": true}));
    let nodes = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
        [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}});
    let elsewhere = json!({"spec": {"suspend": false, "template": {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": nodes}}}}});
    check_update(&old, &elsewhere, &[]);
    let other = json!({"spec": {"template": {"spec": {"hostname": "h"}}}});
    check_update(&old, &other, &["spec.template: field is immutable"]);
    old.status.as_mut().unwrap().start_time =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
    check_update(&old, &elsewhere, &["spec.template: field is immutable"]);
}

#[track_caller]
fn check_status(spec: Value, old: Value, new: Value, expect: &[&str]) {
    let with = |status: Value| {
        let mut job = job(spec.clone());
        job.status = serde_json::from_value(status).unwrap();
        job
    };
    texts(&Jobs::validate_status_update(&with(new), &with(old)), expect);
}

fn conditions(types: &[&str]) -> Value {
    types.iter().map(|type_| json!({"type": type_, "status": "True"})).collect()
}

#[test]
fn an_end_is_final_and_tells_its_cause() {
    let time = "2026-01-01T00:00:00Z";
    let running = json!({"startTime": time, "active": 1});
    let complete = json!({"startTime": time, "completionTime": time, "succeeded": 1,
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"])});
    check_status(json!({}), running.clone(), complete.clone(), &[]);
    check_status(
        json!({}),
        complete,
        running.clone(),
        &[
            "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
            "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
        ],
    );
    check_status(
        json!({}),
        running,
        json!({"active": 1, "uncountedTerminatedPods": {"failed": ["a", "a", ""]},
            "conditions": conditions(&["Failed", "Complete"])}),
        &[
            "status.uncountedTerminatedPods.failed[1]: Duplicate value: \"a\"",
            "status.uncountedTerminatedPods.failed[2]: Invalid value: \"\": must not be empty",
            "status.completionTime: Required value: completionTime is required for Complete jobs",
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
            "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\",\"a\",\"\"]}: uncountedTerminatedPods needs to be empty for finished job",
            "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
            "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
            "status.startTime: Required value: startTime cannot be removed for unsuspended job",
        ],
    );
    let again = json!({"startTime": "2026-01-01T00:00:09Z", "active": 1});
    let suspended = json!({"startTime": time, "conditions": conditions(&["Suspended"])});
    check_status(json!({}), suspended, again, &[]);
}

#[test]
fn indexes_either_succeed_or_fail() {
    let spec = json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1});
    let none = json!({"active": 1});
    let good = json!({"completedIndexes": "0,2-4", "failedIndexes": "1"});
    check_status(spec.clone(), none.clone(), good, &[]);
    check_status(
        spec,
        none.clone(),
        json!({"completedIndexes": "0,2-4", "failedIndexes": "3,1", "ready": 1}),
        &[
            "status.failedIndexes: Invalid value: \"3,1\": error parsing failedIndexes: non-increasing order, previous: 3, current: 1",
            "status.failedIndexes: Invalid value: \"3,1\": failedIndexes and completedIndexes overlap at index: 3",
            "status.ready: Invalid value: 1: cannot set more ready pods than active",
        ],
    );
    check_status(
        json!({}),
        none,
        json!({"completedIndexes": "0", "failedIndexes": ""}),
        &[
            "status.failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
            "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
        ],
    );
}

#[test]
fn rows_tell_how_far_a_job_is() {
    let now = "2026-01-01T00:02:05Z".parse().unwrap();
    let row = |job: &Job| {
        let row = Jobs::row(job, now);
        [1, 2, 3].map(|cell| row[cell].as_str().unwrap().to_owned())
    };
    let mut queue = job(json!({"parallelism": 3}));
    assert_eq!(row(&queue), ["Running", "0/1 of 3", ""]);
    let status = json!({"startTime": "2026-01-01T00:00:00Z", "succeeded": 1,
        "conditions": conditions(&["FailureTarget"])});
    queue.status = serde_json::from_value(status).unwrap();
    assert_eq!(row(&queue), ["FailureTarget", "1/1 of 3", "2m5s"]);
    let mut plain = job(json!({"completions": 2}));
    let status = json!({"startTime": "2026-01-01T00:00:00Z", "succeeded": 2,
        "completionTime": "2026-01-01T00:00:07Z",
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"])});
    plain.status = serde_json::from_value(status).unwrap();
    assert_eq!(row(&plain), ["Complete", "2/2", "7s"]);
}
