//! `test-webserver`: the container's files.

use std::fs;
use std::path::Path;

use crate::server::{Answer, Reply, Request, Server, decoded};
use crate::{Done, Flags};

/// Bound: a file that is served; it is read as a whole.
const FILE_BYTES_MAX: u64 = 64 << 20;

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags = Flags::parse(arguments, &[("port", "", "80")])?;
    let port = flags.port("port")?.ok_or("--port: invalid port")?;
    let mut server = Server::default();
    server.http(port, |request| Answer::Reply(answer(request, Path::new("/"))))?;
    server.run()
}

fn answer(request: &Request, root: &Path) -> Reply {
    let path = decoded(&request.path().replace('+', "%2B"));
    let mut reply = if path.split('/').any(|part| part == "..") {
        Reply::error(400, "invalid URL path")
    } else {
        file(&root.join(path.trim_start_matches('/')), &path)
    };
    reply.headers.extend([
        ("Cache-Control", "private".to_owned()),
        ("Access-Control-Allow-Origin", "*".to_owned()),
        ("Access-Control-Allow-Credentials", "true".to_owned()),
        ("Access-Control-Allow-Methods", "GET, POST, OPTIONS".to_owned()),
    ]);
    reply
}

fn file(file: &Path, path: &str) -> Reply {
    let Ok(metadata) = fs::metadata(file) else { return Reply::error(404, "404 page not found") };
    if metadata.is_dir() {
        if !path.ends_with('/') {
            let name = path.rsplit('/').next().unwrap_or_default();
            return Reply {
                status: 301,
                headers: vec![("Location", format!("{name}/"))],
                body: Vec::new(),
            };
        }
        let index = file.join("index.html");
        return if index.is_file() { read(&index) } else { list(file) };
    }
    if metadata.len() > FILE_BYTES_MAX {
        Reply::error(500, "the file is too large")
    } else {
        read(file)
    }
}

fn read(file: &Path) -> Reply {
    let Ok(content) = fs::read(file) else { return Reply::error(500, "500 Internal Server Error") };
    let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
    let kind = match end {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ if str::from_utf8(&content).is_ok() => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    Reply { status: 200, headers: vec![("Content-Type", kind.to_owned())], body: content }
}

fn list(directory: &Path) -> Reply {
    let Ok(entries) = fs::read_dir(directory) else {
        return Reply::error(500, "Error reading directory");
    };
    let named = entries.filter_map(Result::ok).map(|entry| {
        let slash = if entry.path().is_dir() { "/" } else { "" };
        format!("{}{slash}", entry.file_name().to_string_lossy())
    });
    let mut names: Vec<String> = named.collect();
    names.sort_unstable();
    let mut page =
        "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n"
            .to_owned();
    for name in names {
        let shown = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let href =
            name.replace('%', "%25").replace('"', "%22").replace('?', "%3F").replace('#', "%23");
        page.push_str(&format!("<a href=\"{href}\">{shown}</a>\n"));
    }
    page.push_str("</pre>\n");
    let kind = ("Content-Type", "text/html; charset=utf-8".to_owned());
    Reply { status: 200, headers: vec![kind], body: page.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_served() {
        let root = std::env::temp_dir().join(format!("sampan-webserver-{}", std::process::id()));
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a/b c.txt"), "text").unwrap();
        let get = |target: &str| {
            let request = Request {
                method: "GET".to_owned(),
                target: target.to_owned(),
                peer: "10.42.0.9:1".parse().unwrap(),
                headers: Vec::new(),
                body: Vec::new(),
                keep: true,
            };
            let reply = answer(&request, &root);
            (reply.status, String::from_utf8(reply.body).unwrap())
        };
        assert_eq!(get("/a/b%20c.txt?x"), (200, "text".to_owned()));
        assert_eq!(get("/a").0, 301);
        assert!(get("/a/").1.contains("<a href=\"b c.txt\">b c.txt</a>"));
        assert_eq!(get("/none").0, 404);
        assert_eq!(get("/a/../../etc/passwd").0, 400);
        fs::remove_dir_all(&root).unwrap();
    }
}
