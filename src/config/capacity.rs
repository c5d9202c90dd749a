//! What the node says it has, where that is not what the host has.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::quantity::Quantity;

/// Resources that can be set.
const NAMES: &[&str] = &["cpu", "ephemeral-storage", "memory", "pods"];

/// Amounts by resource name, as in a Node's status.
pub type Capacity = BTreeMap<String, ApiQuantity>;

/// Reads `cpu=4,memory=8Gi`.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_capacity(given: &str) -> Result<Capacity, String> {
    let mut capacity = Capacity::new();
    for pair in given.split(',') {
        let usage = || format!("{pair:?}: give amounts such as cpu=4,memory=8Gi");
        let (name, amount) = pair.split_once('=').ok_or_else(usage)?;
        if !NAMES.contains(&name) {
            return Err(format!("{name:?} cannot be set, only {}", NAMES.join(", ")));
        }
        let amount = Quantity::parse(amount).map_err(|error| format!("{pair}: {error}"))?;
        if amount.is_zero() || amount.is_negative() {
            return Err(format!("{pair}: must be more than nothing"));
        }
        if name != "cpu" && !amount.is_whole() {
            return Err(format!("{pair}: must be a whole number"));
        }
        if capacity.insert(name.to_owned(), amount.to_api()).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(capacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expect: Result<&[(&str, &str)], &str>) {
        let answer = parse_capacity(given);
        let amounts = answer.as_ref().map(|capacity| {
            let pair =
                |(name, amount): (&'_ String, &'_ ApiQuantity)| (name.clone(), amount.0.clone());
            capacity.iter().map(pair).collect::<Vec<_>>()
        });
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned())).collect()
        };
        assert_eq!(amounts.map_err(String::as_str), expect.map(owned));
    }

    #[test]
    fn amounts_are_read_or_refused_with_a_reason() {
        check("cpu=500m", Ok(&[("cpu", "500m")]));
        check(
            "memory=8192Mi,cpu=4,pods=20",
            Ok(&[("cpu", "4"), ("memory", "8Gi"), ("pods", "20")]),
        );
        check("cpu", Err("\"cpu\": give amounts such as cpu=4,memory=8Gi"));
        check("", Err("\"\": give amounts such as cpu=4,memory=8Gi"));
        let names = "\"gpu\" cannot be set, only cpu, ephemeral-storage, memory, pods";
        check("gpu=1", Err(names));
        check("cpu=0", Err("cpu=0: must be more than nothing"));
        check("pods=1500m", Err("pods=1500m: must be a whole number"));
        check("cpu=1,cpu=2", Err("cpu is there twice"));
    }
}
