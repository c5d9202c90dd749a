use std::fs;

use super::*;

/// Reads a configuration whose text is this; FILE in the answer is its path.
fn faults(text: &str) -> String {
    let directory = tempfile();
    let path = format!("{directory}/nginx.conf");
    fs::write(&path, text).unwrap();
    let answer = read(&path, "").map_or_else(|fault| fault.to_string(), |_| "none".to_owned());
    fs::remove_dir_all(&directory).unwrap();
    answer.replace(&path, "FILE")
}

fn tempfile() -> String {
    crate::testing::directory()
}

fn check(text: &str, expect: &str) {
    assert_eq!(faults(text), expect, "{text}");
}

fn in_server(text: &str) -> String {
    format!("events {{}}\nhttp {{ server {{\n{text}\n}} }}\n")
}

#[test]
fn the_usual_is_understood() {
    let text = r#"
user  nginx;
worker_processes  1;
error_log  /var/log/nginx/error.log warn;
pid        /var/run/nginx.pid;
events {
    worker_connections  1024;   # many
}
http {
    types { text/html html htm; image/svg+xml svg; }
    default_type  application/octet-stream;
    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';
    access_log  /var/log/nginx/access.log  main;
    sendfile        on;
    #tcp_nopush     on;
    keepalive_timeout  65;
    gzip on;
    server {
        listen       80 default_server;
        listen [::]:80;
        server_name  localhost;
        location / { root /usr/share/nginx/html; index index.html index.htm; }
        error_page   500 502 503 504  /50x.html;
        location = /50x.html { root   /usr/share/nginx/html; }
        location ~* \.(png|jpe?g)$ { expires 30d; }
        location ^~ /static/ { alias /srv/; location /static/deep { autoindex on; } }
        location /api/ { proxy_pass http://backend:8080/v1/; proxy_set_header Host $host; }
        location /app { try_files $uri $uri/ /index.html; }
        location @other { return 302 https://example.com$request_uri; }
    }
}
"#;
    check(text, "none");
}

#[test]
fn faults_are_worded_as_nginx_words_them() {
    check("events {}\nhttp {\n  serve {}\n}\n", "unknown directive \"serve\" in FILE:3");
    check(&in_server("\nlisten 80"), "unexpected \"}\" in FILE:5");
    check(&in_server("listen 80; }"), "unexpected \"}\" in FILE:4");
    check("events {\n", "unexpected end of file, expecting \"}\" in FILE:2");
    check("events {}\nuser nginx", "unexpected end of file, expecting \";\" or \"}\" in FILE:2");
    check("http {}\n", "no \"events\" section in configuration");
    check(";", "unexpected \";\" in FILE:1");
    check(&in_server("root /a;\nroot /b;"), "\"root\" directive is duplicate in FILE:4");
    check(&in_server("root /a /b;"), "invalid number of arguments in \"root\" directive in FILE:3");
    check(
        &in_server("autoindex yes;"),
        "invalid value \"yes\" in \"autoindex\" directive, it must be \"on\" or \"off\" in FILE:3",
    );
    check(
        &in_server("server_name a;\nproxy_pass http://b;"),
        "\"proxy_pass\" directive is not allowed here in FILE:4",
    );
    check(&in_server("listen 80 fast;"), "invalid parameter \"fast\" in FILE:3");
    check(&in_server("listen 0;"), "invalid port in \"0\" of the \"listen\" directive in FILE:3");
    check(&in_server("return 200 $nothing;"), "unknown \"nothing\" variable in FILE:3");
    check(&in_server("location /a {}\nlocation /a {}"), "duplicate location \"/a\" in FILE:4");
    check(&in_server("location / { proxy_pass b; }"), "invalid URL prefix in FILE:3");
    check(&in_server("access_log /x main;"), "unknown log format \"main\" in FILE:3");
    let absent = faults(&in_server("include absent.conf;"));
    assert!(absent.starts_with("open() \"/"), "{absent}");
    assert!(
        absent.ends_with("/absent.conf\" failed (2: No such file or directory) in FILE:3"),
        "{absent}"
    );
}

#[test]
fn what_is_not_supported_says_so() {
    let refused = |text: &str, word: &str| {
        let fault = faults(&in_server(text));
        assert!(fault.contains(word), "{text}: {fault}");
    };
    refused("listen 443 ssl;", "TLS ends before");
    refused("listen 127.0.0.1:80;", "listening on one address");
    refused(r"location ~ /\d+ {}", "not Perl's");
    refused("if ($uri) {}", "unknown directive \"if\"");
    refused("access_log syslog:server=x;", "not supported");
}

#[test]
fn expressions_that_posix_knows_are_taken() {
    check(&in_server(r"location ~ \.(gif|jpg)$ {} location ~ '^/a\/b-[0-9]{2}$' {}"), "none");
}

#[test]
fn inclusion_takes_names_with_stars_in_order() {
    let directory = tempfile();
    fs::create_dir(format!("{directory}/conf.d")).unwrap();
    for (name, port) in [("b.conf", 81), ("a.conf", 80), ("c.txt", 82), (".x.conf", 83)] {
        let text = format!("server {{ listen {port}; }}");
        fs::write(format!("{directory}/conf.d/{name}"), text).unwrap();
    }
    let path = format!("{directory}/nginx.conf");
    fs::write(&path, "events {} http { include conf.d/*.conf; }").unwrap();
    let config = read(&path, "").unwrap();
    let ports: Vec<u16> = config.servers.iter().map(|server| server.listens[0].port).collect();
    assert_eq!(ports, [80, 81]);
    fs::write(&path, "include nginx.conf;").unwrap();
    assert!(read(&path, "").unwrap_err().to_string().contains("include one another"));
    fs::remove_dir_all(&directory).unwrap();
}
