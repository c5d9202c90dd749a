//! nginx, and Apache's httpd by the same program: a server of files.

use std::sync::OnceLock;

use super::{BUSYBOX, BuiltIn, StandIn, directory, program, text};
use crate::node::images::store::Entry;

const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/nginx.wasm"));
const MIME_TYPES: &str = include_str!("mime.types");

const RUN: &[&str] = &["nginx", "-g", "daemon off;"];

pub(super) static NGINX: BuiltIn = BuiltIn {
    name: "nginx",
    stand_ins: &[
        StandIn::new("docker.io/library/nginx", &[], RUN),
        StandIn::new("registry.k8s.io/e2e-test-images/nginx", &[], RUN),
        StandIn::new("registry.k8s.io/nginx-slim", &[], RUN),
        StandIn::new("k8s.gcr.io/nginx-slim", &[], RUN),
    ],
    entries: nginx,
    base: Some(&BUSYBOX),
    path: "",
    working_dir: "/",
    exposed_ports: &[80],
    digest: OnceLock::new(),
};

pub(super) static HTTPD: BuiltIn = BuiltIn {
    name: "httpd",
    stand_ins: &[
        StandIn::new("docker.io/library/httpd", &[], &["httpd-foreground"]),
        StandIn::new("registry.k8s.io/e2e-test-images/httpd", &[], &["httpd-foreground"]),
    ],
    entries: httpd,
    base: Some(&BUSYBOX),
    path: "/usr/local/apache2/bin",
    working_dir: "/usr/local/apache2",
    exposed_ports: &[80],
    digest: OnceLock::new(),
};

fn nginx() -> Vec<Entry<'static>> {
    vec![
        directory("etc"),
        directory("etc/nginx"),
        directory("etc/nginx/conf.d"),
        directory("usr"),
        directory("usr/sbin"),
        directory("usr/share"),
        directory("usr/share/nginx"),
        directory("usr/share/nginx/html"),
        directory("var"),
        directory("var/cache"),
        directory("var/cache/nginx"),
        directory("var/log"),
        // The program takes the two logs here for the container's streams.
        directory("var/log/nginx"),
        text("etc/nginx/nginx.conf", include_str!("nginx.conf")),
        text("etc/nginx/mime.types", MIME_TYPES),
        text("etc/nginx/conf.d/default.conf", include_str!("default.conf")),
        text("usr/share/nginx/html/index.html", include_str!("index.html")),
        text("usr/share/nginx/html/50x.html", include_str!("50x.html")),
        program("usr/sbin/nginx", PROGRAM),
    ]
}

fn httpd() -> Vec<Entry<'static>> {
    vec![
        directory("usr"),
        directory("usr/local"),
        directory("usr/local/apache2"),
        directory("usr/local/apache2/bin"),
        directory("usr/local/apache2/conf"),
        directory("usr/local/apache2/htdocs"),
        text("usr/local/apache2/conf/sampan.conf", include_str!("httpd.conf")),
        text("usr/local/apache2/conf/mime.types", MIME_TYPES),
        text(
            "usr/local/apache2/htdocs/index.html",
            "<html><body><h1>It works!</h1></body></html>\n",
        ),
        program("usr/local/apache2/bin/httpd", PROGRAM),
        Entry::Symlink { path: "usr/local/apache2/bin/httpd-foreground", target: "httpd" },
    ]
}
