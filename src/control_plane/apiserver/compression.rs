//! Large answers go out compressed to clients that take gzip.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go`.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, header};

use super::body::Body;

/// Smaller answers cost more to compress than to send; upstream's number.
const COMPRESSED_BYTES_MIN: usize = 128 * 1024;

pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|list| {
        list.split(',').any(|one| one.split(';').next().unwrap_or_default().trim() == "gzip")
    })
}

/// The same answer, compressed if that pays. Streams are left alone: their events must not wait.
pub(super) fn compressed(mut response: Response<Body>) -> Response<Body> {
    let Body::Ready(chunks) = response.body() else { return response };
    let size: usize = chunks.iter().map(Bytes::len).sum();
    if size < COMPRESSED_BYTES_MIN || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    // Writing to memory does not fail; if it did, the plain answer is still right.
    let Ok(packed) = gzip(chunks.iter()) else { return response };
    *response.body_mut() = packed.into();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

fn gzip<'a>(chunks: impl Iterator<Item = &'a Bytes>) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for chunk in chunks {
        encoder.write_all(chunk)?;
    }
    encoder.finish()
}
