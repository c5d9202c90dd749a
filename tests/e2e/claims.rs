//! Claims and volumes, as their owners and administrators see them; what Pods do with them is told elsewhere.

use std::fs;

use crate::support::{Cluster, Home, tutorial};

#[track_caller]
fn bound(cluster: &Cluster<'_>, claim: &str) {
    cluster.wait_for("jsonpath={.status.phase}=Bound", &format!("pvc/{claim}"));
}

fn claim(name: &str, class: &str, size: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec:\n  \
         accessModes: [ReadWriteOnce]\n  storageClassName: {class:?}\n  \
         resources: {{requests: {{storage: {size}}}}}\n{more}"
    )
}

fn volume(name: &str, size: &str, policy: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}, labels: {{disk: {name}}}}}\n\
         spec:\n  accessModes: [ReadWriteOnce]\n  capacity: {{storage: {size}}}\n  \
         storageClassName: manual\n  persistentVolumeReclaimPolicy: {policy}\n  \
         hostPath: {{path: /srv/{name}}}\n"
    )
}

#[track_caller]
fn apply(home: &Home, cluster: &Cluster<'_>, manifest: &str) {
    let file = home.file("manifest.yaml", manifest);
    cluster.kubectl(&format!("apply -f {file}"));
}

/// The words of the only row.
fn row(text: &str) -> Vec<&str> {
    text.lines().last().unwrap_or_default().split_whitespace().collect()
}

#[test]
fn sections_2_4_1_and_2_4_2_work_as_printed() {
    let home = Home::new();
    let cluster = home.up();
    let classes = cluster.kubectl("get storageclass");
    let standard = classes.lines().find(|line| line.starts_with("standard (default)")).unwrap();
    let words: Vec<&str> = standard.split_whitespace().collect();
    assert_eq!(words[2..6], ["sampan.dev/local-path", "Delete", "Immediate", "true"], "{classes}");
    assert!(classes.contains("WaitForFirstConsumer"), "{classes}");

    let applied = cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
    assert_eq!(applied, "persistentvolumeclaim/myclaim created\n");
    bound(&cluster, "myclaim");
    let name = cluster.kubectl("get pvc myclaim -o jsonpath={.spec.volumeName}");
    let claim = cluster.kubectl("get pvc");
    let expect = ["myclaim", "Bound", &name, "10Mi", "RWX", "standard", "<unset>"];
    assert_eq!(row(&claim)[..7], expect, "{claim}");
    let volume = cluster.kubectl("get pv");
    let expect =
        [&name, "10Mi", "RWX", "Delete", "Bound", "default/myclaim", "standard", "<unset>"];
    assert_eq!(row(&volume)[..8], expect, "{volume}");
    let both = cluster.kubectl("get pvc,pv");
    assert!(both.contains("persistentvolumeclaim/myclaim"), "{both}");
    assert!(both.contains(&format!("persistentvolume/{name}")), "{both}");

    let told = cluster.until("describe pvc myclaim", |text| text.contains("Succeeded"));
    for line in ["Finalizers:    [kubernetes.io/pvc-protection]", "Used By:       <none>"] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(told.contains(&format!("Successfully provisioned volume {name}")), "{told}");
    let told = cluster.kubectl(&format!("describe pv {name}"));
    assert!(told.contains("Type:          HostPath"), "{told}");
    assert!(told.contains("Claim:           default/myclaim"), "{told}");
    let told = cluster.kubectl("describe sc standard");
    assert!(told.contains("IsDefaultClass:        Yes"), "{told}");

    assert_eq!(
        cluster.kubectl("delete pvc myclaim"),
        "persistentvolumeclaim \"myclaim\" deleted\n"
    );
    cluster.until("get pv", |text| text.contains("No resources found"));
}

#[test]
fn what_is_deleted_takes_its_files_along_and_what_is_retained_does_not() {
    let home = Home::new();
    let cluster = home.up();
    for name in ["gone", "kept"] {
        apply(&home, &cluster, &claim(name, "standard", "1Mi", ""));
        bound(&cluster, name);
    }
    let file_of = |claim: &str| {
        let volume = cluster.kubectl(&format!("get pvc {claim} -o jsonpath={{.spec.volumeName}}"));
        let path = cluster.kubectl(&format!("get pv {volume} -o jsonpath={{.spec.hostPath.path}}"));
        assert!(path.ends_with(&format!("data/volumes/{volume}")), "{path}");
        fs::create_dir_all(&path).unwrap();
        let file = std::path::Path::new(&path).join("file");
        fs::write(&file, "data").unwrap();
        (volume, file)
    };
    let (gone, gone_file) = file_of("gone");
    let (kept, kept_file) = file_of("kept");
    let patch = "{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}";
    cluster.kubectl(&format!("patch pv {kept} -p {patch}"));
    cluster.kubectl("delete pvc gone kept");
    cluster.until(&format!("get pv {gone}"), |text| text.contains("NotFound"));
    assert!(!gone_file.exists() && !gone_file.parent().unwrap().exists());
    cluster.wait_for("jsonpath={.status.phase}=Released", &format!("pv/{kept}"));
    cluster.kubectl(&format!("delete pv {kept}"));
    assert_eq!(fs::read_to_string(kept_file).unwrap(), "data");
}

#[test]
fn static_volumes_are_bound_by_size_and_by_selector() {
    let home = Home::new();
    let cluster = home.up();
    for (name, size) in [("small", "1Gi"), ("right", "5Gi"), ("large", "50Gi")] {
        apply(&home, &cluster, &volume(name, size, "Retain"));
        cluster.wait_for("jsonpath={.status.phase}=Available", &format!("pv/{name}"));
    }
    apply(&home, &cluster, &claim("by-size", "manual", "3Gi", ""));
    let selector = "  selector: {matchLabels: {disk: large}}\n";
    apply(&home, &cluster, &claim("by-label", "manual", "1Gi", selector));
    apply(&home, &cluster, &claim("too-large", "manual", "60Gi", ""));
    for (claim, volume) in [("by-size", "right"), ("by-label", "large")] {
        bound(&cluster, claim);
        let got = cluster.kubectl(&format!("get pvc {claim} -o jsonpath={{.spec.volumeName}}"));
        assert_eq!(got, volume);
    }
    let told = cluster.until("describe pvc too-large", |text| text.contains("Provisioning"));
    assert!(told.contains("storageclass.storage.k8s.io \"manual\" not found"), "{told}");

    // What was one's own is not another's.
    cluster.kubectl("delete pvc by-size");
    cluster.wait_for("jsonpath={.status.phase}=Released", "pv/right");
    apply(&home, &cluster, &claim("by-size", "manual", "3Gi", ""));
    cluster.until("describe pvc by-size", |text| text.contains("not found"));
    apply(&home, &cluster, &volume("later", "4Gi", "Delete"));
    bound(&cluster, "by-size");

    // Nobody but us deletes directories of the host, and only those of ours.
    cluster.kubectl("delete pvc by-size");
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pv/later");
    let told = cluster.until("describe pv later", |text| text.contains("VolumeFailedDelete"));
    assert!(told.contains("no deletable volume plugin matched"), "{told}");
}

#[test]
fn without_a_class_a_claim_waits_and_says_so() {
    let home = Home::new();
    let cluster = home.up();
    apply(&home, &cluster, &claim("alone", "", "1Gi", ""));
    let told = cluster.until("describe pvc alone", |text| text.contains("FailedBinding"));
    let expect = "no persistent volumes available for this claim and no storage class is set";
    assert!(told.contains(expect), "{told}");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  \
               containers: [{name: c, image: busybox, command: [sleep, '60']}]\n  \
               volumes: [{name: v, persistentVolumeClaim: {claimName: NAME}}]\n";
    apply(&home, &cluster, &pod.replace("NAME", "alone"));
    let told = cluster.until("describe pod p", |text| text.contains("FailedScheduling"));
    let expect = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    assert!(told.contains(expect), "{told}");
    apply(&home, &cluster, &pod.replace("NAME", "nowhere").replace("name: p}", "name: q}"));
    let told = cluster.until("describe pod q", |text| text.contains("FailedScheduling"));
    assert!(told.contains("persistentvolumeclaim \"nowhere\" not found"), "{told}");
}

#[test]
fn a_claim_grows_and_does_not_shrink() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
    bound(&cluster, "myclaim");
    let size = |size: &str| {
        format!(
            "patch pvc myclaim -p {{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"{size}\"}}}}}}}}"
        )
    };
    cluster.kubectl(&size("20Mi"));
    cluster.wait_for("jsonpath={.status.capacity.storage}=20Mi", "pvc/myclaim");
    assert_eq!(cluster.kubectl("get pv -o jsonpath={.items[0].spec.capacity.storage}"), "20Mi");
    let told = cluster.until("describe pvc myclaim", |text| text.contains("ResizeSuccessful"));
    assert!(told.contains("ExpandVolume succeeded for volume default/myclaim"), "{told}");
    let refused = cluster.refused(&size("5Mi"));
    assert!(refused.contains("field can not be less than status.capacity"), "{refused}");
    let refused =
        cluster.refused("patch pvc myclaim -p {\"spec\":{\"storageClassName\":\"other\"}}");
    assert!(
        refused.contains("spec is immutable after creation except resources.requests"),
        "{refused}"
    );

    apply(&home, &cluster, &volume("fixed", "1Gi", "Retain"));
    apply(&home, &cluster, &claim("fixed", "manual", "1Gi", ""));
    bound(&cluster, "fixed");
    let refused = cluster.refused(&size("2Gi").replace("myclaim", "fixed"));
    assert!(refused.contains("only dynamically provisioned pvc can be resized"), "{refused}");
}

#[test]
fn a_claim_in_use_and_a_bound_volume_are_kept() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
    bound(&cluster, "myclaim");
    cluster.kubectl(&format!("apply -f {}", tutorial("pod-pvc.yaml")));
    cluster.wait_for("condition=PodScheduled", "pod/mypod");
    cluster.kubectl("delete pvc myclaim --wait=false");
    let volume = cluster.kubectl("get pvc myclaim -o jsonpath={.spec.volumeName}");
    cluster.kubectl(&format!("delete pv {volume} --wait=false"));
    assert_eq!(row(&cluster.kubectl("get pvc"))[1], "Terminating");
    assert_eq!(row(&cluster.kubectl("get pv"))[4], "Terminating");
    let told = cluster.kubectl("describe pvc myclaim");
    assert!(told.contains("Used By:       mypod"), "{told}");
    cluster.kubectl("delete pod mypod --grace-period=1");
    cluster.until("get pvc,pv", |text| text.contains("No resources found"));
}

#[test]
fn a_claim_may_wait_for_its_first_pod() {
    let home = Home::new();
    let cluster = home.up();
    apply(&home, &cluster, &claim("lazy", "local-path", "1Mi", ""));
    let told = cluster.until("describe pvc lazy", |text| text.contains("WaitForFirstConsumer"));
    assert!(told.contains("waiting for first consumer to be created before binding"), "{told}");
    assert!(cluster.run("get pv").stderr.contains("No resources found"));
    let pod = fs::read_to_string(tutorial("pod-pvc.yaml")).unwrap().replace("myclaim", "lazy");
    apply(&home, &cluster, &pod);
    bound(&cluster, "lazy");
    cluster.wait_for("condition=PodScheduled", "pod/mypod");
    let node = cluster.kubectl("get pvc lazy -o jsonpath={.metadata.annotations}");
    assert!(node.contains("\"volume.kubernetes.io/selected-node\":\"sampan\""), "{node}");
    let told = cluster.kubectl("describe pv");
    assert!(told.contains("kubernetes.io/hostname in [sampan]"), "{told}");
}

/// A Pod with a volume of its own, of the class `standard`.
fn pod_with_own_volume(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  \
         terminationGracePeriodSeconds: 0\n  containers: [{{name: c, image: busybox, \
         command: [sleep, '100000'], volumeMounts: [{{name: scratch, mountPath: /s}}]}}]\n  \
         volumes: [{{name: scratch, ephemeral: {{volumeClaimTemplate: {{metadata: {{labels: {{of: {name}}}}}, \
         spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}}}}}}}]\n"
    )
}

#[test]
fn a_pods_own_claim_comes_and_goes_with_it() {
    let home = Home::new();
    let cluster = home.up();
    apply(&home, &cluster, &pod_with_own_volume("p"));
    cluster.wait_for("condition=Ready", "pod/p");
    let full = cluster.run("exec p -- dd if=/dev/zero of=/s/big bs=64k count=32");
    assert!(full.stderr.contains("No space left on device"), "{}", full.all());
    let claim = cluster.kubectl("get pvc -l of=p --no-headers");
    assert_eq!(row(&claim)[..2], ["p-scratch", "Bound"], "{claim}");
    let owner = "get pvc p-scratch -o jsonpath={.metadata.ownerReferences[0]['kind','name']}";
    assert_eq!(cluster.kubectl(owner), "Pod p");
    assert!(cluster.kubectl("describe pvc p-scratch").contains("Used By:       p"));
    cluster.kubectl("delete pod p");
    cluster.until("get pvc,pv", |text| text.contains("No resources found"));

    // In the foreground the claim goes first, though the Pod's remains are still there.
    apply(&home, &cluster, &pod_with_own_volume("q"));
    cluster.wait_for("condition=Ready", "pod/q");
    cluster.kubectl("delete pod q --cascade=foreground");
    cluster.until("get pod,pvc,pv", |text| text.contains("No resources found"));
}

#[test]
fn a_claim_that_is_in_the_way_of_a_pods_own_is_left_alone() {
    let home = Home::new();
    let cluster = home.up();
    apply(&home, &cluster, &claim("p-scratch", "standard", "1Mi", ""));
    bound(&cluster, "p-scratch");
    apply(&home, &cluster, &pod_with_own_volume("p"));
    let told = cluster.until("describe pod p", |text| {
        text.contains("FailedBinding") && text.contains("FailedScheduling")
    });
    let why = "PVC default/p-scratch was not created for pod default/p (pod is not owner)";
    assert!(told.contains(&format!("ephemeral volume scratch: {why}")), "{told}");
    assert!(told.contains(&format!("0/1 nodes are available: {why}.")), "{told}");
    // The new one may be there before kubectl looks for the old one, and it would wait for that to go, too.
    cluster.kubectl("delete pvc p-scratch --wait=false");
    cluster.wait_for("condition=Ready", "pod/p");

    let named = pod_with_own_volume("r").replace("metadata: {labels", "metadata: {name: x, labels");
    let file = home.file("manifest.yaml", named);
    let refused = cluster.refused(&format!("apply -f {file}"));
    let expect =
        "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set";
    assert!(refused.contains(expect), "{refused}");
}

#[test]
fn a_volume_grows_under_a_running_pod() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
    cluster.kubectl(&format!("apply -f {}", tutorial("pod-pvc.yaml")));
    cluster.wait_for("condition=Ready", "pod/mypod");
    let fill = "exec mypod -- dd if=/dev/zero of=/var/www/html/big bs=64k count=200";
    let full = cluster.run(fill);
    assert!(full.stderr.contains("No space left on device"), "{}", full.all());
    let larger = "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"20Mi\"}}}}";
    cluster.kubectl(&format!("patch pvc myclaim -p {larger}"));
    let room = cluster.run_words(&[
        "exec",
        "mypod",
        "--",
        "sh",
        "-c",
        "until df /var/www/html | grep -q ' 20480 '; do sleep 0.1; done",
    ]);
    assert_eq!(room.code, 0, "{}", room.all());
    let filled = cluster.run(fill);
    assert_eq!(filled.code, 0, "{}", filled.all());
    let restarts = "get pod mypod -o jsonpath={.status.containerStatuses[0].restartCount}";
    assert_eq!(cluster.kubectl(restarts), "0");
}

#[test]
fn only_one_pod_gets_what_only_one_may_have() {
    let home = Home::new();
    let cluster = home.up();
    let single =
        claim("single", "standard", "1Mi", "").replace("ReadWriteOnce", "ReadWriteOncePod");
    apply(&home, &cluster, &single);
    bound(&cluster, "single");
    let pod = fs::read_to_string(tutorial("pod-pvc.yaml")).unwrap().replace("myclaim", "single");
    apply(&home, &cluster, &pod);
    cluster.wait_for("condition=PodScheduled", "pod/mypod");
    apply(&home, &cluster, &pod.replace("mypod", "second"));
    let told = cluster.until("describe pod second", |text| text.contains("FailedScheduling"));
    let expect = "1 node has pod using PersistentVolumeClaim with the same name and \
                  ReadWriteOncePod access mode";
    assert!(told.contains(expect), "{told}");
    cluster.kubectl("delete pod mypod --grace-period=1");
    cluster.wait_for("condition=PodScheduled", "pod/second");
}

#[test]
fn a_claim_is_filled_with_a_copy_of_another() {
    let home = Home::new();
    let cluster = home.up();
    let of = |name: &str| format!("  dataSource: {{kind: PersistentVolumeClaim, name: {name}}}\n");
    let pod = |name: &str, claim: &str, script: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
             containers: [{{name: c, image: busybox, command: [sh, -c, '{script}'], volumeMounts: \
             [{{name: v, mountPath: /v}}]}}]\n  \
             volumes: [{{name: v, persistentVolumeClaim: {{claimName: {claim}}}}}]\n"
        )
    };
    // It waits for what it is to be a copy of.
    apply(&home, &cluster, &claim("copy", "standard", "10Mi", &of("old")));
    let failed = |text: &str| {
        let events = "get events --watch --field-selector reason=ProvisioningFailed \
                      -o jsonpath={.message}{\"\\n\"}";
        cluster.follow(events).line_with(text);
    };
    failed("persistentvolumeclaim \"old\" not found");
    let fill = "cd /v; mkdir d; chmod 711 d; echo 1 > d/f; chmod 750 d/f; ln -s d/f l; truncate -s 4M hole";
    let manifest = claim("old", "standard", "5Mi", "") + &pod("fill", "old", fill);
    apply(&home, &cluster, &manifest);
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/fill");
    bound(&cluster, "copy");
    let small = claim("small", "standard", "1Mi", &of("old"));
    let other =
        "  dataSource: {kind: VolumeSnapshot, apiGroup: snapshot.storage.k8s.io, name: s}\n";
    let other = claim("other", "standard", "10Mi", other);
    apply(&home, &cluster, &format!("{small}---\n{other}"));
    failed("greater than or equal in size");
    failed("cannot be made from a VolumeSnapshot");
    // The copy is made at the latest when its source goes, and has all that was there.
    let volume = cluster.kubectl("get pvc old -o jsonpath={.spec.volumeName}");
    cluster.kubectl("delete pod fill");
    cluster.kubectl("delete pvc old");
    cluster.wait_for("delete", &format!("pv/{volume}"));
    let look = "cd /v; cat l; stat -c %a d d/f; stat -c %s hole; df -m /v | tail -n 1";
    apply(&home, &cluster, &pod("look", "copy", look));
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/look");
    let seen = cluster.kubectl("logs look");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..4], ["1", "711", "750", "4194304"], "{seen}");
    // Its size is the copy's own.
    let space: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(space[1], "10", "{seen}");
    let left = fs::read_dir(home.path().join("data/volumes")).unwrap();
    assert_eq!(left.count(), 1);
}
