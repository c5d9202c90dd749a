//! A directory's listing, in nginx's columns.

use crate::date;
use crate::files::{Kind, Stat};
use crate::request::escaped;

/// Characters of a name that are shown.
const NAME_MAX: usize = 50;

pub(super) fn page(uri: &str, mut entries: Vec<(String, Stat)>) -> String {
    entries.retain(|(name, _)| !name.starts_with('.'));
    let key = |entry: &(String, Stat)| (entry.1.kind != Kind::Directory, entry.0.clone());
    entries.sort_by_key(key);
    let title = html(uri);
    let mut page = format!(
        "<html>\r\n<head><title>Index of {title}</title></head>\r\n<body>\r\n\
         <h1>Index of {title}</h1><hr><pre><a href=\"../\">../</a>\r\n"
    );
    for (name, stat) in &entries {
        page.push_str(&line(name, stat));
    }
    page.push_str("</pre><hr></body>\r\n</html>\r\n");
    page
}

fn line(name: &str, stat: &Stat) -> String {
    let is_directory = stat.kind == Kind::Directory;
    let slash = if is_directory { "/" } else { "" };
    let name = format!("{name}{slash}");
    let length = name.chars().count();
    let shown = if length > NAME_MAX {
        format!("{}..&gt;", html(&name.chars().take(NAME_MAX - 3).collect::<String>()))
    } else {
        html(&name)
    };
    let pad = " ".repeat(NAME_MAX.saturating_sub(length));
    let size = if is_directory { "-".to_owned() } else { stat.bytes.to_string() };
    let href = escaped(&name).replace(':', "%3A");
    let date = date::listing(stat.modified.0);
    format!("<a href=\"{href}\">{shown}</a>{pad} {date} {size:>19}\r\n")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
