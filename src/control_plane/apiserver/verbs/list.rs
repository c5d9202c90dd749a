//! LIST: a page of a collection as of one revision.
//!
//! Upstream: `GetList` in `k8s.io/apiserver/pkg/storage/etcd3/store.go`, `storage/continue.go`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde::{Deserialize, Serialize};

use super::list_options::{self, AsOf, Selection};
use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::storage::{Error, Key, ListQuery, Revision, Stored};

pub(super) async fn list(call: &Call) -> Outcome<Response<Body>> {
    let Page { meta, items } = page(call).await?;
    render::list(call, &meta, shown(items))
}

pub(super) struct Page {
    pub(super) meta: ListMeta,
    pub(super) items: Vec<Arc<Stored>>,
}

pub(super) fn shown(items: Vec<Arc<Stored>>) -> Vec<Shown> {
    items.into_iter().map(Shown::Stored).collect()
}

/// The objects that the query asks for, at most `limit`.
pub(super) async fn page(call: &Call) -> Outcome<Page> {
    let selection = Selection::of(call)?;
    let prefix = selection.prefix(call);
    let limit = call.query.number("limit").map_err(Failure::bad_request)?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let token = call.query.text("continue").map(|text| Token::parse(text, &prefix)).transpose()?;
    let mut query = match &token {
        Some(token) => token.query(),
        None => ListQuery { at: at(call).await?, ..ListQuery::default() },
    };
    query.limit = limit;
    let mut items = Vec::new();
    loop {
        let found = call.server.storage().list(&prefix, query.clone()).await;
        let page = found.map_err(|err| expired(err, token.as_ref(), &prefix))?;
        query.at = Some(page.revision);
        query.after = page.items.last().map(|stored| stored.key.clone()).or(query.after);
        for stored in page.items {
            if selection.matches(&stored)? {
                items.push(stored);
            }
        }
        let full = limit.is_some_and(|limit| items.len() >= limit);
        if page.remaining > 0 && !full {
            // A selector dropped some: fill the page up from what follows.
            query.limit = limit.map(|limit| limit - items.len());
            continue;
        }
        let more = (page.remaining > 0).then(|| {
            let after = query.after.as_ref().map(|key| key.0.as_ref()).unwrap_or_default();
            Token::encode(page.revision, after, &prefix)
        });
        let counted = more.is_some() && selection.is_everything();
        let meta = ListMeta {
            resource_version: Some(page.revision.to_string()),
            continue_: more,
            remaining_item_count: counted
                .then(|| i64::try_from(page.remaining).unwrap_or(i64::MAX)),
            self_link: None,
        };
        return Ok(Page { meta, items });
    }
}

async fn at(call: &Call) -> Outcome<Option<Revision>> {
    match list_options::as_of(call)? {
        AsOf::Newest => Ok(None),
        AsOf::Exact(revision) => {
            list_options::wait_for(call, revision).await?;
            Ok(Some(revision))
        }
        AsOf::NotOlderThan(revision) => {
            list_options::wait_for(call, revision).await?;
            Ok(None)
        }
    }
}

/// Where the next page begins: opaque to clients, spelled as upstream spells it.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    /// -1: whatever is newest (an inconsistent list, after the revision expired).
    rv: i64,
    /// The key after which to go on, without the prefix; a zero byte at its end.
    start: String,
    #[serde(skip)]
    after: Option<Key>,
}

impl Token {
    fn encode(revision: Revision, after: &str, prefix: &str) -> String {
        Self::new(i64::try_from(revision.0).unwrap_or(i64::MAX), after, prefix).to_text()
    }

    fn new(rv: i64, after: &str, prefix: &str) -> Self {
        let start = format!("{}\0", after.strip_prefix(prefix).unwrap_or(after));
        Self { v: "meta.k8s.io/v1".to_owned(), rv, start, after: None }
    }

    fn to_text(&self) -> String {
        let json = serde_json::to_vec(self).expect("a token has only strings and a number");
        URL_SAFE_NO_PAD.encode(json)
    }

    fn parse(text: &str, prefix: &str) -> Outcome<Self> {
        let invalid =
            || Failure::bad_request("continue key is not valid: it was not made by this server");
        let json = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| invalid())?;
        let mut token: Self = serde_json::from_slice(&json).map_err(|_| invalid())?;
        let start = token.start.strip_suffix('\0').unwrap_or(&token.start);
        if token.v != "meta.k8s.io/v1" || token.rv < -1 || token.rv == 0 {
            return Err(invalid());
        }
        token.after = Some(Key(format!("{prefix}{start}").into()));
        Ok(token)
    }

    fn query(&self) -> ListQuery {
        let at = u64::try_from(self.rv).ok().map(Revision);
        ListQuery { at, after: self.after.clone(), limit: None }
    }
}

/// A page of a list that took too long: the answer says how to go on without a consistent view.
///
/// Upstream: `handleExpiredError` and `getPrefixedContinue` in `storage/etcd3/errors.go`.
fn expired(err: Error, token: Option<&Token>, prefix: &str) -> Failure {
    let (Error::Expired { .. }, Some(token)) = (&err, token) else { return err.into() };
    let after = token.after.as_ref().map(|key| key.0.as_ref()).unwrap_or_default();
    let mut status = status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can \
         start a new list without the continue parameter, or use the continue token in this \
         response to retrieve the remainder of the results. Continuing with the provided token \
         results in an inconsistent list - objects that were created, modified, or deleted between \
         the time the first chunk was returned and now may show up in the list.",
    );
    status.metadata.continue_ = Some(Token::new(-1, after, prefix).to_text());
    status.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_where_the_next_page_begins() {
        let text = Token::encode(Revision(7), "/core/pods/d/b", "/core/pods/d/");
        let query = Token::parse(&text, "/core/pods/d/").unwrap().query();
        assert_eq!(query.at, Some(Revision(7)));
        assert_eq!(query.after, Some(Key("/core/pods/d/b".into())));
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for text in ["", "x", "e30", &URL_SAFE_NO_PAD.encode(r#"{"v":"x","rv":1,"start":"a"}"#)] {
            assert!(Token::parse(text, "/p/").is_err(), "{text}");
        }
    }
}
