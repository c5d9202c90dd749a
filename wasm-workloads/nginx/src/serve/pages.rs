//! The pages of errors and redirects.

use super::{Answer, Body};

/// The phrases of statuses that have a page.
const PHRASES: &[(u16, &str)] = &[
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (400, "Bad Request"),
    (401, "Authorization Required"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Not Allowed"),
    (406, "Not Acceptable"),
    (408, "Request Time-out"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Request Entity Too Large"),
    (414, "Request-URI Too Large"),
    (415, "Unsupported Media Type"),
    (416, "Requested Range Not Satisfiable"),
    (421, "Misdirected Request"),
    (429, "Too Many Requests"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Temporarily Unavailable"),
    (504, "Gateway Time-out"),
    (505, "HTTP Version Not Supported"),
    (507, "Insufficient Storage"),
];

/// A status with its page; a status without one has an empty body.
pub(super) fn answer(status: u16) -> Answer {
    let phrase = PHRASES.iter().find(|(other, _)| *other == status);
    let Some((_, phrase)) = phrase else {
        return Answer { status, headers: Vec::new(), body: Body::Bytes(std::rc::Rc::default()) };
    };
    let page = format!(
        "<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {phrase}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    Answer {
        status,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: Body::Bytes(page.into_bytes().into()),
    }
}
