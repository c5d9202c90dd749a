//! Where in an object a fault is, and what the fault is, worded as Kubernetes words it.
//!
//! Upstream: `k8s.io/apimachinery/pkg/util/validation/field/{path,errors}.go`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// A place in an object: `spec.containers[0].env[name]`. It is made for each field that is looked at, and
/// becomes text only where there is a fault.
#[derive(Clone, Default)]
pub struct Path(Option<Arc<Node>>);

struct Node {
    above: Path,
    step: Step,
}

enum Step {
    Field(Cow<'static, str>),
    Index(usize),
    Key(String),
}

impl Path {
    pub fn new(root: impl Into<Cow<'static, str>>) -> Self {
        Self::default().child(root)
    }

    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.to(Step::Field(name.into()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.to(Step::Index(index))
    }

    /// An entry of a map, by its key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.to(Step::Key(key.to_owned()))
    }

    fn to(&self, step: Step) -> Self {
        Self(Some(Arc::new(Node { above: self.clone(), step })))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(node) = &self.0 else { return f.write_str("<nil>") };
        let is_first = node.above.0.is_none();
        if !is_first {
            node.above.fmt(f)?;
        }
        match &node.step {
            Step::Field(name) if is_first => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Path {}

/// The machine-readable kind of a fault; [`Fault::reason`] is what `details.causes[].reason` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Required,
    Invalid(Value),
    /// The parts are fine, but not together: no value is shown.
    InvalidTogether,
    NotSupported(Value),
    NotFound(Value),
    Duplicate(Value),
    Forbidden,
    TooLong {
        bytes_max: usize,
    },
    TooMany {
        count: usize,
        count_max: usize,
    },
    TypeInvalid(Value),
}

impl Fault {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid(_) | Self::InvalidTogether => "FieldValueInvalid",
            Self::NotSupported(_) => "FieldValueNotSupported",
            Self::NotFound(_) => "FieldValueNotFound",
            Self::Duplicate(_) => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong { .. } => "FieldValueTooLong",
            Self::TooMany { .. } => "FieldValueTooMany",
            Self::TypeInvalid(_) => "FieldValueTypeInvalid",
        }
    }
}

/// One fault of one field; validation answers all of them, never just the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub path: Path,
    pub fault: Fault,
    /// What is wrong and what would be right; may be empty.
    pub detail: String,
}

impl FieldError {
    pub fn required(path: Path, detail: impl Into<String>) -> Self {
        Self { path, fault: Fault::Required, detail: detail.into() }
    }

    pub fn invalid(path: Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self { path, fault: Fault::Invalid(value.into()), detail: detail.into() }
    }

    /// Of something whose parts do not go together.
    pub fn invalid_together(path: Path, detail: impl Into<String>) -> Self {
        Self { path, fault: Fault::InvalidTogether, detail: detail.into() }
    }

    pub fn not_supported(path: Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|name| format!("{name:?}")).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        Self { path, fault: Fault::NotSupported(value.into()), detail }
    }

    pub fn not_found(path: Path, value: impl Into<Value>) -> Self {
        Self { path, fault: Fault::NotFound(value.into()), detail: String::new() }
    }

    pub fn duplicate(path: Path, value: impl Into<Value>) -> Self {
        Self { path, fault: Fault::Duplicate(value.into()), detail: String::new() }
    }

    pub fn forbidden(path: Path, detail: impl Into<String>) -> Self {
        Self { path, fault: Fault::Forbidden, detail: detail.into() }
    }

    pub fn too_long(path: Path, bytes_max: usize) -> Self {
        Self { path, fault: Fault::TooLong { bytes_max }, detail: String::new() }
    }

    pub fn too_many(path: Path, count: usize, count_max: usize) -> Self {
        Self { path, fault: Fault::TooMany { count, count_max }, detail: String::new() }
    }

    /// The text after the path: what `details.causes[].message` says.
    pub fn body(&self) -> String {
        let (what, value) = match &self.fault {
            Fault::Required => ("Required value".to_owned(), None),
            Fault::InvalidTogether => ("Invalid value".to_owned(), None),
            Fault::Forbidden => ("Forbidden".to_owned(), None),
            Fault::TooLong { bytes_max } => {
                (format!("Too long: may not be more than {bytes_max} bytes"), None)
            }
            Fault::TooMany { count, count_max } => {
                (format!("Too many: {count}: must have at most {count_max} items"), None)
            }
            Fault::Invalid(value) | Fault::TypeInvalid(value) => {
                ("Invalid value".to_owned(), Some(value))
            }
            Fault::NotSupported(value) => ("Unsupported value".to_owned(), Some(value)),
            Fault::NotFound(value) => ("Not found".to_owned(), Some(value)),
            Fault::Duplicate(value) => ("Duplicate value".to_owned(), Some(value)),
        };
        let parts = [Some(what), value.map(Value::to_string), Some(self.detail.clone())];
        let parts: Vec<String> =
            parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &FieldError, expect: &str) {
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn faults_are_worded_as_upstream() {
        let image = Path::new("spec").child("containers").index(0).child("image");
        check(&FieldError::required(image.clone(), ""), "spec.containers[0].image: Required value");
        check(
            &FieldError::not_supported(image.clone(), "x", &["A", "B"]),
            r#"spec.containers[0].image: Unsupported value: "x": supported values: "A", "B""#,
        );
        check(
            &FieldError::invalid(image, 3, "must be less"),
            "spec.containers[0].image: Invalid value: 3: must be less",
        );
    }
}
