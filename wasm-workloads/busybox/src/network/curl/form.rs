//! `-F` and `-T`: forms with files (RFC 7578), and files themselves.

use std::hash::{BuildHasher, RandomState};

use super::data::read;
use crate::call::Call;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    content: Vec<u8>,
}

/// Kinds of content by the end of a file's name, as curl knows them.
const CONTENT_TYPES: &[(&str, &str)] = &[
    (".gif", "image/gif"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain"),
    (".htm", "text/html"),
    (".html", "text/html"),
    (".pdf", "application/pdf"),
    (".xml", "application/xml"),
];

/// `name=content`, `name=@file` (sent as a file) or `name=<file` (its content), then perhaps `;type=` and
/// `;filename=`.
pub fn field(form: &mut Vec<Part>, call: &Call, text: &str) -> Result<(), String> {
    let (name, value) = split(text)?;
    let mut pieces = value.split(';');
    let first = pieces.next().unwrap_or_default();
    let (mut content_type, mut file_name, mut rest) = (None, None, String::new());
    for piece in pieces {
        match piece.trim_start().split_once('=') {
            Some(("type", given)) => content_type = Some(given.to_owned()),
            Some(("filename", given)) => file_name = Some(given.trim_matches('"').to_owned()),
            // What is no setting belongs to the content.
            _ => rest += &format!(";{piece}"),
        }
    }
    let of_file = |file: &str| read(call, file).map_err(|why| format!("{file}: {why}"));
    let content = match (first.strip_prefix('@'), first.strip_prefix('<')) {
        (Some(file), _) => {
            let last = file.rsplit('/').next().unwrap_or(file);
            file_name.get_or_insert_with(|| last.to_owned());
            content_type.get_or_insert_with(|| kind(last).to_owned());
            of_file(file)?
        }
        (None, Some(file)) => of_file(file)?,
        (None, None) => (first.to_owned() + &rest).into_bytes(),
    };
    form.push(Part { name: name.to_owned(), file_name, content_type, content });
    Ok(())
}

/// `--form-string`: nothing in it means anything.
pub fn string(form: &mut Vec<Part>, text: &str) -> Result<(), String> {
    let (name, value) = split(text)?;
    let content = value.as_bytes().to_vec();
    form.push(Part { name: name.to_owned(), file_name: None, content_type: None, content });
    Ok(())
}

fn split(text: &str) -> Result<(&str, &str), String> {
    text.split_once('=').ok_or_else(|| "is badly used here".to_owned())
}

fn kind(file_name: &str) -> &'static str {
    let name = file_name.to_ascii_lowercase();
    let known = CONTENT_TYPES.iter().find(|(end, _)| name.ends_with(end));
    known.map_or("application/octet-stream", |(_, kind)| kind)
}

/// What separates parts: none of them may have it within.
pub fn boundary() -> String {
    format!("------------------------{:016x}", RandomState::new().hash_one("boundary"))
}

pub fn body(form: &[Part], boundary: &str) -> Vec<u8> {
    let quoted = |text: &str| text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = Vec::new();
    for part in form {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(&part.name)
        );
        if let Some(name) = &part.file_name {
            head += &format!("; filename=\"{}\"", quoted(name));
        }
        if let Some(kind) = &part.content_type {
            head += &format!("\r\nContent-Type: {kind}");
        }
        body.extend(head.bytes());
        body.extend(b"\r\n\r\n");
        body.extend(&part.content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_put_together() {
        let call = Call::new("curl", vec!["curl".to_owned()]);
        let mut form = Vec::new();
        field(&mut form, &call, "a=1;2;type=text/css").unwrap();
        string(&mut form, "b=@x;type=y").unwrap();
        field(&mut form, &call, "c=@/dev/null;filename=\"q\\\".PNG\"").unwrap();
        let text = String::from_utf8(body(&form, "XX")).unwrap();
        assert_eq!(
            text,
            "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/css\r\n\r\n1;2\r\n\
             --XX\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n@x;type=y\r\n\
             --XX\r\nContent-Disposition: form-data; name=\"c\"; filename=\"q\\%22.PNG\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n\r\n--XX--\r\n"
        );
        assert!(field(&mut form, &call, "nothing").is_err());
        assert!(field(&mut form, &call, "a=@/nosuch").is_err());
        assert_eq!(kind("a.b.HTML"), "text/html");
    }

    #[test]
    fn boundaries_differ() {
        assert_ne!(boundary(), boundary());
    }
}
