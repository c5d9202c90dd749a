use std::path::Path;

use crate::server::{Server, closed_port};
use crate::{agree, agree_in, ours};

/// The same requests from both.
#[track_caller]
fn agree_on(server: &Server, words: &[&str]) {
    server.heard();
    agree(words);
    let mut heard = server.heard();
    let theirs = heard.split_off(heard.len() / 2);
    assert_eq!(heard, theirs, "{words:?}");
}

#[test]
fn pages_are_fetched_as_debians_does() {
    let server = Server::start();
    for path in ["/ok", "/", "", "/ok?x=1", "/chunked", "/close", "/redirect", "/a/b.txt", "/large"]
    {
        agree_on(&server, &["wget", &server.url(path)]);
        agree_on(&server, &["wget", "-qO-", &server.url(path)]);
    }
    let ok = server.url("/ok");
    agree_on(&server, &["wget", "-O-", &ok]);
    agree_on(&server, &["wget", "-O", "x", &ok]);
    agree_on(&server, &["wget", "-O", "x", &ok, &server.url("/chunked")]);
    agree_on(&server, &["wget", "-S", "-O-", &ok]);
    agree_on(&server, &["wget", "-S", "-O-", &server.url("/redirect")]);
    agree_on(&server, &["wget", "--spider", &ok]);
    agree_on(&server, &["wget", "-q", "--spider", &ok]);
    agree_on(&server, &["wget", "-o", "log", &ok]);
    agree_on(&server, &["wget", "-q", ok.strip_prefix("http://").unwrap()]);
}

#[test]
fn requests_are_debians() {
    let server = Server::start();
    let ok = server.url("/ok");
    agree_on(
        &server,
        &["wget", "-qO-", "--header", "X: 1", "--header=Host: other", "-U", "me", &ok],
    );
    agree_on(&server, &["wget", "-qO-", "--post-data", "a=b", &ok]);
    agree_on(&server, &["wget", "-qO-", "--header", "Content-Type: x/y", "--post-data", "{}", &ok]);
    let user = format!("http://me:secret@127.0.0.1:{}/ok", server.port);
    agree_on(&server, &["wget", "-qO-", &user]);
}

#[test]
fn failures_are_told_in_debians_words() {
    let server = Server::start();
    for path in ["/404", "/short", "/empty"] {
        agree_on(&server, &["wget", "-O-", &server.url(path)]);
    }
    agree_on(&server, &["wget", "-S", "--spider", &server.url("/404")]);
    agree(&["wget", &format!("http://127.0.0.1:{}/", closed_port())]);
    agree(&["wget", "-q", "http://nosuch.invalid/"]);
    agree(&["wget", "gopher://x/"]);
    agree(&["wget", "http://127.0.0.1:99999/"]);
    agree(&["wget", "-O", "no/x", &server.url("/ok")]);
    agree(&["wget", "-P", "no", &server.url("/ok")]);
}

#[test]
fn files_are_kept_and_continued() {
    let server = Server::start();
    let write = |name: &'static str, text: &'static str| {
        move |directory: &Path| std::fs::write(directory.join(name), text).unwrap()
    };
    agree_in(&["wget", &server.url("/ok")], write("ok", "mine"));
    agree_in(&["wget", "-O", "ok", &server.url("/ok")], write("ok", "mine, and longer"));
    agree_in(&["wget", "-c", &server.url("/resume")], write("resume", "hel"));
    agree_in(&["wget", "-c", &server.url("/ok")], write("ok", "hello and more"));
    agree_in(&["wget", "-q", "--post-file", "data", &server.url("/ok")], write("data", "a=b"));
}

#[test]
fn what_debians_has_not_is_told_plainly() {
    let server = Server::start();
    let ran = ours(&["wget", "-qO-", &server.url("/ok").replace("http:", "https:")]);
    let expect = "wget: TLS error: there is no TLS outside of a Pod\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), expect));
    let ran = ours(&["wget", "-qO-", "-T", "1", &server.url("/slow")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "wget: download timed out\n"));
    assert_eq!(ran.stdout, "abc");
    let ran = ours(&["wget", "-qO-", &server.url("/round")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "wget: too many redirections\n"));
    let ran = ours(&["wget", "-qO-", &server.url("/chunked-short")]);
    assert_eq!(ran.stderr, "wget: connection closed prematurely\n");
    let ran = ours(&["wget", "--quiet", "--output-document=-", "--timeout=5", &server.url("/ok")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hello\n"));
}
