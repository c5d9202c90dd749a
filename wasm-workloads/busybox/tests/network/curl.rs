use crate::server::{Server, closed_port};
use crate::{OURS, Ran, directory, files, ours, run};

const CURL: &str = "/usr/bin/curl";

/// What differs by nature: names of versions, milliseconds, and what curl tells of its insides.
fn settle(mut ran: Ran) -> Ran {
    const INNER: [&str; 3] = ["bundle for host", "Can not multiplex", "Please rewind output"];
    let inner = |line: &&str| INNER.iter().all(|words| !line.contains(words));
    let lines = ran.stderr.lines().filter(inner);
    ran.stderr = lines
        .map(|line| match line.split_once(" after ") {
            Some((before, after)) => {
                format!(
                    "{before} after {}\n",
                    after.trim_start_matches(|c: char| c.is_ascii_digit())
                )
            }
            None => format!("{line}\n"),
        })
        .collect();
    ran
}

/// Requests without what is up to their sender: what stands between a form's parts, and whether the
/// server is asked if it wants the body.
fn alike(heard: Vec<String>) -> Vec<String> {
    let settle = |request: String| {
        let boundary = request.split_once("boundary=").and_then(|(_, rest)| rest.lines().next());
        let is_form = boundary.is_some();
        let request = boundary.map_or(request.clone(), |between| request.replace(between, "X"));
        let odd = |line: &&str| {
            line.starts_with("Expect: ") || is_form && line.starts_with("Content-Length: ")
        };
        request.split_inclusive('\n').filter(|line| !odd(line)).collect()
    };
    heard.into_iter().map(settle).collect()
}

/// Both say the same, leave the same files and send the same requests.
#[track_caller]
fn agree(server: &Server, words: &[&str]) -> Ran {
    server.heard();
    let (here, there) = (directory(), directory());
    let words = [&["-A", "test"], words].concat();
    for directory in [&here, &there] {
        std::fs::write(directory.join("data"), "a=b\nc=d\n").unwrap();
    }
    let mine = settle(run(&[OURS, "curl"], &words, &here, "typed"));
    let heard = alike(server.heard());
    let theirs = settle(run(&[CURL], &words, &there, "typed"));
    assert_eq!(mine, theirs, "{words:?}");
    assert_eq!(heard, alike(server.heard()), "{words:?}");
    assert_eq!(files(&here), files(&there), "{words:?}");
    mine
}

#[test]
fn pages_are_fetched_as_curl_does() {
    let server = Server::start();
    for path in
        ["/ok", "", "/chunked", "/close", "/none", "/404", "/redirect", "/ok?a=b#c", "/large"]
    {
        agree(&server, &["-s", &server.url(path)]);
        agree(&server, &["-sL", &server.url(path)]);
        agree(&server, &["-si", &server.url(path)]);
    }
    let ok = server.url("/ok");
    agree(&server, &["-sI", &ok]);
    agree(&server, &["-sLI", &server.url("/redirect")]);
    agree(&server, &["-sLi", &server.url("/redirect")]);
    agree(&server, &["-s", ok.strip_prefix("http://").unwrap()]);
    agree(&server, &["-s", &ok, &server.url("/chunked")]);
    agree(&server, &["-s", "-o", "x", &ok, "-o", "y", &server.url("/none")]);
    agree(&server, &["-sO", &ok, "-D", "head"]);
    agree(&server, &["-s", "--url", &ok, "-o", "-"]);
}

#[test]
fn requests_are_curls() {
    let server = Server::start();
    let ok = server.url("/ok");
    for words in [
        &["-d", "a=b", "-d", "c=d"][..],
        &["-d", "@data"],
        &["-d", "@-"],
        &["--data-binary", "@data"],
        &["--data-raw", "@data"],
        &["--data-urlencode", "q=a b&c"],
        &["--data-urlencode", "q@data"],
        &["-X", "PUT", "-d", "x"],
        &["-X", "DELETE"],
        &["-G", "-d", "q=1", "-d", "r=2"],
        &["--json", "{\"a\": 1}"],
        &["-H", "X: 1", "-H", "Accept:", "-H", "Y;", "-H", "Host: other"],
        &["-H", "Content-Type: application/json", "-d", "{}"],
        &["-u", "me:secret"],
        &["-e", "http://before/", "-b", "a=b"],
        &["-0"],
        &["-d", ""],
        &["-d", "@nosuch"],
        &[
            "-F",
            "a=b;c;type=x/y;z=1",
            "-F",
            "b=\"c;d\"",
            "-F",
            "f=@data",
            "-F",
            "g=@data;filename=x.html;type=text/html",
        ],
        &["-F", "a=<data", "--form-string", "b=@data"],
        &["-T", "data"],
    ] {
        agree(&server, &[&["-s"], words, &[ok.as_str()]].concat());
    }
    agree(&server, &["-sL", "-d", "a=b", &server.url("/redirect")]);
    agree(&server, &["-sL", "-X", "POST", "-d", "a=b", &server.url("/redirect")]);
    agree(&server, &["-s", &format!("http://me:a%40b@127.0.0.1:{}/ok", server.port)]);
}

#[test]
fn failures_have_curls_codes_and_words() {
    let server = Server::start();
    for path in ["/404", "/short", "/empty", "/chunked-short"] {
        agree(&server, &["-sSf", &server.url(path)]);
        agree(&server, &["-s", &server.url(path)]);
    }
    agree(&server, &["-sS", "--fail-with-body", &server.url("/404")]);
    agree(&server, &["-sSL", "--max-redirs", "3", &server.url("/round")]);
    let closed = format!("http://127.0.0.1:{}/", closed_port());
    for words in [
        &["-sS", closed.as_str()][..],
        &["-s", &closed],
        &["-sS", "http://nosuch.invalid/"],
        &["-sS", "xyz://a/"],
        &["-sS", "http://"],
        &["-sS", "http://127.0.0.1:99999/"],
        &["--nosuch", "x"],
        &["-m", "x", "y"],
        &["-d"],
        &["-s"],
        &["-s", "-F", "bad", "x"],
        &["-sS", "-T", "nosuch", "http://127.0.0.1/"],
    ] {
        agree(&server, words);
    }
    agree(&server, &["-sS", "-m", "1", &server.url("/slow")]);
    agree(&server, &["-sS", "-o", "no/x", &server.url("/ok")]);
    agree(&server, &["-sSO", &server.url("/")]);
}

#[test]
fn it_tells_what_it_does_as_curl() {
    let server = Server::start();
    for path in ["/ok", "/redirect", "/404", "/close", "/none", "/empty", "/short"] {
        agree(&server, &["-sv", &server.url(path)]);
        agree(&server, &["-svL", "-o", "x", &server.url(path)]);
        agree(&server, &["-svf", &server.url(path)]);
    }
    agree(&server, &["-sv", "-d", "a=b", &server.url("/ok")]);
    agree(&server, &["-svL", "-d", "a=b", &server.url("/redirect")]);
    agree(&server, &["-sv", "-u", "me:x", &server.url("/ok")]);
    agree(&server, &["-sv", &server.url("/ok"), &server.url("/ok")]);
    agree(&server, &["-sv", &format!("http://127.0.0.1:{}/", closed_port())]);
    agree(&server, &["-sv", "http://nosuch.invalid/"]);
    let port = server.port;
    let (entry, url) = (format!("web:{port}:127.0.0.1"), format!("http://web:{port}/ok"));
    agree(&server, &["-sv", "--resolve", &entry, &url]);
    let elsewhere = format!("web:80:127.0.0.1:{port}");
    // curl 7.88 tells of it by no name at all.
    agree(&server, &["-s", "--connect-to", &elsewhere, "http://web/ok", "http://web:80/none"]);
    agree(&server, &["-sv", "--connect-to", "web::nosuch.invalid:", "http://web/ok"]);
}

#[test]
fn a_transfer_can_be_asked_about() {
    let server = Server::start();
    let format = "%{http_code}|%{size_download}|%{url_effective}|%{num_redirects}|%{content_type}|\
                  %{remote_ip}|%{remote_port}|%{redirect_url}|%{method}|%{http_version}|%{exitcode}|\
                  %{errormsg}|%{scheme}|%{num_connects}|%{size_upload}|%{response_code}|%{urlnum}|\
                  %{filename_effective}|%{num_headers}|%{size_header}|%{nosuch}|%%|\\t\\n";
    for path in ["/ok", "/redirect", "/404", "/short"] {
        agree(&server, &["-s", "-w", format, &server.url(path)]);
        agree(&server, &["-sL", "-o", "x", "-w", format, &server.url(path)]);
    }
    agree(&server, &["-s", "-o", "/dev/null", "-w", "%{http_code}", &server.url("/ok")]);
    agree(&server, &["-s", "-w", "%{http_code}\\n", "http://nosuch.invalid/"]);
}

#[test]
fn without_silence_there_is_a_meter() {
    let server = Server::start();
    let told = |ran: &Ran| -> Vec<Vec<String>> {
        let lines = ran.stderr.split(['\r', '\n']);
        let words = lines.map(|line| line.split_whitespace().take(6).map(str::to_owned).collect());
        words.filter(|words: &Vec<String>| !words.is_empty()).collect()
    };
    let url = server.url("/ok");
    let mine = run(&[OURS, "curl"], &["-d", "a=b", &url], &directory(), "");
    let theirs = run(&[CURL], &["-d", "a=b", &url], &directory(), "");
    assert_eq!(told(&mine), told(&theirs));
}

#[test]
fn what_is_not_there_is_told_plainly() {
    let server = Server::start();
    let ran = ours(&["curl", "-sS", &server.url("/ok").replace("http:", "https:")]);
    let expect = "curl: (35) TLS connect error: there is no TLS outside of a Pod\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(35), expect));
    let ran = ours(&["curl", "--http2", "http://127.0.0.1/"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("curl: option --http2: the installed libcurl version doesn't"));
}

#[test]
fn it_tries_again_if_asked_to() {
    let url = format!("http://127.0.0.1:{}/", closed_port());
    let ran =
        ours(&["curl", "-sS", "--retry", "1", "--retry-connrefused", "--retry-delay", "1", &url]);
    assert_eq!(ran.code, Some(7));
    let expect = "Warning: Problem: connection refused. Will retry in 1 seconds. 1 retries left.\n";
    assert!(ran.stderr.starts_with(expect), "{}", ran.stderr);
}
