//! Who may do what: kubectl's verbs about roles, and a Pod that is allowed something.

use crate::support::Home;

#[test]
fn a_pods_account_may_what_its_binding_says() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("create serviceaccount reader");
    cluster.kubectl("create role pod-reader --verb=get,list --resource=pods,pods/log");
    assert_eq!(
        cluster
            .kubectl("create rolebinding read --role=pod-reader --serviceaccount=default:reader"),
        "rolebinding.rbac.authorization.k8s.io/read created\n"
    );
    let overrides = "{\"spec\":{\"serviceAccountName\":\"reader\"}}";
    cluster.kubectl(&format!(
        "run client --image=busybox --overrides={overrides} --command -- sleep 3600"
    ));
    cluster.wait_for("condition=Ready", "pod/client");
    let ask = |path: &str| {
        let place = "/var/run/secrets/kubernetes.io/serviceaccount";
        let script = format!(
            "cd {place}; curl -s --cacert ca.crt -H \"Authorization: Bearer $(cat token)\" \
             https://kubernetes.default{path}"
        );
        let answer = cluster.run_words(&["exec", "client", "--", "sh", "-c", &script]);
        assert_eq!(answer.code, 0, "{}", answer.all());
        answer.stdout
    };
    let listed = ask("/api/v1/namespaces/default/pods");
    assert!(listed.contains("\"PodList\"") && listed.contains("\"client\""), "{listed}");
    let refused = ask("/api/v1/namespaces/kube-system/pods");
    let who = "system:serviceaccount:default:reader";
    assert!(
        refused.contains(&format!(
            "pods is forbidden: User \\\"{who}\\\" cannot list resource \\\"pods\\\" in API group \
             \\\"\\\" in the namespace \\\"kube-system\\\""
        )),
        "{refused}"
    );
    assert!(ask("/api/v1/namespaces/default/secrets").contains("is forbidden"));

    let can = |line: &str| cluster.run(&format!("auth can-i --as={who} {line}"));
    assert_eq!(can("list pods").stdout, "yes\n");
    assert_eq!(can("get pods/log").stdout, "yes\n");
    assert_eq!(can("get pods --subresource=exec").stdout, "no\n");
    let elsewhere = can("list pods -n kube-system");
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (1, "no\n"));
    let list = can("--list").stdout;
    let row = list.lines().find(|line| line.starts_with("pods ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["pods", "[]", "[]", "[get", "list]"]);
    assert!(list.contains("selfsubjectaccessreviews.authorization.k8s.io"), "{list}");

    let wide = cluster.kubectl("get rolebindings -o wide");
    assert!(wide.contains("Role/pod-reader") && wide.contains("default/reader"), "{wide}");
    let described = cluster.kubectl("describe role pod-reader");
    assert!(described.contains("pods/log") && described.contains("[get list]"), "{described}");
    let described = cluster.kubectl("describe rolebinding read");
    assert!(described.contains("ServiceAccount") && described.contains("reader"), "{described}");

    // What is taken away is gone at once.
    cluster.kubectl("delete rolebinding read");
    assert!(ask("/api/v1/namespaces/default/pods").contains("is forbidden"));
}

#[test]
fn the_usual_roles_are_there_and_roles_gather() {
    let home = Home::new();
    let cluster = home.up();
    cluster.until("get clusterrolebindings -o name", |names| names.contains("volume-scheduler"));
    let names = cluster.kubectl("get clusterroles -o name");
    for name in ["admin", "cluster-admin", "edit", "view", "system:basic-user", "system:node"] {
        assert!(names.lines().any(|line| line.ends_with(&format!("/{name}"))), "{names}");
    }
    let label = cluster.kubectl("get clusterroles -l kubernetes.io/bootstrapping=rbac-defaults");
    assert_eq!(label.lines().count(), names.lines().count() + 1);

    cluster.kubectl("create namespace team");
    cluster.kubectl("create rolebinding ann --clusterrole=view --user=ann -n team");
    let can = |line: &str| cluster.run(&format!("auth can-i --as=ann -n team {line}")).stdout;
    assert_eq!(can("list deployments"), "yes\n");
    assert_eq!(can("list secrets"), "no\n");
    assert_eq!(can("create pods"), "no\n");
    // What extends `view` does so by a label.
    cluster.kubectl("create clusterrole see-secrets --verb=list --resource=secrets");
    cluster
        .kubectl("label clusterrole see-secrets rbac.authorization.k8s.io/aggregate-to-view=true");
    cluster.until("get clusterrole admin -o yaml", |role| role.contains("  - list\n"));
    cluster.until("describe clusterrole view", |role| role.contains("secrets"));
    assert_eq!(can("list secrets"), "yes\n");
    cluster.kubectl("create clusterrole whole --aggregation-rule=part=yes");
    cluster.kubectl("create clusterrole part --verb=get --non-resource-url=/metrics");
    cluster.kubectl("label clusterrole part part=yes");
    cluster.until("get clusterrole whole -o jsonpath={.rules}", |rules| rules.contains("/metrics"));

    // A changed default is completed at the next start, one that is to be left alone is not.
    cluster.kubectl("delete clusterrole system:heapster");
    cluster.kubectl(
        "annotate --overwrite clusterrole system:monitoring rbac.authorization.kubernetes.io/autoupdate=false",
    );
    let patch = "{\"rules\":[]}";
    for role in ["system:monitoring", "system:basic-user"] {
        cluster.kubectl(&format!("patch clusterrole {role} --type=merge -p {patch}"));
    }
    cluster.kill();
    let cluster = home.up();
    cluster.until("get clusterroles -o name", |names| names.contains("system:heapster"));
    let basic = "get clusterrole system:basic-user -o jsonpath={.rules[*].resources}";
    cluster.until(basic, |rules| rules.contains("selfsubjectreviews"));
    let left = cluster.kubectl("get clusterrole system:monitoring -o jsonpath={.rules}");
    assert!(left.is_empty() || left == "[]", "{left}");
}

#[test]
fn nobody_gives_more_than_they_have() {
    let home = Home::new();
    let cluster = home.up();
    cluster.until("get clusterroles -o name", |names| names.contains("/admin"));
    cluster.kubectl("create namespace team");
    cluster.kubectl("create rolebinding ann --clusterrole=admin --user=ann -n team");
    let ann = "--as=ann -n team";
    cluster.kubectl(&format!("create role look --verb=list --resource=pods {ann}"));
    cluster.kubectl(&format!("create rolebinding bob --role=look --user=bob {ann}"));
    assert_eq!(cluster.run("auth can-i --as=bob -n team list pods").stdout, "yes\n");
    let refused = cluster.refused(&format!("create role top --verb=* --resource=* {ann}"));
    assert!(
        refused.starts_with("Error from server (Forbidden): roles.rbac.authorization.k8s.io \"top\" is \
             forbidden: user \"ann\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC \
             permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"*\"], Verbs:[\"*\"]}"),
        "{refused}"
    );
    let refused = cluster
        .refused(&format!("create rolebinding me --clusterrole=cluster-admin --user=ann {ann}"));
    assert!(refused.contains("is attempting to grant RBAC permissions"), "{refused}");
    let refused = cluster.refused("get nodes --as=ann");
    assert_eq!(
        refused,
        "Error from server (Forbidden): nodes is forbidden: User \"ann\" cannot list resource \
         \"nodes\" in API group \"\" at the cluster scope\n"
    );

    // What is written down once more changes nothing, a role reference never changes.
    let manifest = home.file(
        "roles.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: look, namespace: team}\n\
         rules: [{apiGroups: [''], resources: [pods, services], verbs: [list]}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: bob, namespace: team}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: look}\n\
         subjects: [{kind: User, name: cid, apiGroup: rbac.authorization.k8s.io}]\n",
    );
    let told = cluster.kubectl(&format!("auth reconcile -f {manifest}"));
    assert!(told.contains("role.rbac.authorization.k8s.io/look reconciled"), "{told}");
    let subjects = "get rolebinding bob -n team -o jsonpath={.subjects[*].name}";
    assert_eq!(cluster.kubectl(subjects), "bob cid");
    assert_eq!(cluster.run("auth can-i --as=cid -n team list services").stdout, "yes\n");
    let refused = cluster.refused(
        "patch rolebinding bob -n team --type=merge -p {\"roleRef\":{\"name\":\"other\"}}",
    );
    assert!(refused.contains("cannot change roleRef"), "{refused}");
}
