//! Logs, tokens and questions about oneself.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sampan::client::node_api::{
    BoxDuplex, ContainerRef, LogOptions, NodeApi, NodeError, PodRef, Stats, Streams,
};
use serde_json::json;

use crate::objects::pod;
use crate::support::{Server, server};

const PODS: &str = "/api/v1/namespaces/default/pods";

/// Answers what it was asked.
struct Echo;

#[async_trait]
impl NodeApi for Echo {
    async fn logs(
        &self,
        container: &ContainerRef,
        options: LogOptions,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, NodeError> {
        if options.previous {
            return Err(NodeError::BadRequest("previous terminated container not found".into()));
        }
        let text = format!("{} {:?}\n", container.container, options.tail_lines);
        Ok(futures::stream::iter([Ok(Bytes::from(text))]).boxed())
    }

    async fn exec(&self, _: &ContainerRef, _: Vec<String>, _: Streams) -> Result<i32, NodeError> {
        Ok(3)
    }

    async fn attach(&self, _: &ContainerRef, _: Streams) -> Result<(), NodeError> {
        Ok(())
    }

    async fn port_forward(&self, _: &PodRef, _: u16) -> Result<BoxDuplex, NodeError> {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (mut reader, mut writer) = tokio::io::split(ours);
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut writer).await });
        Ok(Box::new(theirs))
    }

    async fn stats(&self, _: &[PodRef]) -> Stats {
        Stats::default()
    }
}

async fn bound_pod(server: &Server) {
    server.control_plane.set_node(Arc::new(Echo));
    server.post(PODS, &pod("a")).await.expect(201);
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{PODS}/a/binding"), &binding).await.expect(201);
}

#[tokio::test]
async fn logs_come_from_the_node() {
    let server = server().await;
    bound_pod(&server).await;
    let log = server.get(&format!("{PODS}/a/log?tailLines=2")).await;
    assert_eq!(log.code, 200);
    assert_eq!(log.headers["content-type"], "text/plain");
    assert_eq!(log.bytes, b"c Some(2)\n");
    let refused = server.get(&format!("{PODS}/a/log?previous=true")).await;
    assert_eq!(refused.message(400), "previous terminated container not found");
    let nonsense = server.get(&format!("{PODS}/a/log?tailLines=-1")).await;
    assert_eq!(
        nonsense.message(422),
        "PodLogOptions \"a\" is invalid: tailLines: Invalid value: -1: must be greater than or \
         equal to 0"
    );
    let stranger = server.get(&format!("{PODS}/a/log?container=x")).await;
    assert_eq!(stranger.message(400), "container x is not valid for pod a");
}

#[tokio::test]
async fn exec_wants_an_upgrade_and_a_command() {
    let server = server().await;
    bound_pod(&server).await;
    let plain = server.get(&format!("{PODS}/a/exec?command=sh&stdout=true")).await;
    assert!(plain.message(400).starts_with("Upgrade request required"));
    let nothing = server.get(&format!("{PODS}/a/exec?stdout=true")).await;
    assert!(nothing.message(400).contains("at least 1 command"));
}

#[tokio::test]
async fn spdy_begins_with_a_version_that_both_speak() {
    let server = server().await;
    bound_pod(&server).await;
    let line = format!("POST {PODS}/a/exec?command=sh&stdout=true");
    let ask = async |versions: &[&str]| {
        let headers = [&["Connection: Upgrade", "Upgrade: SPDY/3.1"], versions].concat();
        server.send(&line, &headers, "").await
    };
    let strange = ask(&["X-Stream-Protocol-Version: v9.channel.k8s.io"]).await;
    assert_eq!(strange.code, 403);
    assert_eq!(
        String::from_utf8(strange.bytes).unwrap(),
        "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], server \
         accepts [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]\n"
    );
    let accepted = strange.headers.get_all("x-accepted-stream-protocol-versions");
    assert_eq!(accepted.iter().count(), 4);
    assert_eq!(ask(&[]).await.code, 400);
}

#[tokio::test]
async fn an_account_gets_a_token() {
    let server = server().await;
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let answer = server.post(path, &json!({"spec": {"audiences": []}})).await.expect(201);
    assert_eq!(answer["status"]["expirationTimestamp"], "2026-11-22T18:00:00Z");
    assert_eq!(answer["status"]["token"].as_str().unwrap().split('.').count(), 3);
    let short = json!({"spec": {"audiences": [], "expirationSeconds": 1}});
    server.post(path, &short).await.message(422);
}

#[tokio::test]
async fn one_can_ask_who_one_is_and_what_one_may() {
    let server = server().await;
    let who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = server.post(who, &json!({})).await.expect(201);
    assert_eq!(answer["status"]["userInfo"]["username"], "kubernetes-admin");
    let may = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let question = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    let answer = server.post(may, &question).await.expect(201);
    assert_eq!(answer["status"]["allowed"], true);
}
