//! Who may do what: roles, bindings, and that nobody gives what they do not have.

use sampan::control_plane::auth::Identity;
use serde_json::{Value, json};

use crate::support::{Answer, Server, send, server};

const GROUP: &str = "/apis/rbac.authorization.k8s.io/v1";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn rule(resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [""], "resources": resources, "verbs": verbs})
}

fn role(name: &str, rules: &[Value]) -> Value {
    json!({"metadata": {"name": name}, "rules": rules})
}

fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({"metadata": {"name": name}, "roleRef": {"kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user}]})
}

impl Server {
    async fn as_user(&self, user: &str, line: &str, body: &Value) -> Answer {
        let client = self.control_plane.client(Identity::new(user, &[])).kube();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(&client, line, &["Content-Type: application/json"], body).await
    }

    async fn reads(&self, user: &str, path: &str) -> Answer {
        self.as_user(user, &format!("GET {path}"), &Value::Null).await
    }
}

#[tokio::test]
async fn a_role_is_worth_what_its_binding_says_and_at_once() {
    let server = server().await;
    let refused = server.reads("ann", PODS).await.message(403);
    assert_eq!(
        refused,
        "pods is forbidden: User \"ann\" cannot list resource \"pods\" in API group \"\" in the \
         namespace \"default\""
    );
    let roles = format!("{GROUP}/namespaces/default/roles");
    let bindings = format!("{GROUP}/namespaces/default/rolebindings");
    server.post(&bindings, &binding("read", "Role", "reader", "ann")).await.expect(201);
    let refused = server.reads("ann", PODS).await.message(403);
    assert!(
        refused.ends_with("RBAC: role.rbac.authorization.k8s.io \"reader\" not found"),
        "{refused}"
    );
    server.post(&roles, &role("reader", &[rule(&["pods"], &["list"])])).await.expect(201);
    server.reads("ann", PODS).await.expect(200);
    server.reads("ann", "/api/v1/namespaces/other/pods").await.expect(403);
    server.reads("ann", "/api/v1/pods").await.expect(403);
    server.reads("ann", &format!("{PODS}/p")).await.expect(403);
    server.delete(&format!("{bindings}/read")).await.expect(200);
    server.reads("ann", PODS).await.expect(403);
}

#[tokio::test]
async fn names_and_paths_are_given_apart() {
    let server = server().await;
    let mut named = rule(&["configmaps"], &["get", "update"]);
    named["resourceNames"] = json!(["mine"]);
    let paths = json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]});
    server.post(&format!("{GROUP}/clusterroles"), &role("r", &[named, paths])).await.expect(201);
    let all = binding("b", "ClusterRole", "r", "ann");
    server.post(&format!("{GROUP}/clusterrolebindings"), &all).await.expect(201);
    let maps = "/api/v1/namespaces/default/configmaps";
    server.reads("ann", &format!("{maps}/mine")).await.expect(404);
    server.reads("ann", &format!("{maps}/yours")).await.expect(403);
    assert_eq!(server.reads("ann", "/metrics").await.code, 200);
    assert_eq!(server.reads("bob", "/metrics").await.code, 403);
}

/// Gives `user` a role of these rules everywhere.
async fn give(server: &Server, user: &str, rules: &[Value]) {
    let name = format!("of-{user}");
    server.post(&format!("{GROUP}/clusterroles"), &role(&name, rules)).await.expect(201);
    let binding = binding(&name, "ClusterRole", &name, user);
    server.post(&format!("{GROUP}/clusterrolebindings"), &binding).await.expect(201);
}

fn on_roles(verbs: &[&str]) -> Value {
    json!({"apiGroups": ["rbac.authorization.k8s.io"], "verbs": verbs,
        "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"]})
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let server = server().await;
    let write = on_roles(&["create", "update", "get"]);
    give(&server, "ann", &[write, rule(&["pods"], &["get", "list"])]).await;
    let roles = format!("POST {GROUP}/namespaces/default/roles");
    let less = role("less", &[rule(&["pods"], &["list"])]);
    server.as_user("ann", &roles, &less).await.expect(201);
    let more = role("more", &[rule(&["pods", "secrets"], &["list", "get", "watch"])]);
    assert_eq!(
        server.as_user("ann", &roles, &more).await.message(403),
        "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"ann\" \
         (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently \
         held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"watch\"]}\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"list\" \"get\" \"watch\"]}"
    );
    let line = format!("PUT {GROUP}/namespaces/default/roles/less");
    let mut grown = role("less", &[rule(&["secrets"], &["list"])]);
    server.as_user("ann", &line, &grown).await.expect(403);
    grown["rules"] = json!([rule(&["pods"], &["get"])]);
    server.as_user("ann", &line, &grown).await.expect(200);
    // A binding gives all of its role; one to a role that is not there gives nothing one knows of.
    let bindings = format!("POST {GROUP}/namespaces/default/rolebindings");
    let all = binding("all", "ClusterRole", "cluster-admin", "ann");
    let refused = server.as_user("ann", &bindings, &all).await.message(403);
    assert!(refused.contains("{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"), "{refused}");
    let none = binding("none", "Role", "nothing", "bob");
    let missing = server.as_user("ann", &bindings, &none).await.message(404);
    assert_eq!(missing, "role.rbac.authorization.k8s.io \"nothing\" not found");
    let some = binding("some", "Role", "less", "bob");
    server.as_user("ann", &bindings, &some).await.expect(201);
    let mut gathers = role("gathers", &[]);
    gathers["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    let line = format!("POST {GROUP}/clusterroles");
    assert_eq!(
        server.as_user("ann", &line, &gathers).await.message(403),
        "clusterroles.rbac.authorization.k8s.io \"gathers\" is forbidden: must have cluster-admin \
         privileges to use the aggregationRule"
    );
}

#[tokio::test]
async fn who_may_escalate_or_bind_gives_more() {
    let server = server().await;
    let more = role("more", &[rule(&["secrets"], &["list"])]);
    give(&server, "ann", &[on_roles(&["create", "escalate"])]).await;
    let line = format!("POST {GROUP}/namespaces/default/roles");
    server.as_user("ann", &line, &more).await.expect(201);
    let all = binding("all", "Role", "more", "bob");
    let line = format!("POST {GROUP}/namespaces/default/rolebindings");
    server.as_user("ann", &line, &all).await.expect(403);
    give(&server, "ben", &[on_roles(&["create", "bind"])]).await;
    server.as_user("ben", &line, &all).await.expect(201);
    // A PUT that makes the object needs what a POST needs.
    give(&server, "eve", &[on_roles(&["update", "bind"])]).await;
    let line = format!("PUT {GROUP}/namespaces/default/rolebindings/other");
    let other = binding("other", "Role", "more", "eve");
    let refused = server.as_user("eve", &line, &other).await.message(403);
    assert!(refused.contains("cannot create resource \"rolebindings\""), "{refused}");
}

#[tokio::test]
async fn acting_as_somebody_else_needs_leave() {
    let server = server().await;
    let whoami = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
    let json = "Content-Type: application/json";
    let headers = [json, "Impersonate-User: ann", "Impersonate-Group: dev"];
    let told = server.send(whoami, &headers, "{}").await.expect(201);
    assert_eq!(
        told["status"]["userInfo"],
        json!({"username": "ann", "groups": ["dev", "system:authenticated"]})
    );
    let bob = server.control_plane.client(Identity::new("bob", &[])).kube();
    assert_eq!(
        send(&bob, whoami, &headers, "{}").await.message(403),
        "users \"ann\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \
         \"\" at the cluster scope"
    );
    give(&server, "bob", &[rule(&["users"], &["impersonate"])]).await;
    let refused = send(&bob, whoami, &headers, "{}").await.message(403);
    assert!(refused.starts_with("groups \"dev\" is forbidden"), "{refused}");
    send(&bob, whoami, &headers[..2], "{}").await.expect(201);
    let account = ["Impersonate-User: system:serviceaccount:default:default", json];
    let refused = send(&bob, whoami, &account, "{}").await.message(403);
    assert!(refused.starts_with("serviceaccounts \"default\" is forbidden"), "{refused}");
}

#[tokio::test]
async fn a_gathering_role_follows_what_it_selects() {
    let server = server().await;
    let roles = format!("{GROUP}/clusterroles");
    let mut gathers = role("gathers", &[rule(&["nodes"], &["get"])]);
    gathers["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    server.post(&roles, &gathers).await.expect(201);
    let mut part = role("part", &[rule(&["pods"], &["list"])]);
    part["metadata"]["labels"] = json!({"a": "b"});
    server.post(&roles, &part).await.expect(201);
    let gathered = |wanted: Value| {
        move |list: &Value| {
            let items = list["items"].as_array().unwrap();
            let role = items.iter().find(|role| role["metadata"]["name"] == "gathers").unwrap();
            role.get("rules").unwrap_or(&json!([])) == &wanted
        }
    };
    server.until(&roles, gathered(json!([rule(&["pods"], &["list"])]))).await;
    server.delete(&format!("{roles}/part")).await.expect(200);
    server.until(&roles, gathered(json!([]))).await;
}

#[tokio::test]
async fn the_roles_of_every_cluster_are_there_and_whole() {
    let server = server().await;
    let roles = format!("{GROUP}/clusterroles");
    let has = |name: &'static str| {
        move |list: &Value| {
            let items = list["items"].as_array().unwrap();
            items.iter().any(|role| role["metadata"]["name"] == name)
        }
    };
    server.until(&roles, has("system:volume-scheduler")).await;
    server.until(&format!("{GROUP}/clusterrolebindings"), has("system:volume-scheduler")).await;
    let view = server.get(&format!("{roles}/view")).await.expect(200);
    assert_eq!(view["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
    let annotation = "rbac.authorization.kubernetes.io/autoupdate";
    assert_eq!(view["metadata"]["annotations"][annotation], "true");
    give_view(&server, "ann").await;
    server.reads("ann", PODS).await.expect(200);
    server.reads("ann", "/api/v1/namespaces/default/secrets").await.expect(403);
    server.reads("ann", "/api/v1/namespaces/default").await.expect(200);
    let rules = json!({"spec": {"namespace": "default"}});
    let line = "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let told = server.as_user("ann", line, &rules).await.expect(201);
    let told = told["status"]["resourceRules"].as_array().unwrap().len();
    // What anybody may, and what a viewer may.
    assert_eq!(told, 2 + view["rules"].as_array().unwrap().len());
}

async fn give_view(server: &Server, user: &str) {
    let view = binding("view", "ClusterRole", "view", user);
    server.post(&format!("{GROUP}/namespaces/default/rolebindings"), &view).await.expect(201);
}

#[tokio::test]
async fn others_are_asked_about() {
    let server = server().await;
    let line = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
    let ask = json!({"spec": {"user": "ann",
        "resourceAttributes": {"namespace": "default", "verb": "list", "resource": "pods"}}});
    let told = server.post(line, &ask).await.expect(201);
    assert_eq!(told["status"], json!({"allowed": false}));
    give_view(&server, "ann").await;
    let roles = format!("{GROUP}/clusterroles");
    let whole = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.iter().any(|role| role["metadata"]["name"] == "view")
    };
    server.until(&roles, whole).await;
    let told = server.post(line, &ask).await.expect(201);
    assert_eq!(
        told["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by RoleBinding \"view/default\" of \
            ClusterRole \"view\" to User \"ann\""})
    );
    let everywhere = json!({"spec": {"user": "ann",
        "resourceAttributes": {"verb": "list", "resource": "pods"}}});
    let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let told = server.post(reviews, &everywhere).await.expect(201);
    assert_eq!(told["status"], json!({"allowed": false}));
}
