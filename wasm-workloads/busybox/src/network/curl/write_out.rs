//! `-w`: what there is to know after a transfer.

use std::time::Duration;

use super::transfer::Report;
use crate::network::tls::Problem;

type Variable = fn(&Report) -> String;

const VARIABLES: &[(&str, Variable)] = &[
    ("content_type", |report| report.content_type.clone()),
    ("errormsg", |report| report.failure.as_ref().map_or(String::new(), |why| why.text.clone())),
    ("exitcode", |report| report.failure.as_ref().map_or(0, |why| why.code).to_string()),
    ("filename_effective", |report| report.file_name.clone()),
    ("http_code", |report| format!("{:03}", report.http_code)),
    ("http_connect", |_| "000".to_owned()),
    ("http_version", |report| report.http_version.clone()),
    ("local_ip", |report| report.local.map_or(String::new(), |at| at.ip().to_string())),
    ("local_port", |report| report.local.map_or(0, |at| at.port()).to_string()),
    ("method", |report| report.method.clone()),
    ("num_connects", |report| report.connections.to_string()),
    ("num_headers", |report| report.headers.to_string()),
    ("num_redirects", |report| report.redirections.to_string()),
    ("redirect_url", |report| report.redirection.clone()),
    ("referer", |report| report.referer.clone()),
    ("remote_ip", |report| report.peer.map_or(String::new(), |at| at.ip().to_string())),
    ("remote_port", |report| report.peer.map_or(0, |at| at.port()).to_string()),
    ("response_code", |report| format!("{:03}", report.http_code)),
    ("scheme", |report| scheme(report).to_owned()),
    ("size_download", |report| report.received.to_string()),
    ("size_header", |report| report.head_bytes.to_string()),
    ("size_request", |report| report.request_bytes.to_string()),
    ("size_upload", |report| report.sent.to_string()),
    ("speed_download", |report| speed(report.received, report.times.total)),
    ("speed_upload", |report| speed(report.sent, report.times.total)),
    ("ssl_verify_result", |report| report.problem.map_or(0, Problem::number).to_string()),
    ("time_appconnect", |report| seconds(report.times.secured)),
    ("time_connect", |report| seconds(report.times.connected)),
    ("time_namelookup", |report| seconds(report.times.resolved)),
    ("time_pretransfer", |report| seconds(report.times.connected.max(report.times.secured))),
    ("time_redirect", |report| seconds(report.times.redirected)),
    ("time_starttransfer", |report| seconds(report.times.answered)),
    ("time_total", |report| seconds(report.times.total)),
    ("url", |report| report.asked.clone()),
    ("url_effective", |report| report.url.clone()),
    ("urlnum", |report| report.number.to_string()),
];

/// In capitals, as curl's long were; nothing before there is a connection.
fn scheme(report: &Report) -> &'static str {
    let is_connected = report.peer.is_some() || !report.times.connected.is_zero();
    match report.url.starts_with("https:") {
        _ if !is_connected => "",
        true => "HTTPS",
        false => "HTTP",
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.6}", time.as_secs_f64())
}

fn speed(bytes: u64, time: Duration) -> String {
    ((bytes as f64 / time.as_secs_f64().max(1e-6)) as u64).to_string()
}

/// The text, and complaints about what is no variable.
pub fn format(format: &str, report: &Report) -> (String, Vec<String>) {
    let (mut text, mut complaints) = (String::new(), Vec::new());
    let mut rest = format;
    while let Some(at) = rest.find(['%', '\\']) {
        text += &rest[..at];
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('\\') {
            let letter = after.chars().next();
            match letter {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some(other) => text.extend(['\\', other]),
                None => text.push('\\'),
            }
            rest = &after[letter.map_or(0, char::len_utf8)..];
        } else if let Some((name, after)) =
            rest.strip_prefix("%{").and_then(|name| name.split_once('}'))
        {
            match VARIABLES.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => text += &value(report),
                None if name == "onerror" && report.failure.is_none() => return (text, complaints),
                None if name == "onerror" => {}
                None => complaints.push(format!("curl: unknown --write-out variable: '{name}'")),
            }
            rest = after;
        } else {
            text.push('%');
            rest = rest.strip_prefix("%%").unwrap_or(&rest[1..]);
        }
    }
    (text + rest, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let report = Report { http_code: 7, received: 12, ..Report::default() };
        let (text, complaints) =
            format(r"%{http_code} %% %{size_download}%\n\q%{nosuch}%{open", &report);
        assert_eq!(text, "007 % 12%\n\\q%{open");
        assert_eq!(complaints, ["curl: unknown --write-out variable: 'nosuch'"]);
    }
}
