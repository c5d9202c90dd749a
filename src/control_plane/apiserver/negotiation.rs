//! In which form and encoding the client wants its answer. Pure.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`.

use http::{HeaderMap, header};

use super::query::Query;
use super::status::Outcome;
use crate::api::status;

/// What the server can write, for the 406 of a client that wants something else.
const SUPPORTED: &[&str] = &["application/json", "application/yaml"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    /// Indented, for people.
    PrettyJson,
    Yaml,
}

impl Encoding {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::PrettyJson => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// What the objects in an answer are turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Table(MetaVersion),
    /// Metadata only.
    Partial(MetaVersion),
}

/// The version of group `meta.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) encoding: Encoding,
    pub(crate) form: Form,
}

impl Output {
    /// Plain JSON, for answers that have no other form.
    pub(crate) const JSON: Self = Self { encoding: Encoding::Json, form: Form::Object };

    /// The first alternative of `Accept` that the server can write.
    ///
    /// # Errors
    /// 406 if there is none.
    pub(crate) fn negotiate(headers: &HeaderMap, query: &Query) -> Outcome<Self> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else {
            return Ok(Self { encoding: json(headers, query), form: Form::Object });
        };
        let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).collect();
        clauses.sort_by_key(|clause| std::cmp::Reverse(clause.quality));
        let found = clauses.iter().find_map(|clause| {
            let encoding = match clause.media_type {
                "application/json" | "application/*" | "*/*" => json(headers, query),
                "application/yaml" => Encoding::Yaml,
                _ => return None,
            };
            Some(Self { encoding, form: clause.form()? })
        });
        found.ok_or_else(|| status::not_acceptable(SUPPORTED).into())
    }
}

/// One alternative of an `Accept` header.
struct Clause<'a> {
    media_type: &'a str,
    /// In thousandths.
    quality: u32,
    target: Option<&'a str>,
    group: &'a str,
    version: &'a str,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|media_type| !media_type.is_empty())?;
        let mut clause = Self { media_type, quality: 1000, target: None, group: "", version: "" };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => clause.quality = thousandths(value),
                "as" => clause.target = Some(value),
                "g" => clause.group = value,
                "v" => clause.version = value,
                _ => {}
            }
        }
        Some(clause)
    }

    /// `None`: a form that the server does not have.
    fn form(&self) -> Option<Form> {
        let Some(target) = self.target else { return Some(Form::Object) };
        let version = match (self.group, self.version) {
            ("meta.k8s.io", "v1") => MetaVersion::V1,
            ("meta.k8s.io", "v1beta1") => MetaVersion::V1Beta1,
            _ => return None,
        };
        match target {
            "Table" => Some(Form::Table(version)),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Partial(version)),
            _ => None,
        }
    }
}

fn thousandths(quality: &str) -> u32 {
    let quality: f32 = quality.trim().parse().unwrap_or(1.0);
    // Within 0..=1000 after the clamp; a quality has at most three decimals.
    (quality.clamp(0.0, 1.0) * 1000.0).round() as u32
}

/// People look at what these programs print; everything else parses it.
fn json(headers: &HeaderMap, query: &Query) -> Encoding {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let for_people = |agent: &str| {
        ["curl", "Wget", "Mozilla/5.0"].iter().any(|program| agent.starts_with(program))
    };
    let pretty = match query.text("pretty") {
        Some(_) => query.flag("pretty"),
        None => agent.is_some_and(for_people),
    };
    if pretty { Encoding::PrettyJson } else { Encoding::Json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, agent: &str, expect: Option<(Encoding, Form)>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        headers.insert(header::USER_AGENT, agent.parse().unwrap());
        let output = Output::negotiate(&headers, &Query::default()).ok();
        let expect = expect.map(|(encoding, form)| Output { encoding, form });
        assert_eq!(output, expect, "{accept}");
    }

    #[test]
    fn the_first_form_the_server_has_is_taken() {
        let kubectl = "kubectl/v1.32.4";
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            kubectl,
            Some((Encoding::Json, Form::Table(MetaVersion::V1))),
        );
        check(
            "application/json;as=Table;v=v7;g=meta.k8s.io, application/json",
            kubectl,
            Some((Encoding::Json, Form::Object)),
        );
        check(
            "application/vnd.kubernetes.protobuf,application/json",
            kubectl,
            Some((Encoding::Json, Form::Object)),
        );
        check(
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            kubectl,
            Some((Encoding::Json, Form::Partial(MetaVersion::V1))),
        );
        check(
            "application/json;q=0.5, application/yaml",
            kubectl,
            Some((Encoding::Yaml, Form::Object)),
        );
    }

    #[test]
    fn what_the_server_cannot_write_is_refused() {
        check("text/html", "x", None);
        check("application/vnd.kubernetes.protobuf", "x", None);
    }

    #[test]
    fn people_get_it_indented() {
        check("*/*", "curl/8.1", Some((Encoding::PrettyJson, Form::Object)));
        check("*/*", "Go-http-client/2.0", Some((Encoding::Json, Form::Object)));
    }
}
