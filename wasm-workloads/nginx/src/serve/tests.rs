use std::fs;

use super::*;
use crate::config;

/// A site of files in a directory of its own, and a configuration with DIR for that.
struct Site {
    directory: String,
    config: Config,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What a test looks at.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    log: String,
    errors: Vec<String>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        let value = found.next().map_or("", |(_, value)| value);
        assert!(found.next().is_none(), "two of {name}");
        value
    }
}

const FILES: &[(&str, &str)] = &[
    ("www/index.html", "home"),
    ("www/a.txt", "0123456789"),
    ("www/50x.html", "sorry"),
    ("www/404.html", "lost"),
    ("www/docs/index.htm", "docs"),
    ("www/list/b & c.txt", "x"),
    ("www/list/d/e", "x"),
    ("www/app/index.html", "app"),
    ("www/pic.PNG", "png"),
    ("secret", "secret"),
    ("other/index.html", "other"),
    ("other/f.css", "css"),
];

const HTTP: &str = "types { text/html html htm; text/plain txt; image/png png; text/css css; }
    default_type application/octet-stream; error_log DIR/error.log;";

/// A site whose first server has this, listening on 80.
fn site(server: &str) -> Site {
    site_of(&format!("server {{ root DIR/www; index index.html index.htm; {server} }}"))
}

fn site_of(servers: &str) -> Site {
    let directory = crate::testing::directory();
    for (name, content) in FILES {
        let path = format!("{directory}/{name}");
        fs::create_dir_all(path.rsplit_once('/').unwrap().0).unwrap();
        fs::write(path, content).unwrap();
    }
    let text = format!("events {{}} http {{ {HTTP} {servers} }}").replace("DIR", &directory);
    let path = format!("{directory}/nginx.conf");
    fs::write(&path, text).unwrap();
    let config = config::read(&path, "daemon off;").unwrap_or_else(|fault| panic!("{fault}"));
    Site { directory, config }
}

fn get(target: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        target: target.to_owned(),
        authority: Some("example.com:30080".to_owned()),
        client: ("10.42.0.9".to_owned(), 4242),
        server: ("10.42.0.7".to_owned(), 80),
        at_ms: 784_111_777_250,
        ..Request::default()
    }
}

fn with(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    request
}

impl Site {
    fn get(&self, target: &str) -> Seen {
        self.ask(&get(target))
    }

    fn ask(&self, request: &Request) -> Seen {
        let mut visit = Visit::new(&self.config, request);
        let answer = visit.answer();
        self.seen(visit, answer)
    }

    fn seen(&self, mut visit: Visit<'_>, answer: Answer) -> Seen {
        let body = match &answer.body {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::File { file, offset, bytes } => file.read(*offset, *bytes).unwrap(),
            Body::None | Body::Unread(_) | Body::Close => Vec::new(),
            Body::Forward(forward) => format!("{forward:?}").into_bytes(),
        };
        visit.body_bytes = body.len() as u64;
        let settings = visit.settings.clone();
        let log = settings.access_logs.first();
        let log = log.map(|log| visit.log_value(&log.format.template, log.format.json));
        Seen {
            status: answer.status,
            headers: answer.headers,
            body: String::from_utf8(body).unwrap(),
            log: log.unwrap_or_default(),
            errors: visit.errors.iter().map(|line| line.replace(&self.directory, "DIR")).collect(),
        }
    }

    fn check(&self, target: &str, status: u16, body: &str) {
        let seen = self.get(target);
        assert_eq!((seen.status, seen.body.as_str()), (status, body), "{target}: {seen:?}");
    }
}

#[test]
fn files_and_indexes_are_served() {
    let site = site("");
    let seen = site.get("/");
    assert_eq!((seen.status, seen.body.as_str()), (200, "home"));
    assert_eq!(seen.header("content-type"), "text/html");
    assert_eq!(seen.header("content-length"), "4");
    assert_eq!(seen.header("server"), "nginx");
    assert_eq!(seen.header("accept-ranges"), "bytes");
    assert!(seen.header("etag").ends_with("-4\""), "{seen:?}");
    site.check("/docs/?x", 200, "docs");
    site.check("/a%2etxt", 200, "0123456789");
    assert_eq!(site.get("/pic.PNG").header("content-type"), "image/png");
    assert_eq!(site.get("/list/d/e").header("content-type"), "application/octet-stream");
}

#[test]
fn a_changed_file_is_seen_at_the_next_request() {
    let site = site("");
    site.check("/", 200, "home");
    site.check("/", 200, "home");
    for text in ["away", "again at home"] {
        fs::write(format!("{}/www/index.html", site.directory), text).unwrap();
        site.check("/", 200, text);
    }
    fs::remove_file(format!("{}/www/index.html", site.directory)).unwrap();
    assert_eq!(site.get("/").status, 403);
}

#[test]
fn large_files_are_not_kept() {
    let site = site("");
    let text = "x".repeat(100_000);
    fs::write(format!("{}/www/large", site.directory), &text).unwrap();
    site.check("/large", 200, &text);
    let seen = site.ask(&with(get("/large"), "range", "bytes=99990-"));
    assert_eq!((seen.status, seen.body.as_str()), (206, "xxxxxxxxxx"));
}

#[test]
fn parts_and_conditions_are_answered() {
    let site = site("");
    let etag = site.get("/a.txt").header("etag").to_owned();
    let seen = site.ask(&with(get("/a.txt"), "range", "bytes=2-4"));
    assert_eq!((seen.status, seen.body.as_str()), (206, "234"));
    assert_eq!(seen.header("content-range"), "bytes 2-4/10");
    assert_eq!(seen.header("content-length"), "3");
    let seen = site.ask(&with(get("/a.txt"), "range", "bytes=10-"));
    assert_eq!((seen.status, seen.header("content-range")), (416, "bytes */10"));
    let seen = site.ask(&with(get("/a.txt"), "if-none-match", &etag));
    assert_eq!((seen.status, seen.body.as_str()), (304, ""));
    assert_eq!((seen.header("etag"), seen.header("content-length")), (etag.as_str(), ""));
    assert_eq!(site.ask(&with(get("/a.txt"), "if-match", "\"x\"")).status, 412);
}

#[test]
fn head_has_the_headers_only() {
    let site = site("");
    let seen = site.ask(&Request { method: "HEAD".to_owned(), ..get("/a.txt") });
    assert_eq!((seen.status, seen.body.as_str()), (200, ""));
    assert_eq!(seen.header("content-length"), "10");
    let seen = site.ask(&Request { method: "HEAD".to_owned(), ..get("/none") });
    assert_eq!((seen.status, seen.body.as_str()), (404, ""));
    assert_ne!(seen.header("content-length"), "0");
}

#[test]
fn refusals_have_pages_and_lines_in_the_error_log() {
    let site = site("server_name localhost;");
    let seen = site.get("/none?x=1");
    assert_eq!(seen.status, 404);
    assert!(seen.body.contains("<h1>404 Not Found</h1>"), "{}", seen.body);
    assert_eq!(
        seen.errors,
        ["open() \"DIR/www/none\" failed (2: No such file or directory), client: 10.42.0.9, \
          server: localhost, request: \"GET /none?x=1 HTTP/1.1\", host: \"example.com:30080\""]
    );
    let seen = site.get("/list/");
    assert_eq!(seen.status, 403);
    assert!(seen.errors[0].starts_with("directory index of \"DIR/www/list/\" is forbidden"));
    assert_eq!(site.get("/none/").status, 404);
    assert_eq!(site.ask(&Request { method: "POST".to_owned(), ..get("/") }).status, 405);
    assert_eq!(site.get("/a.txt/b").status, 404);
}

#[test]
fn nothing_above_the_root_is_reached() {
    let site = site("location /files { alias DIR/other; }");
    for target in ["/../secret", "/%2e%2e/secret", "/docs/../../secret", "/..%2fsecret"] {
        assert_eq!(site.get(target).status, 400, "{target}");
    }
    site.check("/files/f.css", 200, "css");
    assert_eq!(site.get("/files../secret").status, 404);
}

#[test]
fn a_directory_is_redirected_to_its_slash() {
    let site = site("location /abs { absolute_redirect off; }");
    let seen = site.get("/docs?x=1");
    assert_eq!((seen.status, seen.header("location")), (301, "http://example.com/docs/?x=1"));
    fs::create_dir(format!("{}/www/abs", site.directory)).unwrap();
    assert_eq!(site.get("/abs").header("location"), "/abs/");
    let elsewhere = Request { server: ("10.42.0.7".to_owned(), 8080), ..get("/docs") };
    assert_eq!(site.ask(&elsewhere).header("location"), "http://example.com:8080/docs/");
}

#[test]
fn directories_are_listed() {
    let site = site("location /list { autoindex on; }");
    let seen = site.get("/list/");
    assert_eq!(seen.status, 200);
    let lines: Vec<&str> = seen.body.lines().collect();
    assert!(lines[3].contains("<a href=\"../\">../</a>"), "{lines:?}");
    assert!(lines[4].starts_with("<a href=\"d/\">d/</a> "), "{lines:?}");
    assert!(lines[4].ends_with(" -"), "{lines:?}");
    assert!(lines[5].starts_with("<a href=\"b%20&%20c.txt\">b &amp; c.txt</a> "), "{lines:?}");
    assert!(lines[5].ends_with(" 1"), "{lines:?}");
}

#[test]
fn locations_are_chosen_as_nginx_chooses_them() {
    let site = site(
        "location = / { return 200 exact; } location / { return 200 root; }
         location /img/ { return 200 prefix; } location ^~ /img/raw/ { return 200 final; }
         location ~ \\.gif$ { return 200 gif; } location ~* \\.(jpg|jpeg)$ { return 200 $1; }
         location /nest { return 200 nest; location /nest/in { return 200 inner; } }",
    );
    for (target, body) in [
        ("/", "exact"),
        ("/x", "root"),
        ("/img/a", "prefix"),
        ("/img/a.gif", "gif"),
        ("/img/a.GIF", "prefix"),
        ("/img/a.JPEG", "JPEG"),
        ("/img/raw/a.gif", "final"),
        ("/nest/a", "nest"),
        ("/nest/in/a", "inner"),
    ] {
        site.check(target, 200, body);
    }
}

#[test]
fn servers_are_chosen_by_port_and_name() {
    let site = site_of(
        "server { listen 80; server_name a.com; return 200 a; }
         server { listen 80 default_server; server_name _; return 200 default; }
         server { listen 80; server_name *.b.com .c.com; return 200 star; }
         server { listen 80; server_name www.d.*; return 200 tail; }
         server { listen 80; server_name ~^e[0-9]+[.]com$; return 200 expression; }
         server { listen 8080; return 200 other$server_port; }",
    );
    for (host, body) in [
        ("a.com", "a"),
        ("A.com:80", "a"),
        ("x.com", "default"),
        ("x.b.com", "star"),
        ("b.com", "default"),
        ("c.com", "star"),
        ("www.d.org", "tail"),
        ("e12.com", "expression"),
    ] {
        let seen = site.ask(&Request { authority: Some(host.to_owned()), ..get("/") });
        assert_eq!(seen.body, body, "{host}");
    }
    let seen = site.ask(&Request { server: (String::new(), 8080), ..get("/") });
    assert_eq!(seen.body, "other8080");
    assert_eq!(site.config.ports(), [80, 8080]);
}

#[test]
fn files_are_tried_in_turn() {
    let site = site(
        "location / { try_files $uri $uri/ /app/index.html; }
         location /strict { try_files $uri =404; }
         location /named { try_files $uri @fallback; }
         location @fallback { return 200 \"fallback $uri\"; }",
    );
    site.check("/a.txt", 200, "0123456789");
    site.check("/docs", 200, "docs");
    site.check("/some/route", 200, "app");
    assert_eq!(site.get("/strict/x").status, 404);
    site.check("/named/x?y", 200, "fallback /named/x");
}

#[test]
fn errors_have_the_pages_they_were_given() {
    let site = site(
        "error_page 404 /404.html; error_page 403 =200 /a.txt; error_page 405 https://example.com/no;
         error_page 410 /gone.html; error_page 500 502 /50x.html; error_page 418 @tea;
         location = /404.html { internal; }
         location = /gone { return 410; }
         location = /broken { return 500; }
         location = /tea { return 418; }
         location @tea { return 200 tea; }",
    );
    site.check("/none", 404, "lost");
    site.check("/404.html", 404, "lost");
    site.check("/list/", 200, "0123456789");
    site.check("/broken", 500, "sorry");
    site.check("/tea", 418, "tea");
    let seen = site.ask(&Request { method: "POST".to_owned(), ..get("/") });
    assert_eq!((seen.status, seen.header("location")), (302, "https://example.com/no"));
    // The page is not there either.
    let seen = site.get("/gone");
    assert_eq!(seen.status, 404);
    assert!(seen.body.contains("404 Not Found"));
}

#[test]
fn rules_answer_and_redirect() {
    let site = site(
        "location /text { default_type text/plain; return 200 \"$request_method $arg_a $host\\n\"; }
         location /moved { return 301 /docs/$is_args$args; }
         location /away { return 302 https://$host$request_uri; }
         location /none { return 204; }
         location /close { return 444; }
         location /teapot { return 418 short; }",
    );
    let seen = site.get("/text?b=1&a=2");
    assert_eq!(
        (seen.body.as_str(), seen.header("content-type")),
        ("GET 2 example.com\n", "text/plain")
    );
    assert_eq!(site.get("/moved?x").header("location"), "http://example.com/docs/?x");
    assert_eq!(site.get("/away?x").header("location"), "https://example.com/away?x");
    let seen = site.get("/none");
    assert_eq!((seen.status, seen.header("content-length")), (204, ""));
    assert_eq!(site.get("/teapot").status, 418);
    assert!(matches!(Visit::new(&site.config, &get("/close")).answer().body, Body::Close));
}

#[test]
fn headers_are_added() {
    let site = site(
        "add_header X-A \"$uri\"; add_header X-B b always; charset utf-8;
         location /docs/ { expires 1h; add_header X-C c; }",
    );
    let seen = site.get("/a.txt");
    assert_eq!((seen.header("x-a"), seen.header("x-b")), ("/a.txt", "b"));
    assert_eq!(seen.header("content-type"), "text/plain; charset=utf-8");
    let seen = site.get("/none");
    assert_eq!((seen.header("x-a"), seen.header("x-b")), ("", "b"));
    let seen = site.get("/docs/");
    assert_eq!((seen.header("x-a"), seen.header("x-c")), ("", "c"));
    assert_eq!(seen.header("cache-control"), "max-age=3600");
    assert_eq!(seen.header("expires"), "Sun, 06 Nov 1994 09:49:37 GMT");
}

#[test]
fn requests_are_logged_as_nginx_logs_them() {
    let site = site("");
    let request = with(get("/a.txt"), "user-agent", "curl/8 \"x\"");
    assert_eq!(
        site.ask(&request).log,
        "10.42.0.9 - - [06/Nov/1994:08:49:37 +0000] \"GET /a.txt HTTP/1.1\" 200 10 \"-\" \"curl/8 \\x22x\\x22\""
    );
    let site = site_of(
        "log_format j escape=json '{\"s\":$status,\"u\":\"$request_uri\",\"c\":\"$cookie_id\"}';
         server { access_log DIR/log j; root DIR/www; location /quiet { access_log off; } }",
    );
    let request = with(get("/none?\"x"), "cookie", "a=1; id=\"7");
    assert_eq!(site.ask(&request).log, "{\"s\":404,\"u\":\"/none?\\\"x\",\"c\":\"\\\"7\"}");
    assert_eq!(site.get("/quiet").log, "");
}

#[test]
fn bodies_are_bounded() {
    let site = site("client_max_body_size 1k; location / { proxy_pass http://b; }");
    let post = Request { method: "POST".to_owned(), ..get("/") };
    assert_eq!(site.ask(&with(post.clone(), "content-length", "1025")).status, 413);
    assert_eq!(site.ask(&with(post, "content-length", "1024")).status, 200);
}

#[test]
fn a_loop_of_redirects_ends() {
    let site = site("location / { try_files $uri /x; }");
    let seen = site.get("/y");
    assert_eq!(seen.status, 500);
    assert!(seen.errors[0].starts_with("rewrite or internal redirection cycle"), "{seen:?}");
}

/// What would be asked of another server.
fn forward(site: &Site, request: &Request) -> Forward {
    match Visit::new(&site.config, request).answer().body {
        Body::Forward(forward) => *forward,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_are_passed_on() {
    let site = site_of(
        "upstream pool { server a:81; server b:82; }
         server {
            location /api/ { proxy_pass http://back:8080/v1/; }
            location /raw/ { proxy_pass http://back:8080; }
            location /pool { proxy_pass http://pool; }
            location /head {
                proxy_pass https://back;
                proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_set_header Accept-Encoding \"\"; proxy_set_header Connection \"\";
            }
            location / { proxy_pass http://$host:1$request_uri; }
         }",
    );
    let it = forward(&site, &get("/api/a%20b/../c?x=1"));
    assert_eq!((it.authority.as_str(), it.target.as_str()), ("back:8080", "/v1/c?x=1"));
    assert_eq!(it.redirect, Some(("http://back:8080/v1/".to_owned(), "/api/".to_owned())));
    let it = forward(&site, &get("/raw//a%20b?x"));
    assert_eq!((it.target.as_str(), it.host.as_str()), ("/raw//a%20b?x", "back:8080"));
    let hosts: Vec<String> = (0..3).map(|_| forward(&site, &get("/pool")).authority).collect();
    assert!(hosts[0] == hosts[2] && hosts[0] != hosts[1], "{hosts:?}");
    let request = with(with(get("/head"), "accept-encoding", "gzip"), "x-forwarded-for", "1.2.3.4");
    let it = forward(&site, &with(with(request, "connection", "close"), "x-kept", "1"));
    assert!(it.tls);
    assert_eq!(it.host, "example.com");
    let headers: Vec<_> = it
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap()))
        .collect();
    assert_eq!(
        headers,
        [("x-kept", "1"), ("x-real-ip", "10.42.0.9"), ("x-forwarded-for", "1.2.3.4, 10.42.0.9")]
    );
    assert_eq!(forward(&site, &get("/other?q")).url(), "http://example.com:1/other?q");
}

#[test]
fn a_failed_upstream_has_its_page() {
    let site = site("error_page 502 /50x.html; location /api { proxy_pass http://back; }");
    let request = get("/api");
    let mut visit = Visit::new(&site.config, &request);
    assert!(matches!(visit.answer().body, Body::Forward(_)));
    let answer = visit.fail(502);
    let seen = site.seen(visit, answer);
    assert_eq!((seen.status, seen.body.as_str()), (502, "sorry"));
}
