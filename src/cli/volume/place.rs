//! What is copied whereto: one side is on this machine, the other in a volume.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};

use crate::api::meta;

/// A claim by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimName {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ClaimName {
    type Err = anyhow::Error;

    /// `CLAIM` or `NAMESPACE/CLAIM`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
        let complaint = meta::dns1123_label(namespace).into_iter().next();
        let complaint = complaint.or_else(|| meta::dns1123_subdomain(name).into_iter().next());
        if let Some(complaint) = complaint {
            bail!("understand {text:?} as [NAMESPACE/]CLAIM: {complaint}");
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// A path in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) claim: ClaimName,
    /// From the volume's top; empty for all of it. Without `..`, and without `/` at either end.
    pub(super) path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:/{}", self.claim, self.path)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    Out { from: Place, to: PathBuf },
    In { from: PathBuf, to: Place },
}

/// # Errors
/// If not exactly one side is in a volume, or leads out of it.
pub(super) fn plan(from: &str, to: &str) -> anyhow::Result<Plan> {
    match (place(from)?, place(to)?) {
        (Some(from), None) => Ok(Plan::Out { from, to: PathBuf::from(to) }),
        (None, Some(to)) => Ok(Plan::In { from: PathBuf::from(from), to }),
        (None, None) => bail!(
            "copy {from} to {to}: neither is in a volume\n\
             hint: a path in a volume is written [NAMESPACE/]CLAIM:PATH; cp copies the others"
        ),
        (Some(_), Some(_)) => bail!(
            "copy {from} to {to}: both are in volumes\n\
             hint: copy to this machine first, or use a Pod that mounts both claims"
        ),
    }
}

/// `None` for a path on this machine: as with kubectl cp, one that has a colon is written with `./` or `/`
/// before it.
fn place(text: &str) -> anyhow::Result<Option<Place>> {
    let Some((claim, path)) = text.split_once(':') else { return Ok(None) };
    let is_drive = cfg!(windows) && claim.len() == 1;
    if is_drive || claim.starts_with(['.', '/', '\\']) {
        return Ok(None);
    }
    let claim = claim.parse().with_context(|| format!("find {text}"))?;
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        bail!("find {text}: the path in the volume must not contain '..'");
    }
    Ok(Some(Place { claim, path: parts.join("/") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let found = place(text).unwrap().map(|place| place.to_string());
        assert_eq!(found.as_deref(), expect, "{text}");
    }

    #[test]
    fn a_claim_and_a_path_are_a_place() {
        check("data:", Some("default/data:/"));
        check("data:/", Some("default/data:/"));
        check("data:a//b/./c/", Some("default/data:/a/b/c"));
        check("shop/data:a:b", Some("shop/data:/a:b"));
        check("data", None);
        check("./data:a", None);
        check("/tmp/data:a", None);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let refused = |text| format!("{:#}", place(text).unwrap_err());
        assert!(refused("data:a/../../b").contains("must not contain '..'"));
        assert!(refused("No Name:a").contains("understand \"No Name\" as [NAMESPACE/]CLAIM"));
        assert!(refused("a/b/c:d").contains("understand \"a/b/c\""));
    }

    #[test]
    fn one_side_is_in_a_volume() {
        assert!(matches!(plan("data:a", "b").unwrap(), Plan::Out { .. }));
        assert!(matches!(plan("a", "data:").unwrap(), Plan::In { .. }));
        assert!(plan("a", "b").unwrap_err().to_string().contains("neither is in a volume"));
        assert!(plan("a:", "b:").unwrap_err().to_string().contains("both are in volumes"));
    }
}
