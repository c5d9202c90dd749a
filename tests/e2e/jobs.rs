//! Jobs and CronJobs as users work with them.

use crate::support::{Cluster, Home};

fn manifest(name: &str, spec: &str, command: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
{spec}
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: c, image: busybox, command: [sh, -c, '{command}']}}
"
    )
}

fn apply(home: &Home, cluster: &Cluster<'_>, name: &str, spec: &str, command: &str) {
    let file = home.file("job.yaml", manifest(name, spec, command));
    cluster.kubectl(&format!("apply -f {file}"));
}

fn row(cluster: &Cluster<'_>, what: &str) -> Vec<String> {
    let row = cluster.kubectl(&format!("get {what} --no-headers"));
    row.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn jobs_end_well_or_say_why_not() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("create job hello --image=busybox -- echo hello");
    cluster.wait_for("condition=complete", "job/hello");
    assert_eq!(cluster.kubectl("logs job/hello"), "hello\n");
    assert_eq!(row(&cluster, "job hello")[..3], ["hello", "Complete", "1/1"]);
    let told = cluster.kubectl("describe job hello");
    for words in
        ["0 Active (0 Ready) / 1 Succeeded / 0 Failed", "SuccessfulCreate", "Job completed"]
    {
        assert!(told.contains(words), "{told}");
    }

    // Each index its own work.
    let spec = "  completions: 3\n  parallelism: 3\n  completionMode: Indexed";
    apply(&home, &cluster, "indexed", spec, "echo $JOB_COMPLETION_INDEX on $HOSTNAME");
    cluster.wait_for("condition=complete", "job/indexed");
    let log = cluster.kubectl("logs -l job-name=indexed --prefix=false");
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0 on indexed-0", "1 on indexed-1", "2 on indexed-2"]);
    let indexes = cluster.kubectl("get job indexed -o jsonpath={.status.completedIndexes}");
    assert_eq!(indexes, "0-2");

    // What fails is told with its reason.
    apply(&home, &cluster, "fails", "  backoffLimit: 0", "exit 3");
    cluster.wait_for("condition=failed", "job/fails");
    let told = cluster.kubectl("describe job fails");
    assert!(told.contains("BackoffLimitExceeded"), "{told}");
    assert!(told.contains("Job has reached the specified backoff limit"), "{told}");
    let policy = "  backoffLimit: 6\n  podFailurePolicy:\n    rules:\n    - action: FailJob\n      \
                  onExitCodes: {operator: In, values: [42]}";
    apply(&home, &cluster, "hopeless", policy, "exit 42");
    cluster.wait_for("condition=failed", "job/hopeless");
    let message = "-o jsonpath={.status.conditions[?(@.type==\"Failed\")].message}";
    let message = cluster.kubectl(&format!("get job hopeless {message}"));
    assert!(
        message.ends_with("failed with exit code 42 matching FailJob rule at index 0"),
        "{message}"
    );

    // A deadline and a suspension end what runs; a suspended Job goes on from where it was.
    apply(&home, &cluster, "late", "  activeDeadlineSeconds: 1", "sleep 1000");
    apply(&home, &cluster, "paused", "  suspend: true", "sleep 1000");
    cluster.wait_for("condition=suspended", "job/paused");
    cluster.kubectl("patch job paused -p {\"spec\":{\"suspend\":false}}");
    cluster.wait_for("jsonpath={.status.ready}=1", "job/paused");
    cluster.kubectl("patch job paused -p {\"spec\":{\"suspend\":true}}");
    cluster.wait_for("delete", "pod -l job-name=paused");
    cluster.wait_for("condition=failed", "job/late");
    let reason = "get job late -o jsonpath={.status.conditions[0].reason}";
    assert_eq!(cluster.kubectl(reason), "DeadlineExceeded");

    // Wrong input.
    let text = manifest("bad", "  parallelism: -1", "true").replace("Never", "Always");
    let file = home.file("bad.yaml", text);
    let refusal = cluster.refused(&format!("create -f {file}"));
    assert!(refusal.contains("spec.parallelism: Invalid value: -1"), "{refusal}");
    let text =
        "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"";
    assert!(refusal.contains(text), "{refusal}");
    let refusal = cluster.refused("patch job hello -p {\"spec\":{\"completions\":5}}");
    assert!(
        refusal.contains("spec.completions: Invalid value: 5: field is immutable"),
        "{refusal}"
    );

    cluster.kubectl("delete job --all");
    cluster.wait_for("delete", "pod --all");
}

#[test]
fn cron_jobs_make_jobs() {
    let home = Home::new();
    let cluster = home.up();
    let refusal =
        cluster.run_words(&["create", "cronjob", "c", "--image=busybox", "--schedule=* * *"]);
    let text =
        "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]";
    assert!(refusal.stderr.contains(text), "{}", refusal.stderr);
    let make = ["create", "cronjob", "c", "--image=busybox", "--schedule=@every 1s", "--", "date"];
    assert_eq!(cluster.run_words(&make).stdout, "cronjob.batch/c created\n");
    cluster.wait_for("jsonpath={.status.lastSuccessfulTime}", "cronjob/c");
    cluster.kubectl("patch cronjob c -p {\"spec\":{\"suspend\":true}}");
    let row = row(&cluster, "cronjob c");
    assert_eq!(row[..5], ["c", "@every", "1s", "<none>", "True"]);
    let told = cluster.kubectl("describe cronjob c");
    assert!(told.contains("SuccessfulCreate") && told.contains("SawCompletedJob"), "{told}");
    let owner = "get jobs -o jsonpath={.items[0].metadata.ownerReferences[0].name}";
    assert_eq!(cluster.kubectl(owner), "c");

    cluster.kubectl("create job by-hand --from=cronjob/c");
    cluster.wait_for("condition=complete", "job/by-hand");
    let annotation =
        "get job by-hand -o jsonpath={.metadata.annotations.cronjob\\.kubernetes\\.io/instantiate}";
    assert_eq!(cluster.kubectl(annotation), "manual");

    cluster.kubectl("patch job by-hand -p {\"spec\":{\"ttlSecondsAfterFinished\":0}}");
    cluster.wait_for("delete", "job/by-hand");
    cluster.kubectl("delete cronjob c");
    cluster.wait_for("delete", "job --all");
    cluster.wait_for("delete", "pod --all");
}
