//! A document that does not change while the server runs, encoded once: discovery, OpenAPI.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

/// An encoded document and the validator of its content.
#[derive(Debug, Clone)]
pub(super) struct Document {
    content_type: &'static str,
    body: Bytes,
    /// In upper-case hex.
    hash: String,
}

impl Document {
    pub(super) fn new(content_type: &'static str, body: Vec<u8>) -> Self {
        let hash = Sha256::digest(&body).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { content_type, body: body.into(), hash }
    }

    /// Identifies the content, also in URLs.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// 200 with the document, or 304 if the client has it already.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response<Bytes> {
        let etag = format!("\"{}\"", self.hash);
        let known = request.get_all(IF_NONE_MATCH).iter().any(|tags| has(tags, &etag));
        let mut response = Response::new(if known { Bytes::new() } else { self.body.clone() });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            headers.insert(ETAG, etag);
        }
        response
    }
}

/// RFC 9110, 13.1.2: a list of tags, weak ones included, or `*`.
fn has(tags: &HeaderValue, etag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.trim_start_matches("W/")).any(|tag| tag == etag || tag == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(if_none_match: &str, expect: StatusCode) {
        let document = Document::new("text/plain", b"x".to_vec());
        let tags = if_none_match.replace("HASH", document.hash());
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, tags.parse().expect("a header value"));
        let answer = document.answer(&request);
        assert_eq!(answer.status(), expect, "{if_none_match}");
        assert_eq!(answer.headers()[ETAG], format!("\"{}\"", document.hash()));
        assert_eq!(answer.headers()[VARY], "Accept");
        assert_eq!(answer.body().is_empty(), expect == StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn a_known_tag_needs_no_body() {
        check("\"HASH\"", StatusCode::NOT_MODIFIED);
        check("\"other\", W/\"HASH\"", StatusCode::NOT_MODIFIED);
        check("*", StatusCode::NOT_MODIFIED);
        check("\"other\"", StatusCode::OK);
        check("HASH", StatusCode::OK);
    }
}
