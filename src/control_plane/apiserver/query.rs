//! The query of a request, and the options each verb reads from it.
//!
//! Upstream: `apimachinery/pkg/apis/meta/v1/types.go` (`ListOptions` …) and their conversion.

use std::borrow::Cow;

/// The decoded parameters, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let owned = |text: Cow<'_, str>| text.into_owned();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(name, value)| (owned(name), owned(value))).collect())
    }

    /// The first value of the parameter; `None` if it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// Every value of a repeated parameter (`command=a&command=b`).
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |pair: &&(String, String)| pair.0 == name;
        self.0.iter().filter(named).map(|(_, value)| value.as_str())
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|pair| pair.0 == name).map(|(_, value)| value.as_str())
    }

    /// A boolean as upstream's conversion reads it: `false` and `0` are false, whatever else is
    /// there (nothing after the `=` too) is true.
    ///
    /// Upstream: `apimachinery/pkg/runtime/conversion.go`, `Convert_Slice_string_To_bool`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.first(name) {
            None => false,
            Some(value) => value != "0" && !value.eq_ignore_ascii_case("false"),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// The text for a 400, worded as Go words it.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse();
        number.map(Some).map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_may_repeat() {
        let query = Query::parse("command=sh&command=-c&command=echo+a%20b&limit=5&empty=");
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["sh", "-c", "echo a b"]);
        assert_eq!(query.number("limit"), Ok(Some(5)));
        assert_eq!(query.text("empty"), None);
        assert!(query.number("command").is_err());
    }

    #[test]
    fn flags_are_false_only_when_they_say_so() {
        #[track_caller]
        fn check(query: &str, expect: bool) {
            assert_eq!(Query::parse(query).flag("f"), expect, "{query}");
        }
        check("f=true", true);
        check("f=1", true);
        check("f", true);
        check("f=0", false);
        check("f=False", false);
        check("g=1", false);
    }
}
