//! What a refused update would have changed, line by line.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::api::fields::Path;

/// One line for each value that differs: the old one after `-`, the new one after `+`.
pub(super) fn changes<T: Serialize>(path: &Path, new: &T, old: &T) -> Vec<String> {
    let (new, old) = (leaves(path, new), leaves(path, old));
    let mut lines = Vec::new();
    for (path, old) in &old {
        if new.get(path) != Some(old) {
            lines.push(format!("-\t{path}: {old}"));
        }
        if let Some(new) = new.get(path).filter(|new| *new != old) {
            lines.push(format!("+\t{path}: {new}"));
        }
    }
    let added = new.iter().filter(|(path, _)| !old.contains_key(*path));
    lines.extend(added.map(|(path, value)| format!("+\t{path}: {value}")));
    lines
}

/// Every value by its path. What Go cannot tell from an absent value is left out.
fn leaves(path: &Path, tree: &impl Serialize) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(tree) {
        collect(path, "", &value, &mut leaves);
    }
    leaves
}

fn collect(path: &Path, field: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                collect(&path.child(name.clone()), name, value, leaves);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                // An entry counts, however empty: `args: [""]` is not `args: []`.
                if value.is_object() || value.is_array() {
                    collect(&path.index(index), field, value, leaves);
                } else {
                    leaves.insert(path.index(index).to_string(), value.clone());
                }
            }
        }
        value if is_absent_to_go(field, value) => {}
        value => {
            leaves.insert(path.to_string(), value.clone());
        }
    }
}

/// Fields that are no pointers in Go: their zero value is never written.
fn is_absent_to_go(field: &str, value: &Value) -> bool {
    const FLAGS: [&str; 7] =
        ["hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"];
    const NUMBERS: [&str; 2] = ["hostPort", "initialDelaySeconds"];
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(false) => FLAGS.contains(&field),
        Value::Number(number) => NUMBERS.contains(&field) && number.as_i64() == Some(0),
        _ => false,
    }
}
