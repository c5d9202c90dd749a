//! The walk through object and patch.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::order::{Names, arrange, name_of, names_of};
use super::shape::{Member, Shape};
use crate::api::patch::Error;
use crate::api::schema::Type;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList";
const ORDER_PREFIX: &str = "$setElementOrder";

type Object = Map<String, Value>;

/// Applies `patch` to `object`, an object of the type `of`.
///
/// # Errors
/// A patch that is no map, a directive that makes no sense, an item of a list without its merge
/// key. Fields that `of` does not have pass, if the object does not have them either: the decoder
/// finds them.
pub fn apply(object: Value, patch: &Value, of: &'static Type) -> Result<Value, Error> {
    let Value::Object(patch) = patch else {
        let text = format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            kind_of(patch)
        );
        return Err(Error::Malformed(text));
    };
    let object = match object {
        Value::Object(object) => object,
        _ => Object::new(),
    };
    merge_map(object, patch.clone(), Shape::Fields(of)).map(Value::Object)
}

fn merge_map(mut object: Object, mut patch: Object, shape: Shape) -> Result<Object, Error> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut object, &mut patch)?;
    merge_ordered_lists(&mut object, &mut patch, shape)?;
    // Directives sort before fields, so deletions from a list come before additions to it.
    for (key, value) in patch {
        match key.strip_prefix(DELETE_PREFIX) {
            Some(list) => {
                let list = list.strip_prefix('/').ok_or_else(|| malformed("primitive list"))?;
                delete_scalars(&mut object, list, &value)?;
            }
            None => merge_field(&mut object, key, value, shape)?,
        }
    }
    Ok(object)
}

fn merge_field(object: &mut Object, key: String, value: Value, shape: Shape) -> Result<(), Error> {
    if value.is_null() {
        object.remove(&key);
        return Ok(());
    }
    let merged = match (object.remove(&key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            let member = shape.member(&key).map_err(Error::Malformed)?;
            Some(Value::Object(merge_map(old, new, member.shape)?))
        }
        (Some(Value::Array(old)), Value::Array(new)) => {
            let member = shape.member(&key).map_err(Error::Malformed)?;
            Some(Value::Array(if member.merge { merge_list(old, new, member)? } else { new }))
        }
        (_, new) => cleaned(new),
    };
    if let Some(merged) = merged {
        object.insert(key, merged);
    }
    Ok(())
}

/// Obeys `$retainKeys`: removes from `object` what it does not list.
fn retain_keys(object: &mut Object, patch: &mut Object) -> Result<(), Error> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(retained) = retained else { return Err(malformed("retainKeys")) };
    let is_retained = |key: &str| retained.iter().any(|other| other.as_str() == Some(key));
    let is_directive = |key: &str| key.starts_with(DELETE_PREFIX) || key.starts_with(ORDER_PREFIX);
    let strays = |(key, value): (&String, &Value)| {
        !value.is_null() && !is_directive(key) && !is_retained(key)
    };
    if patch.iter().any(strays) {
        return Err(malformed("retainKeys"));
    }
    object.retain(|key, _| is_retained(key));
    Ok(())
}

/// Obeys every `$setElementOrder/x`: merges the list `x` and puts it into that order. What was done
/// is taken out of the patch.
fn merge_ordered_lists(object: &mut Object, patch: &mut Object, shape: Shape) -> Result<(), Error> {
    let directives: Vec<String> =
        patch.keys().filter(|key| key.starts_with(ORDER_PREFIX)).cloned().collect();
    for directive in directives {
        let key = directive[ORDER_PREFIX.len()..]
            .strip_prefix('/')
            .ok_or_else(|| malformed("setElementOrder list"))?;
        let Some(Value::Array(wanted)) = patch.remove(&directive) else {
            return Err(malformed("setElementOrder list"));
        };
        let old = list_of(object.remove(key))?;
        let new = list_of(patch.remove(key))?;
        let member = shape.member(key).map_err(Error::Malformed)?;
        if let Some(index) = wanted.iter().position(|item| !item.is_object())
            && member.merge_key.is_some()
        {
            return Err(Error::Malformed(format!("value for key {index} is not a map.")));
        }
        check_order(new.as_deref().unwrap_or_default(), &wanted, member.merge_key)?;
        let before = order_before(old.as_deref(), new.as_deref(), member);
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => cleaned_list(new),
            (Some(old), Some(new)) if member.merge => merge_list(old, new, member)?,
            (Some(_), Some(new)) => new,
        };
        check_names(&merged, member.merge_key)?;
        let wanted = names_of(&wanted, member.merge_key);
        let sorted = arrange(merged, &wanted, &before, member.merge_key);
        object.insert(key.to_owned(), Value::Array(sorted));
    }
    Ok(())
}

/// The order a list had, as `$setElementOrder` sees it. Upstream merges in place, so that new items
/// have taken the places that deleted ones left free: they come after all that was there, where
/// otherwise they would have no place of their own yet.
fn order_before(old: Option<&[Value]>, new: Option<&[Value]>, member: Member) -> Names {
    let merge_key = member.merge_key;
    let mut before = names_of(old.unwrap_or_default(), merge_key);
    let (Some(new), true) = (new, member.merge && merge_key.is_some()) else { return before };
    let (gone, come): (Vec<&Value>, Vec<&Value>) =
        new.iter().partition(|item| item.get(DIRECTIVE).is_some());
    let count = before.len();
    let is_gone =
        |name: &Option<Value>| gone.iter().any(|item| name_of(item, merge_key) == name.as_ref());
    before.retain(|name| !is_gone(name));
    let mut come: Names = come.into_iter().map(|item| name_of(item, merge_key).cloned()).collect();
    come.retain(|name| !before.contains(name));
    come.truncate(count - before.len());
    before.extend(come);
    before
}

fn list_of(value: Option<Value>) -> Result<Option<Vec<Value>>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(Error::Malformed(format!(
            "expected a []interface {{}}, but received a {}",
            kind_of(&other)
        ))),
    }
}

/// The items of a patch's list must stand in the order that its `$setElementOrder` says.
fn check_order(items: &[Value], wanted: &[Value], merge_key: Option<&str>) -> Result<(), Error> {
    if items.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    check_names(wanted, merge_key)?;
    let mut rest = wanted.iter();
    for item in items.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        check_names(std::slice::from_ref(item), merge_key)?;
        let name = name_of(item, merge_key);
        if !rest.any(|other| name_of(other, merge_key) == name) {
            let (items, wanted) = (go_list(items), go_list(wanted));
            return Err(Error::Malformed(format!(
                "The order in patch list:\n{items}\n doesn't match {ORDER_PREFIX} list:\n{wanted}\n"
            )));
        }
    }
    Ok(())
}

/// Obeys `$deleteFromPrimitiveList/x`.
fn delete_scalars(object: &mut Object, list: &str, doomed: &Value) -> Result<(), Error> {
    let Value::Array(doomed) = doomed else { return Err(malformed("primitive list")) };
    if let Some(Value::Array(items)) = object.get_mut(list) {
        check_kinds(items, doomed)?;
        items.retain(|item| !doomed.contains(item));
    }
    Ok(())
}

fn merge_list(old: Vec<Value>, new: Vec<Value>, member: Member) -> Result<Vec<Value>, Error> {
    if new.is_empty() {
        return Ok(old);
    }
    check_kinds(&old, &new)?;
    if new[0].is_object() {
        return merge_named(old, new, member);
    }
    let (wanted, before) = (names_of(&new, None), names_of(&old, None));
    let mut merged = old;
    for item in new {
        if !merged.contains(&item) {
            merged.push(item);
        }
    }
    Ok(arrange(merged, &wanted, &before, None))
}

/// Merges lists of maps by their merge key.
fn merge_named(mut old: Vec<Value>, new: Vec<Value>, member: Member) -> Result<Vec<Value>, Error> {
    let Some(merge_key) = member.merge_key else {
        let text = "cannot merge lists without merge key for type map".to_owned();
        return Err(Error::Malformed(text));
    };
    let merge_key = Some(merge_key);
    check_names(&new, merge_key.filter(|_| !new.iter().any(replaces_list)))?;
    check_names(&old, merge_key)?;

    let mut items = Vec::with_capacity(new.len());
    let mut replace = false;
    for item in new {
        match item.get(DIRECTIVE).map(|directive| directive.as_str().unwrap_or_default()) {
            None => items.push(item),
            Some("delete") => {
                old.retain(|other| name_of(other, merge_key) != name_of(&item, merge_key));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                let text = "merging lists cannot yet be specified in the patch".to_owned();
                return Err(Error::Malformed(text));
            }
            Some(_) => return Err(unknown_item_directive(&item)),
        }
    }
    if replace {
        return Ok(items);
    }
    let (wanted, before) = (names_of(&items, merge_key), names_of(&old, merge_key));
    for item in items {
        let name = name_of(&item, merge_key);
        let place = old.iter().position(|other| name_of(other, merge_key) == name);
        match (place, item) {
            (Some(place), Value::Object(item)) => {
                if let Value::Object(found) = old[place].take() {
                    old[place] = Value::Object(merge_map(found, item, member.shape)?);
                }
            }
            (_, item) => old.extend(cleaned(item)),
        }
    }
    Ok(arrange(old, &wanted, &before, merge_key))
}

fn replaces_list(item: &Value) -> bool {
    item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace")
}

/// A value that comes from the patch alone: without nulls in maps and without directives. `None` if
/// it asks to be deleted.
fn cleaned(value: Value) -> Option<Value> {
    match value {
        Value::Object(mut fields) => {
            match fields.remove(DIRECTIVE) {
                Some(directive) if directive == "delete" => return None,
                _ => {}
            }
            let keep = |(key, value): (String, Value)| {
                let directive = key == RETAIN_KEYS
                    || key.starts_with(ORDER_PREFIX)
                    || key.starts_with(DELETE_PREFIX);
                if directive || value.is_null() { None } else { Some((key, cleaned(value)?)) }
            };
            Some(Value::Object(fields.into_iter().filter_map(keep).collect()))
        }
        Value::Array(items) => Some(Value::Array(cleaned_list(items))),
        scalar => Some(scalar),
    }
}

fn cleaned_list(items: Vec<Value>) -> Vec<Value> {
    items.into_iter().filter_map(cleaned).collect()
}

/// The items of a merged list are all maps or all scalars.
fn check_kinds(old: &[Value], new: &[Value]) -> Result<(), Error> {
    let mut items = old.iter().chain(new);
    if items.clone().any(Value::is_array) {
        return Err(Error::Rejected("lists of lists are not supported".to_owned()));
    }
    let first = items.next().map(std::mem::discriminant);
    if items.all(|item| Some(std::mem::discriminant(item)) == first) {
        return Ok(());
    }
    let lists = format!("[{} {}]", go_list(old), go_list(new));
    Err(Error::Malformed(format!("list element types are not identical: {lists}")))
}

/// Every map of a merged list has its merge key.
fn check_names(items: &[Value], merge_key: Option<&str>) -> Result<(), Error> {
    let Some(key) = merge_key else { return Ok(()) };
    match items.iter().find(|item| item.get(key).is_none()) {
        None => Ok(()),
        Some(item) => {
            let item = go_text(item);
            Err(Error::Malformed(format!("map: {item} does not contain declared merge key: {key}")))
        }
    }
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("invalid patch format of {what}"))
}

fn unknown_directive(directive: &Value, patch: &Object) -> Error {
    let patch = go_text(&Value::Object(patch.clone()));
    Error::Malformed(format!("unknown patch type: {} in map: {patch}", go_text(directive)))
}

fn unknown_item_directive(item: &Value) -> Error {
    match item {
        Value::Object(fields) => unknown_directive(&fields[DIRECTIVE], fields),
        other => Error::Malformed(format!("unknown patch type: {}", go_text(other))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as Go's `%v` prints it: `map[a:1 b:[x y]]`.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => go_list(items),
        Value::Object(fields) => {
            let mut entries: Vec<(&String, &Value)> = fields.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let mut out = "map[".to_owned();
            for (index, (key, value)) in entries.into_iter().enumerate() {
                let blank = if index > 0 { " " } else { "" };
                // Writing to a string cannot fail.
                let _ = write!(out, "{blank}{key}:{}", go_text(value));
            }
            out + "]"
        }
        scalar => scalar.to_string(),
    }
}

fn go_list(items: &[Value]) -> String {
    let texts: Vec<String> = items.iter().map(go_text).collect();
    format!("[{}]", texts.join(" "))
}
