//! Files: an index, a listing, a file's bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::conditional::{Verdict, Version, verdict};
use super::{Answer, Body, Step, Visit, autoindex, pages};
use crate::config::Expires;
use crate::date;
use crate::files::{self, Failure, Kind, Stat};
use crate::request::escaped;

/// Bound: a file that is kept in memory; larger ones are read as they are sent.
const KEPT_BYTES_MAX: u64 = 64 << 10;
/// Bound: files kept, so 4 MiB at most. When there are more, all are let go.
const KEPT_FILES_MAX: usize = 64;
/// A file that was changed so shortly before it was read may change again without its time telling.
const SETTLED_MS: u64 = 50;

/// A small file as it was read: good for as long as its state stays the same.
#[derive(Clone)]
struct Kept {
    stat: Stat,
    bytes: Rc<[u8]>,
}

thread_local! {
    static KEPT: RefCell<HashMap<String, Kept>> = RefCell::default();
}

impl Visit<'_> {
    /// The file of the present uri.
    pub(super) fn content(&mut self) -> Step {
        if !self.is_get && !matches!(self.request.method.as_str(), "GET" | "HEAD") {
            return Step::Fail(405);
        }
        let path = self.path_of(&self.uri);
        if self.uri.ends_with('/') { self.index(&path) } else { self.file(path) }
    }

    /// Where a uri lies.
    pub(super) fn path_of(&self, uri: &str) -> String {
        let root = self.value(&self.settings.root);
        match self.settings.alias {
            0 => format!("{}{uri}", root.strip_suffix('/').unwrap_or(&root)),
            length => format!("{root}{}", uri.get(length..).unwrap_or_default()),
        }
    }

    /// What lies at a path; what was looked at last is not looked at again.
    pub(super) fn stat(&mut self, path: &str) -> Result<Stat, Failure> {
        if let Some((known, stat)) = &self.known
            && known == path
        {
            return Ok(*stat);
        }
        // `location /a { alias /b/; }` makes `/b/../c` of `/a../c`.
        if path.split('/').any(|part| part == "..") {
            return Err(Failure::NotFound);
        }
        let stat = files::stat(path)?;
        self.known = Some((path.to_owned(), stat));
        Ok(stat)
    }

    fn index(&mut self, path: &str) -> Step {
        let settings = self.settings.clone();
        for name in &settings.index {
            if name.starts_with('/') {
                let name = name.clone();
                self.go_on_to(name);
                return Step::Again;
            }
            match self.stat(&format!("{path}{name}")) {
                Ok(stat) if stat.kind != Kind::Directory => {
                    self.go_on_to(format!("{}{name}", self.uri));
                    return Step::Again;
                }
                Err(Failure::Denied) => {
                    return self.failed(&format!("{path}{name}"), Failure::Denied);
                }
                _ => {}
            }
        }
        match files::list(path) {
            Ok(entries) if settings.autoindex => {
                let page = autoindex::page(&self.uri, entries);
                Step::Answer(Answer {
                    status: 200,
                    headers: vec![("content-type".to_owned(), self.with_charset("text/html"))],
                    body: Body::Bytes(page.into_bytes().into()),
                })
            }
            Ok(_) => {
                self.log(format!("directory index of \"{path}\" is forbidden"));
                Step::Fail(403)
            }
            Err(failure) => self.failed(path, failure),
        }
    }

    /// An index: the query stays.
    fn go_on_to(&mut self, uri: String) {
        self.uris += 1;
        self.internal = true;
        self.uri = uri;
    }

    fn failed(&mut self, path: &str, failure: Failure) -> Step {
        let is_missing = failure.status() == 404;
        if self.settings.log_not_found || !is_missing {
            self.log(format!("open() \"{path}\" failed ({})", failure.numbered()));
        }
        Step::Fail(failure.status())
    }

    fn file(&mut self, path: String) -> Step {
        let stat = match self.stat(&path) {
            Ok(stat) => stat,
            Err(failure) => return self.failed(&path, failure),
        };
        match stat.kind {
            Kind::Directory => self.to_directory(),
            Kind::Other => {
                self.log(format!("\"{path}\" is not a regular file"));
                Step::Fail(404)
            }
            Kind::File => self.regular(&path, &stat),
        }
    }

    fn to_directory(&self) -> Step {
        let query = if self.args.is_empty() { "" } else { "?" };
        let to = format!("{}/{query}{}", escaped(&self.uri), self.args);
        let mut answer = pages::answer(301);
        answer.headers.push(("location".to_owned(), self.absolute(&to)));
        Step::Answer(answer)
    }

    /// A redirect's target with scheme and host. The port is the Pod's, as nginx has it: whoever
    /// comes through another one says `absolute_redirect off`.
    pub(super) fn absolute(&self, to: &str) -> String {
        if !to.starts_with('/') || !self.settings.absolute_redirect {
            return to.to_owned();
        }
        let scheme = if self.request.tls { "https" } else { "http" };
        let usual = if self.request.tls { 443 } else { 80 };
        let port = match self.request.server.1 {
            port if port != usual && self.settings.port_in_redirect => format!(":{port}"),
            _ => String::new(),
        };
        format!("{scheme}://{}{port}{to}", self.host())
    }

    fn regular(&mut self, path: &str, stat: &Stat) -> Step {
        let etag =
            self.settings.etag.then(|| format!("\"{:x}-{:x}\"", stat.modified.0, stat.bytes));
        let version =
            Version { etag: etag.as_deref(), modified: stat.modified.0, bytes: stat.bytes };
        // An error's page is the answer whatever the client has.
        let verdict = match self.error {
            None | Some(200) => verdict(self.request, &version),
            Some(_) => Verdict::Whole,
        };
        let (status, offset, bytes) = match verdict {
            Verdict::Whole => (200, 0, stat.bytes),
            Verdict::Part(offset, bytes) => (206, offset, bytes),
            Verdict::NotModified => (304, 0, 0),
            Verdict::PreconditionFailed => return Step::Fail(412),
            Verdict::Unsatisfiable => return self.unsatisfiable(stat.bytes),
        };
        let mut headers = Vec::with_capacity(8);
        let mut header = |name: &str, value: String| headers.push((name.to_owned(), value));
        if status != 304 {
            header("content-type", self.content_type(&self.uri));
        }
        header("last-modified", date::http(stat.modified.0));
        etag.into_iter().for_each(|etag| header("etag", etag));
        match status {
            200 => header("accept-ranges", "bytes".to_owned()),
            206 => {
                let last = offset + bytes - 1;
                header("content-range", format!("bytes {offset}-{last}/{}", stat.bytes));
            }
            _ => {}
        }
        match self.bytes(path, stat, offset, bytes, status) {
            Ok(body) => Step::Answer(Answer { status, headers, body }),
            Err(failure) => self.failed(path, failure),
        }
    }

    fn unsatisfiable(&mut self, bytes: u64) -> Step {
        let mut answer = pages::answer(416);
        answer.headers.push(("content-range".to_owned(), format!("bytes */{bytes}")));
        Step::Answer(answer)
    }

    fn bytes(
        &self,
        path: &str,
        stat: &Stat,
        offset: u64,
        bytes: u64,
        status: u16,
    ) -> Result<Body, Failure> {
        if status == 304 || self.request.method == "HEAD" {
            return Ok(Body::Unread(bytes));
        }
        if stat.bytes > KEPT_BYTES_MAX {
            return Ok(Body::File { file: files::open(path)?, offset, bytes });
        }
        let whole = self.kept(path, stat)?;
        if bytes == whole.len() as u64 {
            return Ok(Body::Bytes(whole));
        }
        // It became shorter since it was looked at: what is left of it.
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
        let end = usize::try_from(offset + bytes).unwrap_or(usize::MAX).min(whole.len());
        Ok(Body::Bytes(whole[start..end].into()))
    }

    fn kept(&self, path: &str, stat: &Stat) -> Result<Rc<[u8]>, Failure> {
        KEPT.with_borrow_mut(|kept| {
            if let Some(known) = kept.get(path).filter(|known| known.stat == *stat) {
                return Ok(known.bytes.clone());
            }
            let bytes: Rc<[u8]> = files::open(path)?.read(0, KEPT_BYTES_MAX)?.into();
            let modified_ms = stat.modified.0 * 1000 + u64::from(stat.modified.1) / 1_000_000;
            if bytes.len() as u64 == stat.bytes && modified_ms + SETTLED_MS < self.request.at_ms {
                if kept.len() == KEPT_FILES_MAX {
                    kept.clear();
                }
                kept.insert(path.to_owned(), Kept { stat: *stat, bytes: bytes.clone() });
            }
            Ok(bytes)
        })
    }

    pub(super) fn content_type(&self, uri: &str) -> String {
        let name = uri.rsplit('/').next().unwrap_or_default();
        let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
        let known = end.and_then(|end| self.settings.types.get(&end));
        self.with_charset(known.unwrap_or(&self.settings.default_type))
    }

    fn with_charset(&self, kind: &str) -> String {
        const TEXTS: &[&str] = &[
            "text/html",
            "text/xml",
            "text/plain",
            "text/vnd.wap.wml",
            "application/javascript",
            "application/rss+xml",
        ];
        match &self.settings.charset {
            Some(charset) if TEXTS.contains(&kind) => format!("{kind}; charset={charset}"),
            _ => kind.to_owned(),
        }
    }
}

/// `Expires` and `Cache-Control`.
pub(super) fn expire(headers: &mut Vec<(String, String)>, expires: Expires, now: u64) {
    let (date, control) = match expires {
        Expires::Epoch => (1, "no-cache".to_owned()),
        Expires::Max => (2_145_916_555, "max-age=315360000".to_owned()),
        Expires::Seconds(seconds) => {
            let control =
                if seconds < 0 { "no-cache".to_owned() } else { format!("max-age={seconds}") };
            (now.saturating_add_signed(seconds), control)
        }
    };
    headers.push(("expires".to_owned(), date::http(date)));
    headers.push(("cache-control".to_owned(), control));
}
