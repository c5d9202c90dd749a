//! The order of a merged list.
//!
//! Items that the patch names stand in the patch's order, the others in the order they had; the two
//! rows are interleaved as the object had them, as far as that goes.
//!
//! Upstream: `normalizeElementOrder`, `mergeSortedSlice` and
//! `partition{Primitives,Maps}ByPresentInList` in `strategicpatch/patch.go`.

use serde_json::Value;

/// What a list's items are called, in its order.
pub(super) type Names = Vec<Option<Value>>;

pub(super) fn names_of(items: &[Value], merge_key: Option<&str>) -> Names {
    items.iter().map(|item| name_of(item, merge_key).cloned()).collect()
}

/// Sorts `merged`: the items named in `wanted` by that list, all others by `before`, interleaved.
/// `merge_key` names the items of lists of maps; `None` for scalars.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &Names,
    before: &Names,
    merge_key: Option<&str>,
) -> Vec<Value> {
    let place = |list: &Names, item: &Value| {
        let name = name_of(item, merge_key);
        list.iter().position(|other| other.as_ref() == name)
    };
    let (mut patched, mut kept): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(wanted, item).is_some());
    patched.sort_by_key(|item| place(wanted, item));
    kept.sort_by_key(|item| place(before, item));

    let mut all = Vec::with_capacity(patched.len() + kept.len());
    let mut patched = patched.into_iter().peekable();
    for item in kept {
        // A kept item waits until the items that stood before it, or were not there, are placed.
        let at = place(before, &item);
        while let Some(next) = patched.peek() {
            match (at, place(before, next)) {
                (Some(at), Some(next_at)) if at < next_at => break,
                _ => all.extend(patched.next()),
            }
        }
        all.push(item);
    }
    all.extend(patched);
    all
}

/// What tells an item from others: its merge key, or itself.
pub(super) fn name_of<'a>(item: &'a Value, merge_key: Option<&str>) -> Option<&'a Value> {
    match merge_key {
        Some(key) => item.get(key),
        None => Some(item),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(merged: Value, wanted: Value, before: Value, expect: Value) {
        let list = |value: Value| value.as_array().cloned().expect("a list");
        let [wanted, before] = [wanted, before].map(|names| names_of(&list(names), None));
        assert_eq!(Value::Array(arrange(list(merged), &wanted, &before, None)), expect);
    }

    #[test]
    fn items_of_the_patch_follow_its_order() {
        check(json!([1, 2, 3]), json!([3, 1, 2]), json!([1, 2, 3]), json!([3, 1, 2]));
    }

    #[test]
    fn other_items_stay_between_their_neighbours() {
        check(json!([1, 2, 3, 4]), json!([1, 4]), json!([1, 2, 3, 4]), json!([1, 2, 3, 4]));
        check(json!([1, 2, 3, 9]), json!([9, 3]), json!([1, 2, 3]), json!([9, 1, 2, 3]));
        check(json!([1, 2, 3, 9]), json!([3, 9]), json!([1, 2, 3]), json!([1, 2, 3, 9]));
        check(json!([1, 2, 3]), json!([3, 1]), json!([1, 2, 3]), json!([2, 3, 1]));
    }
}
