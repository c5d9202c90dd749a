//! Label selectors: `app=web,tier in (a,b),!canary`.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::syntax;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{label_value, qualified_name};
use crate::api::status::aggregate;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    /// Sorted, without repetitions.
    pub values: Vec<String>,
}

impl Requirement {
    /// # Errors
    /// Every fault of the parts, as upstream words them.
    pub fn new(
        key: impl Into<String>,
        operator: Operator,
        values: impl IntoIterator<Item = String>,
    ) -> Result<Self, String> {
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        let requirement = Self { key: key.into(), operator, values };
        let errors = requirement.faults();
        if errors.is_empty() { Ok(requirement) } else { Err(aggregate(&errors)) }
    }

    fn faults(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        errors.extend(invalid_key(&self.key, Path::new("key")));
        let path = Path::new("values");
        let count = self.values.len();
        let complaint = match self.operator {
            Operator::In | Operator::NotIn => {
                (count == 0).then_some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals => {
                (count != 1).then_some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist => {
                (count != 0).then_some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan => {
                (count != 1).then_some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
        };
        errors.extend(
            complaint.map(|text| FieldError::invalid(path.clone(), self.values.clone(), text)),
        );
        for (index, value) in self.values.iter().enumerate() {
            let path = path.index(index);
            if self.is_numeric() && value.parse::<i64>().is_err() {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                errors.push(FieldError::invalid(path.clone(), value.as_str(), detail));
            }
            let complaints = label_value(value);
            if !complaints.is_empty() {
                let path = path.key(&self.key);
                errors.push(FieldError::invalid(path, value.as_str(), complaints.join("; ")));
            }
        }
        errors
    }

    fn is_numeric(&self) -> bool {
        matches!(self.operator, Operator::GreaterThan | Operator::LessThan)
    }

    /// Whether a label of this key, with this value or missing, fulfils the requirement.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|wanted| wanted == value);
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => value.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.bound(value).is_some_and(|(value, bound)| value > bound),
            Operator::LessThan => self.bound(value).is_some_and(|(value, bound)| value < bound),
        }
    }

    fn bound(&self, value: Option<&str>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// A set of requirements that must all be met, or the selector that matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(Option<Vec<Requirement>>);

impl Default for Labels {
    fn default() -> Self {
        Self::everything()
    }
}

impl Labels {
    pub fn everything() -> Self {
        Self(Some(Vec::new()))
    }

    /// All of these must hold.
    pub fn of(requirements: Vec<Requirement>) -> Self {
        Self(Some(requirements))
    }

    pub fn nothing() -> Self {
        Self(None)
    }

    /// Exactly these labels, unchecked.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.clone()],
        };
        Self(Some(labels.iter().map(requirement).collect()))
    }

    /// The selector of a Deployment and its like: missing selects nothing, empty everything.
    ///
    /// # Errors
    /// A requirement that is none. Upstream: `LabelSelectorAsSelector` in
    /// `k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go`.
    pub fn from_typed(selector: Option<&LabelSelector>) -> Result<Self, String> {
        let Some(selector) = selector else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            let values = [value.clone()];
            requirements.push(Requirement::new(key.as_str(), Operator::Equals, values)?);
        }
        for expression in selector.match_expressions.iter().flatten() {
            requirements.push(typed_requirement(expression)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self(Some(requirements)))
    }

    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    ///
    /// # Errors
    /// What was found and what would have been right, as upstream words it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = syntax::parse(text)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self(Some(requirements)))
    }

    /// Whether it restricts nothing.
    pub fn is_everything(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// The requirements; `None` for the selector that matches nothing.
    pub fn requirements(&self) -> Option<&[Requirement]> {
        self.0.as_deref()
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches_by(|key| labels.get(key).map(String::as_str))
    }

    /// [`Labels::matches`] for labels that rest in another shape.
    pub fn matches_by<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let fits = |requirement: &Requirement| requirement.matches(label(&requirement.key));
        self.0.as_ref().is_some_and(|requirements| requirements.iter().all(fits))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().flatten().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

fn typed_requirement(expression: &LabelSelectorRequirement) -> Result<Requirement, String> {
    let operator = match expression.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => return Err(format!("{other:?} is not a valid label selector operator")),
    };
    let values = expression.values.iter().flatten().cloned();
    Requirement::new(expression.key.as_str(), operator, values)
}

/// The fault of a label's key, if it has one.
pub(super) fn invalid_key(key: &str, path: Path) -> Option<FieldError> {
    let complaints = qualified_name(key);
    (!complaints.is_empty()).then(|| FieldError::invalid(path, key, complaints.join("; ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').expect("key=value");
            (key.to_owned(), value.to_owned())
        };
        text.split(',').filter(|pair| !pair.is_empty()).map(pair).collect()
    }

    #[track_caller]
    fn check(selector: &str, matching: &[&str], others: &[&str]) {
        let parsed = Labels::parse(selector).expect("a selector");
        for text in matching {
            assert!(parsed.matches(&labels(text)), "{selector} matches {text}");
        }
        for text in others {
            assert!(!parsed.matches(&labels(text)), "{selector} does not match {text}");
        }
        assert_eq!(Labels::parse(&parsed.to_string()), Ok(parsed));
    }

    #[track_caller]
    fn check_error(selector: &str, expect: &str) {
        assert_eq!(Labels::parse(selector).expect_err("no selector"), expect);
    }

    #[test]
    fn every_operator_selects() {
        check("", &["", "a=b"], &[]);
        check("a=b", &["a=b", "a=b,c=d"], &["", "a=c", "b=b"]);
        check("a == b , c=", &["a=b,c="], &["a=b", "a=b,c=d"]);
        check("a!=b", &["", "a=c"], &["a=b"]);
        check("a in (b, c)", &["a=b", "a=c"], &["", "a=d"]);
        check("a notin (b,c)", &["", "a=d"], &["a=b"]);
        check("a,!b", &["a=", "a=1"], &["", "a=1,b=1"]);
        check("a>1,a<5", &["a=2"], &["a=1", "a=5", "a=x", ""]);
        check("x in (foo,,baz),y", &["x=,y=1", "x=baz,y="], &["x=bar,y=1", "x=foo"]);
        check("a in ()", &["a="], &["a=b", ""]);
        check("in in (in)", &["in=in"], &["in=notin"]);
        check("example.com/a=b", &["example.com/a=b"], &["a=b"]);
    }

    #[test]
    fn errors_are_worded_as_upstream() {
        check_error(
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        );
        check_error("=a", "found '=', expected: !, identifier, or 'end of string'");
        check_error("a=b,", "found '', expected: identifier after ','");
        check_error("a=b c", "found 'c', expected: ',' or 'end of string'");
        check_error("a in b", "unable to parse requirement: found 'b' expected: '('");
        check_error("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'");
        check_error("!", "unable to parse requirement: found '', expected: identifier");
        check_error("a=(", "unable to parse requirement: found '(', expected: identifier");
        check_error(
            "a/b/c=d",
            "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a qualified name must \
             consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
             validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS \
             subdomain prefix and '/' (e.g. 'example.com/MyName')",
        );
        check_error(
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' \
             operators, the value must be an integer",
        );
        assert!(Labels::parse("a=-").expect_err("bad value").contains("values[0][a]: Invalid"));
    }

    #[test]
    fn a_missing_typed_selector_selects_nothing_and_an_empty_one_everything() {
        let of = |selector: Option<&LabelSelector>| Labels::from_typed(selector).expect("selector");
        assert!(!of(None).matches(&labels("a=b")));
        assert!(of(Some(&LabelSelector::default())).matches(&labels("")));
        let expression = |operator: &str| LabelSelector {
            match_labels: Some(labels("a=b")),
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "c".to_owned(),
                operator: operator.to_owned(),
                values: None,
            }]),
        };
        assert_eq!(of(Some(&expression("DoesNotExist"))).to_string(), "a=b,!c");
        assert_eq!(
            Labels::from_typed(Some(&expression("Near"))).expect_err("no operator"),
            "\"Near\" is not a valid label selector operator"
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in "[ab/=!<>(), .-]{0,12}|(a|in|notin|b|,|=|!|\\(|\\)| |1){0,9}") {
            if let Ok(labels) = Labels::parse(&text) {
                prop_assert_eq!(Labels::parse(&labels.to_string()), Ok(labels));
            }
        }
    }
}
