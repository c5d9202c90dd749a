//! Where sampan's shell differs from the reference and is to: asserted to differ still.

/// Title of a case, and why.
pub(crate) const ACCEPTED: &[(&str, &str)] = &[
    ("a file that is not executable", "WASI files have no modes: a text is a script"),
    ("a script with a hash bang", "its `$0` is the absolute path by which it is started"),
];
