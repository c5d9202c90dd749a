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
/// `;filename=`. In quotes a `;` means nothing.
pub fn field(form: &mut Vec<Part>, call: &Call, text: &str) -> Result<(), String> {
    let (name, value) = split(text)?;
    let (marker, value) = match value.chars().next() {
        Some(marker @ ('@' | '<')) => (Some(marker), &value[1..]),
        _ => (None, value),
    };
    let (first, mut rest) = word(value);
    let (mut content_type, mut file_name) = (None, None);
    while let Some(setting) = rest.strip_prefix(';').map(str::trim_start) {
        if let Some(kind) = setting.strip_prefix("type=") {
            let end = kind_end(kind);
            content_type = Some(kind[..end].trim_end().to_owned());
            rest = &kind[end..];
        } else if let Some(given) = setting.strip_prefix("filename=") {
            let (given, after) = word(given);
            file_name = Some(given);
            rest = after;
        } else {
            rest = setting.find(';').map_or("", |end| &setting[end..]);
        }
    }
    if marker == Some('@') {
        let last = first.rsplit('/').next().unwrap_or(&first);
        file_name.get_or_insert_with(|| last.to_owned());
        content_type.get_or_insert_with(|| kind(last).to_owned());
    }
    let content = match marker {
        None => first.into_bytes(),
        Some(_) => read(call, &first).map_err(|why| format!("{first}: {why}"))?,
    };
    form.push(Part { name: name.to_owned(), file_name, content_type, content });
    Ok(())
}

/// What stands before the next `;`, or in quotes, and what follows.
fn word(text: &str) -> (String, &str) {
    let semicolon = |from: usize| text[from..].find(';').map_or(text.len(), |at| from + at);
    let Some(quoted) = text.strip_prefix('"') else {
        let end = semicolon(0);
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut word, mut letters) = (String::new(), quoted.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (word, &text[semicolon(at + 1)..]),
            '\\' => word.extend(letters.next().map(|(_, letter)| letter)),
            letter => word.push(letter),
        }
    }
    // A quote that does not end is none.
    let end = semicolon(0);
    (text[..end].to_owned(), &text[end..])
}

/// Where a type ends: parameters of its own belong to it.
fn kind_end(text: &str) -> usize {
    const SETTINGS: [&str; 4] = ["type=", "filename=", "headers=", "encoder="];
    let is_setting = |at: &usize| {
        let after = text[at + 1..].trim_start();
        SETTINGS.iter().any(|setting| after.starts_with(setting))
    };
    text.match_indices(';').map(|(at, _)| at).find(is_setting).unwrap_or(text.len())
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
        field(&mut form, &call, "a=1;2;type=text/css;x=y; filename=z").unwrap();
        field(&mut form, &call, r#"q="1;\"2\\";x"#).unwrap();
        string(&mut form, "b=@x;type=y").unwrap();
        field(&mut form, &call, r#"c=@/dev/null;filename="q\".PNG""#).unwrap();
        let text = String::from_utf8(body(&form, "XX")).unwrap();
        assert_eq!(
            text,
            "--XX\r\nContent-Disposition: form-data; name=\"a\"; filename=\"z\"\r\n\
             Content-Type: text/css;x=y\r\n\r\n1\r\n\
             --XX\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n1;\"2\\\r\n\
             --XX\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n@x;type=y\r\n\
             --XX\r\nContent-Disposition: form-data; name=\"c\"; filename=\"q%22.PNG\"\r\n\
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
