//! `sampan volume ls` and `du`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::place::ClaimName;
use super::usage;
use crate::api::claim::{self, LOCAL_PATH, PROVISIONED_BY};
use crate::cli::output;

pub(super) const NONE: &str = "<none>";

/// `sampan volume ls`
pub(super) async fn volumes(client: &Client, namespace: Option<&str>) -> anyhow::Result<ExitCode> {
    let claims: Api<PersistentVolumeClaim> = in_namespace(client, namespace);
    let pods: Api<Pod> = in_namespace(client, namespace);
    let all = ListParams::default();
    let (claims, pods) = (
        claims.list(&all).await.context("list the claims")?.items,
        pods.list(&all).await.context("list the Pods")?.items,
    );
    let volumes = list_volumes(client).await?;
    let head = ["NAMESPACE", "CLAIM", "STATUS", "VOLUME", "CAPACITY", "USED", "MODES", "PODS"];
    let mut rows = vec![head.map(str::to_owned)];
    for claim in &claims {
        let volume = volumes.iter().find(|volume| claim::is_reserved_for(volume, claim));
        rows.push(row(Some(claim), volume, &users(claim, &pods))?);
    }
    let has_claim = |volume: &&PersistentVolume| {
        claims.iter().any(|claim| claim::is_reserved_for(volume, claim))
    };
    if namespace.is_none() {
        for volume in volumes.iter().filter(|volume| !has_claim(volume)) {
            rows.push(row(None, Some(volume), NONE)?);
        }
    }
    table(&rows);
    Ok(ExitCode::SUCCESS)
}

fn row(
    claim: Option<&PersistentVolumeClaim>,
    volume: Option<&PersistentVolume>,
    pods: &str,
) -> anyhow::Result<[String; 8]> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let used = match volume.and_then(own_directory) {
        Some(directory) => {
            let usage = usage::of(&directory);
            size(usage.with_context(|| format!("look at {}", directory.display()))?.bytes)
        }
        // Whatever else is in the operator's directories is not the volume's.
        None => "-".to_owned(),
    };
    let status = match (claim, volume) {
        (Some(claim), _) if claim.metadata.deletion_timestamp.is_some() => "Terminating".to_owned(),
        (Some(claim), _) => claim::phase_of_claim(claim).to_owned(),
        (None, volume) => {
            volume.map(|it| claim::phase_of_volume(it).to_owned()).unwrap_or_default()
        }
    };
    let modes = volume.and_then(|volume| volume.spec.as_ref()?.access_modes.clone());
    Ok([
        or_none(claim.and_then(ResourceExt::namespace)),
        or_none(claim.map(ResourceExt::name_any)),
        status,
        or_none(volume.map(ResourceExt::name_any)),
        or_none(volume.map(|volume| claim::capacity(volume).to_string())),
        used,
        or_none(modes.map(|modes| modes.join(","))),
        pods.to_owned(),
    ])
}

/// `sampan volume du`
pub(super) async fn directories(client: &Client, directory: &Path) -> anyhow::Result<ExitCode> {
    let mut rows = vec![["USED", "ENTRIES", "VOLUME", "CLAIM", "DIRECTORY"].map(str::to_owned)];
    let mut known: BTreeMap<PathBuf, PersistentVolume> = BTreeMap::new();
    for volume in list_volumes(client).await? {
        if let Some(directory) = own_directory(&volume) {
            known.insert(directory, volume);
        }
    }
    let entries = usage::entries(directory);
    let entries = entries.with_context(|| format!("look at {}", directory.display()))?;
    let left = entries.into_iter().map(|entry| entry.path());
    let left: Vec<PathBuf> = left.filter(|path| !known.contains_key(path)).collect();
    let known = known.iter().map(|(path, volume)| (path.clone(), Some(volume)));
    for (path, volume) in known.chain(left.into_iter().map(|path| (path, None))) {
        let usage = usage::of(&path).with_context(|| format!("look at {}", path.display()))?;
        let claim = volume.and_then(|volume| volume.spec.as_ref()?.claim_ref.as_ref());
        let claim = claim.map(|claim| {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}/{}", part(&claim.namespace), part(&claim.name))
        });
        rows.push([
            size(usage.bytes),
            usage.entries.to_string(),
            // Its volume was retained, and then deleted: its files stay until somebody removes them.
            volume.map_or_else(|| "<gone>".to_owned(), ResourceExt::name_any),
            claim.unwrap_or_else(|| NONE.to_owned()),
            path.display().to_string(),
        ]);
    }
    table(&rows);
    Ok(ExitCode::SUCCESS)
}

/// `sampan volume du CLAIM`: what is at the volume's top, with all that is below each name.
pub(super) async fn entries(client: &Client, name: &ClaimName) -> anyhow::Result<ExitCode> {
    let (_, volume) = bound(client, name).await?;
    let Some(directory) = own_directory(&volume) else {
        bail!(
            "look into {name}: its volume {} is a directory of the operator's\nhint: du shows what is in it: {}",
            volume.name_any(),
            place_of(&volume).unwrap_or_else(|| NONE.to_owned()),
        );
    };
    let looked = || format!("look at {}", directory.display());
    let mut rows = vec![["USED", "NAME"].map(str::to_owned)];
    for entry in usage::entries(&directory).with_context(looked)? {
        let used = usage::of_entry(&entry).with_context(looked)?;
        rows.push([size(used), printable(&entry.file_name().to_string_lossy())]);
    }
    let usage = usage::of(&directory).with_context(looked)?;
    rows.push([size(usage.bytes), format!("of {}", claim::capacity(&volume))]);
    table(&rows);
    Ok(ExitCode::SUCCESS)
}

/// A claim and its volume.
///
/// # Errors
/// If there is no such claim, or it has no volume (yet).
pub(super) async fn bound(
    client: &Client,
    name: &ClaimName,
) -> anyhow::Result<(PersistentVolumeClaim, PersistentVolume)> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &name.namespace);
    let found = claims.get_opt(&name.name).await.with_context(|| format!("read {name}"))?;
    let Some(claim) = found else {
        bail!("find the claim {name}; see: sampan volume ls");
    };
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let volume = match claim::volume_name(&claim) {
        "" => None,
        volume => volumes.get_opt(volume).await.with_context(|| format!("read {volume}"))?,
    };
    match volume.filter(|volume| claim::is_reserved_for(volume, &claim)) {
        Some(volume) => Ok((claim, volume)),
        None => bail!(
            "find the volume of {name}: the claim is {}; kubectl describe pvc -n {} {} says why",
            claim::phase_of_claim(&claim),
            name.namespace,
            name.name
        ),
    }
}

/// The Pods that have the claim, or wait for it; not those that have ended.
pub(super) fn users(claim: &PersistentVolumeClaim, pods: &[Pod]) -> String {
    let name = claim.name_any();
    let uses = pods.iter().filter(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.metadata.namespace == claim.metadata.namespace
            && !matches!(phase, Some("Succeeded" | "Failed"))
            && claim::claims_of(pod).contains(&name)
    });
    let names: Vec<String> = uses.map(ResourceExt::name_any).collect();
    if names.is_empty() { NONE.to_owned() } else { names.join(",") }
}

async fn list_volumes(client: &Client) -> anyhow::Result<Vec<PersistentVolume>> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    Ok(volumes.list(&ListParams::default()).await.context("list the volumes")?.items)
}

fn in_namespace<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Where its files are, if sampan itself keeps them.
fn own_directory(volume: &PersistentVolume) -> Option<PathBuf> {
    let is_ours = claim::annotation(&volume.metadata, PROVISIONED_BY) == LOCAL_PATH;
    let path = volume.spec.as_ref()?.host_path.as_ref()?.path.as_str();
    is_ours.then(|| PathBuf::from(path))
}

fn place_of(volume: &PersistentVolume) -> Option<String> {
    let spec = volume.spec.as_ref()?;
    let host = spec.host_path.as_ref().map(|host| host.path.clone());
    host.or_else(|| spec.local.as_ref().map(|local| local.path.clone()))
}

/// As `du -h` has it, in powers of 1024.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["Ki", "Mi", "Gi", "Ti", "Pi"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "";
    for next in UNITS {
        if tenths < 10 * 1024 {
            break;
        }
        (tenths, unit) = (tenths.div_ceil(1024), next);
    }
    match (unit, tenths) {
        ("", tenths) => (tenths / 10).to_string(),
        (unit, 0..100) => format!("{}.{}{unit}", tenths / 10, tenths % 10),
        (unit, tenths) => format!("{}{unit}", tenths.div_ceil(10)),
    }
}

/// A guest's names do not write on the user's terminal.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// Columns as kubectl sets them.
fn table<const N: usize>(rows: &[[String; N]]) {
    let width = |column: usize| {
        rows.iter().map(|row: &[String; N]| row[column].chars().count()).max().unwrap_or(0) + 3
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        output::print(cells.collect::<String>().trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        let expect = [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0Ki"),
            (1025, "1.1Ki"),
            (10 << 20, "10Mi"),
            ((10 << 20) + 1, "11Mi"),
            (u64::MAX, "16384Pi"),
        ];
        for (bytes, text) in expect {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn names_are_printed_without_what_moves_a_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a?[2Jb?");
    }
}
