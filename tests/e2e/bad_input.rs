//! What a user does wrong: each a clear answer, the server unharmed.

use crate::programs;
use crate::support::Home;

fn pod(name: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

#[test]
fn manifests_with_faults_are_refused_with_their_place() {
    let home = Home::new();
    let cluster = home.up();
    let refused = |name: &str, content: &str| {
        let file = home.file(name, content);
        cluster.refused(&format!("apply -f {file}"))
    };
    let unknown =
        refused("unknown.yaml", &pod("x", "{containers: [{name: c, image: i, imagee: j}]}"));
    assert!(unknown.contains("unknown field \"spec.containers[0].imagee\""), "{unknown}");
    let invalid =
        refused("invalid.yaml", &pod("X_y", "{containers: [{name: c}], restartPolicy: Sometimes}"));
    for text in [
        "metadata.name: Invalid value: \"X_y\"",
        "spec.containers[0].image: Required value",
        "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
    ] {
        assert!(invalid.contains(text), "no {text:?} in {invalid}");
    }
    let typed = refused("type.yaml", &pod("x", "{containers: 3}"));
    assert!(
        typed.contains("cannot unmarshal number into Go struct field PodSpec.spec.containers"),
        "{typed}"
    );
    // A list is checked by kubectl itself, with what it has been told of its items' kinds.
    let map = |name: &str, field: &str| {
        let meta = format!("metadata: {{name: {name}}}, {field}: {{a: b}}");
        format!("- {{apiVersion: v1, kind: ConfigMap, {meta}}}\n")
    };
    let list = |items: String| format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    let wrong = refused("wrong.yaml", &list(map("one", "data") + &map("two", "dada")));
    assert!(wrong.contains("unknown field \"dada\""), "{wrong}");
    let file = home.file("list.yaml", list(map("one", "data") + &map("two", "data")));
    let applied = cluster.kubectl(&format!("apply -f {file}"));
    assert_eq!(applied, "configmap/one created\nconfigmap/two created\n");
    let huge = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big}}\ndata: {{a: {}}}\n",
        "x".repeat(3 << 20)
    );
    let huge = home.file("huge.yaml", huge);
    let answer = cluster.refused(&format!("create -f {huge}"));
    assert!(answer.contains("too large") || answer.contains("Too long"), "{answer}");
    assert!(cluster.kubectl("get nodes").contains("Ready"));
}

#[test]
fn images_that_cannot_run_say_why() {
    let home = Home::new();
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    let elf = home.file("program.wasm", b"\x7fELF\x02\x01\x01");
    let start = |name: &str, image: &str| {
        let file = home.file(
            &format!("{name}.yaml"),
            pod(
                name,
                &format!("{{restartPolicy: Never, containers: [{{name: c, image: \"{image}\"}}]}}"),
            ),
        );
        cluster.kubectl(&format!("apply -f {file}"));
    };
    start("linux", "postgres:16");
    start("elf", &format!("file://{elf}"));
    start("outside", "file:///etc/passwd");
    let events = cluster.follow("get events -w");
    let seen = |text: &str| events.line_with(text);
    seen("Linux image");
    assert!(
        cluster.kubectl("get pod linux").contains("ErrImagePull")
            || cluster.kubectl("get pod linux").contains("ImagePullBackOff")
    );
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/elf");
    let described = cluster.kubectl("describe pod elf");
    assert!(described.contains("not a WebAssembly program"), "{described}");
    let described = cluster.kubectl("describe pod outside");
    assert!(described.contains("--allow-images"), "{described}");
}

#[test]
fn greedy_guests_are_bounded() {
    let home = Home::new();
    let cluster = home.up();
    let file = home.file("busy.yaml", pod("busy", "{restartPolicy: Never, containers: [{name: c, image: busybox, command: [sh, -c, 'while :; do :; done']}]}"));
    cluster.kubectl(&format!("apply -f {file}"));
    cluster.wait_for("condition=Ready", "pod/busy");
    cluster.kubectl("delete pod busy");
    let flood = home.file("flood.yaml", pod("flood", "{restartPolicy: Never, containers: [{name: c, image: busybox, command: [sh, -c, 'yes flood | head -n 300000; echo done']}]}"));
    cluster.kubectl(&format!("apply -f {flood}"));
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/flood");
    assert_eq!(cluster.kubectl("logs flood --tail=1"), "done\n");
    assert!(cluster.kubectl("get nodes").contains("Ready"));
}

#[test]
fn the_clusters_own_namespaces_stay() {
    let home = Home::new();
    let cluster = home.up();
    let refusal = cluster.refused("delete namespace kube-system");
    assert!(refusal.contains("this namespace may not be deleted"), "{refusal}");
    assert!(cluster.kubectl("get namespace kube-system").contains("Active"));
}

#[test]
fn a_program_that_is_replaced_or_removed_is_so_from_the_next_start_on() {
    let home = Home::new();
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    for name in ["replaced", "removed"] {
        let program = home.file(&format!("{name}.wasm"), programs::component("graceful"));
        let spec =
            format!("{{containers: [{{name: c, image: 'file://{program}', args: ['500']}}]}}");
        cluster.kubectl(&format!("apply -f {}", home.file("pod.yaml", pod(name, &spec))));
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
    }
    let status = |pod: &str, field: &str| {
        let path = format!("{{.status.containerStatuses[0].{field}}}");
        cluster.kubectl(&format!("get pod {pod} -o jsonpath={path}"))
    };
    // Who runs is not disturbed: what runs is a copy.
    let first = status("replaced", "imageID");
    home.file("replaced.wasm", programs::component("server"));
    cluster.kubectl("exec replaced -- kill -9 1");
    let restarted = "jsonpath={.status.containerStatuses[0].restartCount}=1";
    cluster.wait_for(restarted, "pod/replaced");
    cluster.wait_for("condition=Ready", "pod/replaced");
    assert_ne!(status("replaced", "imageID"), first);

    std::fs::remove_file(home.path().join("removed.wasm")).unwrap();
    cluster.kubectl("exec removed -- kill -9 1");
    let told = cluster.follow(
        "get events --watch --field-selector involvedObject.name=removed,reason=Failed \
         -o jsonpath={.message}{\"\\n\"}",
    );
    told.line_with("removed.wasm: No such file or directory");
    let waiting = status("removed", "state.waiting.reason");
    assert!(["ErrImagePull", "ImagePullBackOff"].contains(&&*waiting), "{waiting}");
}
