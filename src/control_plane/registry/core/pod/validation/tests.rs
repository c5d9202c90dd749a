use serde_json::{Value, json};

use super::super::defaults;
use super::*;

fn pod(spec: &Value) -> Pod {
    let mut pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
    defaults::default(&mut pod);
    pod
}

fn texts(faults: &[FieldError]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// Faults of a new Pod with this spec, after defaults.
#[track_caller]
fn check(spec: Value, expect: &[&str]) {
    assert_eq!(texts(&validate(&pod(&spec))), expect);
}

/// Faults of a new Pod whose only container has these fields beside name and image.
#[track_caller]
fn check_container(fields: Value, expect: &[&str]) {
    let mut container = json!({"name": "c", "image": "i"});
    merge(&mut container, fields);
    check(json!({"containers": [container]}), expect);
}

/// Faults of a new Pod with one good container and these fields.
#[track_caller]
fn check_spec(fields: Value, expect: &[&str]) {
    let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
    merge(&mut spec, fields);
    check(spec, expect);
}

fn merge(into: &mut Value, fields: Value) {
    let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) else {
        panic!("both are objects");
    };
    into.extend(fields);
}

#[track_caller]
fn check_update(old: Value, new: Value, expect: &[&str]) {
    assert_eq!(texts(&validate_update(&pod(&new), &pod(&old))), expect);
}

#[test]
fn a_good_pod_has_no_fault() {
    check_spec(json!({}), &[]);
    check_container(
        json!({
            "command": ["/bin/sh", "-c", "$(X) $$(Y)"],
            "env": [{"name": "A b.c", "value": ""},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
                {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}],
            "ports": [{"name": "http", "containerPort": 80}],
            "resources": {"limits": {"cpu": "1", "memory": "10Mi", "example.com/gpu": "2"}},
            "readinessProbe": {"httpGet": {"port": "http"}},
        }),
        &[],
    );
}

#[test]
fn all_faults_are_told_at_once() {
    check(
        json!({"containers": [{"name": "A", "image": ""}, {"image": "x "}], "restartPolicy": "Sometimes"}),
        &[
            "spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.containers[0].image: Required value",
            "spec.containers[1].name: Required value",
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.containers[1].image: Invalid value: \"x \": must not have leading or trailing whitespace",
        ],
    );
    check(json!({"containers": []}), &["spec.containers: Required value"]);
}

#[test]
fn containers_have_names_of_their_own() {
    check(
        json!({"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}],
            "initContainers": [{"name": "c", "image": "i"}]}),
        &[
            "spec.containers[1].name: Duplicate value: \"c\"",
            "spec.initContainers[0].name: Duplicate value: \"c\"",
        ],
    );
}

#[test]
fn ports_are_numbers_with_short_names() {
    check_container(
        json!({"ports": [
            {"containerPort": 0},
            {"containerPort": 70000, "protocol": "QUIC"},
            {"containerPort": 1, "name": "way-too-long-name", "hostPort": 1},
            {"containerPort": 2, "name": "a", "hostPort": 1},
            {"containerPort": 3, "name": "a"},
        ]}),
        &[
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[1].protocol: Unsupported value: \"QUIC\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.containers[0].ports[2].name: Invalid value: \"way-too-long-name\": must be no more than 15 characters",
            "spec.containers[0].ports[4].name: Duplicate value: \"a\"",
            "spec.containers[0].ports[3].hostPort: Duplicate value: \"TCP//1\"",
        ],
    );
}

#[test]
fn variables_have_one_source() {
    check_container(
        json!({
            "env": [
                {"name": "A=B"},
                {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "B", "valueFrom": {}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "spec.hostname"}}},
                {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}},
                {"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}},
                {"name": "F", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}},
            ],
            "envFrom": [{}],
        }),
        &[
            "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            "spec.containers[0].env[1].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            "spec.containers[0].env[2].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            "spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.hostname\": error converting fieldPath: field label not supported: spec.hostname",
            "spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            "spec.containers[0].env[5].valueFrom.secretKeyRef.key: Required value",
            "spec.containers[0].env[6].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
            "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
        ],
    );
}

#[test]
fn resources_are_amounts_of_known_things() {
    check_container(
        json!({"resources": {
            "limits": {"cpu": "-1", "memory": "lots", "example.com/gpu": "1.5"},
            "requests": {"cpus": "1", "memory": "1Gi", "example.com/gpu": "1"},
        }}),
        &[
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"1.5\": must be an integer",
            "spec.containers[0].resources.limits[memory]: Invalid value: \"lots\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.containers[0].resources.requests[cpus]: Invalid value: \"cpus\": must be a standard resource type or fully qualified",
            "spec.containers[0].resources.requests[cpus]: Invalid value: \"cpus\": must be a standard resource for containers",
            "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 1500m",
        ],
    );
    check_container(
        json!({"resources": {"limits": {"cpu": "0.5"}, "requests": {"cpu": "1"}}}),
        &[
            "spec.containers[0].resources.requests: Invalid value: \"1\": must be less than or equal to cpu limit of 500m",
        ],
    );
}

#[test]
fn mounts_need_their_volume() {
    check_spec(
        json!({
            "volumes": [
                {"name": "v", "emptyDir": {}, "configMap": {"name": "m"}},
                {"name": "v", "secret": {"items": [{"key": "k", "path": "../x", "mode": 0o1000}]}},
                {"name": "pvc", "persistentVolumeClaim": {"claimName": ""}},
            ],
            "containers": [{"name": "c", "image": "i", "volumeMounts": [
                {"name": "w", "mountPath": "/a"},
                {"name": "v", "mountPath": "/a", "subPath": "/b"},
                {"name": "v", "mountPath": ""},
            ]}],
        }),
        &[
            "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[1].secret.secretName: Required value",
            "spec.volumes[1].secret.items[0].path: Invalid value: \"../x\": must not contain '..'",
            "spec.volumes[1].secret.items[0].mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            "spec.volumes[1].name: Duplicate value: \"v\"",
            "spec.volumes[2].persistentVolumeClaim.claimName: Required value",
            "spec.containers[0].volumeMounts[0].name: Not found: \"w\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/b\": must be a relative path",
            "spec.containers[0].volumeMounts[2].mountPath: Required value",
        ],
    );
}

#[test]
fn probes_have_one_handler() {
    check_container(
        json!({
            "livenessProbe": {"successThreshold": 2, "periodSeconds": -1},
            "readinessProbe": {"exec": {}, "tcpSocket": {"port": 0}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 31}}},
        }),
        &[
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
            "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].readinessProbe.exec.command: Required value",
            "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ],
    );
    check_spec(
        json!({"initContainers": [{"name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["true"]}}},
            {"name": "s", "image": "i", "restartPolicy": "Always", "livenessProbe": {"exec": {"command": ["true"]}}}]}),
        &[
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ],
    );
}

#[test]
fn scheduling_fields_are_checked() {
    check_spec(
        json!({
            "nodeSelector": {"-": "a"},
            "tolerations": [{"operator": "Equal", "value": "a"}, {"key": "k", "effect": "NoSchedule", "tolerationSeconds": 1}],
            "schedulingGates": [{"name": "g"}, {"name": "g"}],
            "nodeName": "n",
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "k", "operator": "In"}, {"key": "k", "operator": "Like"}]}]}}},
            "topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Shrug"}],
        }),
        &[
            "spec.nodeSelector: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].operator: Invalid value: \"Like\": not a valid selector operator",
            "spec.schedulingGates[1]: Duplicate value: \"g\"",
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Shrug\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            "spec.tolerations[1].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ],
    );
}

#[test]
fn security_and_network_fields_are_checked() {
    check_spec(
        json!({
            "securityContext": {"runAsUser": -1, "seccompProfile": {"type": "Localhost"}, "sysctls": [{"name": "-"}]},
            "containers": [{"name": "c", "image": "i", "securityContext": {"procMount": "Unmasked"}}],
            "dnsPolicy": "None",
            "hostAliases": [{"ip": "here", "hostnames": ["ok.example"]}],
            "hostname": "a.b",
            "activeDeadlineSeconds": 0,
            "ephemeralContainers": [{"name": "c", "image": "i", "targetContainerName": "d"}],
        }),
        &[
            "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
            "spec.ephemeralContainers[0].name: Duplicate value: \"c\"",
            "spec.ephemeralContainers[0].targetContainerName: Not found: \"d\"",
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            "spec.securityContext.sysctls[0].name: Invalid value: \"-\": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            "spec.hostAliases[0].ip: Invalid value: \"here\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "spec.hostname: Invalid value: \"a.b\": must not contain dots",
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ],
    );
}

#[test]
fn an_image_may_change_and_little_else() {
    let with = |fields: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i", "args": ["a"]}]});
        merge(&mut spec, fields);
        spec
    };
    let image = json!({"containers": [{"name": "c", "image": "j", "args": ["a"]}]});
    check_update(with(json!({})), image, &[]);
    check_update(with(json!({})), with(json!({"hostNetwork": false, "volumes": []})), &[]);
    check_update(with(json!({})), with(json!({"activeDeadlineSeconds": 5})), &[]);
    let refusal = "spec: Forbidden: pod updates may not change fields other than \
        `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
        `spec.tolerations` (only additions to existing tolerations),\
        `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";
    let args = json!({"containers": [{"name": "c", "image": "i", "args": ["b", ""]}]});
    check_update(
        with(json!({})),
        args,
        &[&format!(
            "{refusal}-\tspec.containers[0].args[0]: \"a\"\n+\tspec.containers[0].args[0]: \"b\"\n+\tspec.containers[0].args[1]: \"\""
        )],
    );
    check_update(
        with(json!({"nodeName": "n"})),
        with(json!({"hostname": "h"})),
        &[&format!("{refusal}-\tspec.nodeName: \"n\"\n+\tspec.hostname: \"h\"")],
    );
}

#[test]
fn updates_only_add_tolerations_and_lower_deadlines() {
    let with = |fields: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        merge(&mut spec, fields);
        spec
    };
    let toleration = |seconds: i64| json!({"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    let one = with(json!({"tolerations": [toleration(1)]}));
    check_update(with(json!({})), one.clone(), &[]);
    check_update(one.clone(), with(json!({"tolerations": [toleration(2)]})), &[]);
    check_update(
        one,
        with(json!({})),
        &[
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ],
    );
    let deadline = |seconds: i64| with(json!({"activeDeadlineSeconds": seconds}));
    check_update(deadline(5), deadline(4), &[]);
    check_update(
        deadline(5),
        deadline(6),
        &[
            "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value",
        ],
    );
    check_update(
        with(json!({})),
        json!({"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}),
        &["spec.containers: Forbidden: pod updates may not add or remove containers"],
    );
    let gates = |names: &[&str]| {
        let gates: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        with(json!({"schedulingGates": gates}))
    };
    check_update(gates(&["a", "b"]), gates(&["a"]), &[]);
    check_update(
        gates(&["a"]),
        gates(&["a", "b"]),
        &[
            "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'",
        ],
    );
}

/// Faults of the step from these ephemeral containers to those.
#[track_caller]
fn check_ephemeral(old: Value, new: Value, expect: &[&str]) {
    let with = |ephemeral: Value| {
        pod(&json!({"containers": [{"name": "c", "image": "i"}], "ephemeralContainers": ephemeral}))
    };
    assert_eq!(texts(&validate_ephemeral_update(&with(new), &with(old))), expect);
}

#[test]
fn ephemeral_containers_only_come() {
    let one = |name: &str| json!({"name": name, "image": "i", "targetContainerName": "c"});
    check_ephemeral(json!([]), json!([one("a")]), &[]);
    check_ephemeral(json!([one("a"), one("b")]), json!([one("b"), one("d"), one("a")]), &[]);
    check_ephemeral(
        json!([one("a")]),
        json!([one("b")]),
        &[
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be removed\n",
        ],
    );
    check_ephemeral(
        json!([one("a")]),
        json!([{"name": "a", "image": "j", "targetContainerName": "c"}]),
        &[
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be changed\n\
             -\tspec.ephemeralContainers[a].image: \"i\"\n+\tspec.ephemeralContainers[a].image: \"j\"",
        ],
    );
    let mut mirror = pod(&json!({"containers": [{"name": "c", "image": "i"}]}));
    let annotation = ("kubernetes.io/config.mirror".to_owned(), "x".to_owned());
    mirror.metadata.annotations = Some([annotation].into());
    assert_eq!(
        texts(&validate_ephemeral_update(&mirror, &mirror)),
        ["[]: Forbidden: static pods do not support ephemeral containers"]
    );
}

#[test]
fn an_ephemeral_container_has_few_fields() {
    let refusal = |field: &str| {
        format!(
            "spec.ephemeralContainers[0].{field}: Forbidden: cannot be set for an Ephemeral Container"
        )
    };
    let check = |fields: Value, expect: &[&str]| {
        let mut container = json!({"name": "d", "image": "i"});
        merge(&mut container, fields);
        let expect: Vec<String> = expect.iter().map(|field| refusal(field)).collect();
        let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
        check_ephemeral(json!([]), json!([container]), &expect);
    };
    let get = json!({"httpGet": {"port": 80}});
    check(
        json!({
            "command": ["sh"], "args": ["-c"], "workingDir": "/", "env": [{"name": "A", "value": "b"}],
            "stdin": true, "stdinOnce": true, "tty": true, "imagePullPolicy": "Never",
            "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}, "resources": {},
        }),
        &[],
    );
    check(
        json!({
            "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1"}},
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
            "restartPolicy": "Always",
            "livenessProbe": get, "readinessProbe": get, "startupProbe": get,
            "lifecycle": {"preStop": get},
        }),
        &[
            "ports",
            "resources",
            "resizePolicy",
            "restartPolicy",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ],
    );
}

#[test]
fn an_ephemeral_container_mounts_whole_volumes() {
    let mount = |fields: Value| {
        let mut mount = json!({"name": "v", "mountPath": "/m"});
        merge(&mut mount, fields);
        let old = json!({"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v"}]});
        let mut new = old.clone();
        let debugger = json!([{"name": "d", "image": "i", "volumeMounts": [mount]}]);
        new["ephemeralContainers"] = debugger;
        texts(&validate_ephemeral_update(&pod(&new), &pod(&old)))
    };
    assert_eq!(mount(json!({})), [] as [&str; 0]);
    let path = "spec.ephemeralContainers[0].volumeMounts[0]";
    for field in ["subPath", "subPathExpr"] {
        let refusal = "Forbidden: cannot be set for an Ephemeral Container";
        assert_eq!(mount(json!({field: "a"})), [format!("{path}.{field}: {refusal}")]);
    }
}

#[test]
fn an_ended_container_does_not_come_back_by_itself() {
    let status = |state: Value| json!([{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
    let check = |policy: &str, exit_code: i32, expect: &[&str]| {
        let with = |state: Value| {
            let mut pod =
                pod(&json!({"containers": [{"name": "c", "image": "i"}], "restartPolicy": policy}));
            let mut value = serde_json::to_value(&pod).unwrap();
            value["status"]["containerStatuses"] = status(state);
            pod = serde_json::from_value(value).unwrap();
            pod
        };
        let (ended, running) =
            (with(json!({"terminated": {"exitCode": exit_code}})), with(json!({"running": {}})));
        assert_eq!(texts(&validate_status_update(&running, &ended)), expect);
        assert_eq!(texts(&validate_status_update(&ended, &running)), [] as [&str; 0]);
    };
    let refusal = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
    check("Always", 0, &[]);
    check("OnFailure", 1, &[]);
    check("OnFailure", 0, &[refusal]);
    check("Never", 1, &[refusal]);
}

#[test]
fn reported_addresses_are_addresses() {
    let old = pod(&json!({"containers": []}));
    let mut new = old.clone();
    let status =
        json!({"podIPs": [{"ip": "10.42.0.2"}, {"ip": "10.42.0.3"}], "hostIPs": [{"ip": "x"}]});
    new.status = Some(serde_json::from_value(status).unwrap());
    assert_eq!(
        texts(&validate_status_update(&new, &old)),
        [
            "status.podIPs: Invalid value: [\"10.42.0.2\",\"10.42.0.3\"]: may specify no more than one IP for each IP family",
            "status.hostIPs[0].ip: Invalid value: \"x\": must be equal to `hostIP`",
            "status.hostIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ]
    );
}
