//! `sampan volume cp`: a Pod of our own mounts the claim, and `tar` in it sends or gets.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Client;
use kube::api::{Api, AttachParams, AttachedProcess, ListParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::archive;
use super::chunks::{CHUNK_BYTES, CHUNKS_MAX, Chunks, Sender};
use super::list::{self, printable};
use super::place::{Place, Plan};
use crate::cli::errand::Errand;
use crate::cli::output;
use crate::client::clock::Clock;
use crate::cluster::process::Signals;

/// As a shell reports a command that ^C ended: 128 + SIGINT.
const STOPPED: u8 = 130;

/// Where the Pod has the volume.
const TOP: &str = "/volume";

/// Says what is at a path in the volume: `directory`, `file` or `nothing`, and where that really is. A
/// symlink that leads out of the volume would lead into the Pod's own files.
const LOOK: &str = r#"
kind=file
if [ -e "$1" ]; then
    real=$(realpath "$1") || exit
    [ -d "$real" ] && kind=directory
else
    kind=nothing
    real=$(realpath "${1%/*}") || exit
    if ! [ -d "$real" ]; then
        why='No such file or directory'
        [ -e "$real" ] && why='Not a directory'
        echo "${1%/*}: $why" >&2
        exit 1
    fi
    real=$real/${1##*/}
fi
case $real/ in
    /volume/*) ;;
    *) echo "$1 leads out of the volume" >&2; exit 1 ;;
esac
echo "$kind $real"
"#;

/// Bound: of what the Pod has to say, in bytes. It is for the user to read.
const SAID_BYTES_MAX: u64 = 16 * 1024;

pub(super) async fn run(client: Client, plan: Plan, signals: &Signals) -> anyhow::Result<ExitCode> {
    let (place, read_only) = match &plan {
        Plan::Out { from, .. } => (from, true),
        Plan::In { to, .. } => (to, false),
    };
    let (claim, _) = list::bound(&client, &place.claim).await?;
    check_free(&client, &claim, place).await?;
    let errand = Errand::new(client, &place.claim.namespace, "volume");
    let made = errand.create(|spec| {
        let source = json!({"claimName": place.claim.name, "readOnly": read_only});
        spec["volumes"] = json!([{"name": "volume", "persistentVolumeClaim": source}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "volume", "mountPath": TOP}]);
    });
    made.await?;
    let ended = tokio::select! {
        ended = copy(&errand, &plan) => ended.map(|()| ExitCode::SUCCESS),
        () = signals.first() => Ok(ExitCode::from(STOPPED)),
    };
    errand.remove(&Clock::system()).await;
    ended
}

/// # Errors
/// If no other Pod can have the claim now.
async fn check_free(
    client: &Client,
    claim: &PersistentVolumeClaim,
    place: &Place,
) -> anyhow::Result<()> {
    let name = &place.claim;
    if claim.metadata.deletion_timestamp.is_some() {
        bail!("copy: the claim {name} is being deleted");
    }
    let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref());
    if modes.unwrap_or_default().iter().all(|mode| mode != "ReadWriteOncePod") {
        return Ok(());
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name.namespace);
    let pods = pods.list(&ListParams::default()).await.context("list the Pods")?.items;
    match list::users(claim, &pods) {
        users if users == list::NONE => Ok(()),
        user => bail!(
            "copy: the Pod {user} has {name} for itself (ReadWriteOncePod)\n\
             hint: kubectl cp copies into and out of that Pod"
        ),
    }
}

async fn copy(errand: &Errand, plan: &Plan) -> anyhow::Result<()> {
    errand.runs().await?;
    let work = async {
        let hold = errand.hold().await?;
        let done = match plan {
            Plan::Out { from, to } => copy_out(errand, from, to).await,
            Plan::In { from, to } => copy_in(errand, from, to).await,
        };
        drop(hold);
        done
    };
    let (skipped, ()) = tokio::join!(work, errand.sweep());
    for what in skipped? {
        output::say(&format!("note: left out {}", printable(&what)));
    }
    Ok(())
}

/// What is in the volume at a path.
struct Found {
    kind: String,
    /// In the Pod.
    directory: String,
    /// In the directory; `.` for the volume's top.
    name: String,
}

async fn look(errand: &Errand, place: &Place) -> anyhow::Result<Found> {
    let path = match place.path.as_str() {
        "" => TOP.to_owned(),
        path => format!("{TOP}/{path}"),
    };
    let mut running = exec(errand, &["sh", "-c", LOOK, "sh", &path], false).await?;
    let mut said = String::new();
    let mut stdout = running.process.stdout().context("look into the volume: no stdout")?;
    stdout.read_to_string(&mut said).await.context("look into the volume")?;
    running.ended().await.with_context(|| format!("find {place}"))?;
    let (kind, real) = said.trim_end_matches('\n').split_once(' ').unwrap_or(("", &said));
    let (directory, name) = match real.rsplit_once('/') {
        Some((directory, name)) if real != TOP => (directory, name),
        _ => (TOP, "."),
    };
    let [kind, directory, name] = [kind, directory, name].map(str::to_owned);
    Ok(Found { kind, directory, name })
}

async fn copy_out(errand: &Errand, from: &Place, to: &Path) -> anyhow::Result<archive::Skipped> {
    let found = look(errand, from).await?;
    if found.kind == "nothing" {
        bail!("find {from}: there is no such file or directory in the volume");
    }
    let (directory, name) = destination(to, &found.name)?;
    let failed = || format!("write to {}", directory.display());
    let into = Dir::open_ambient_dir(&directory, ambient_authority()).with_context(failed)?;
    let member = format!("./{}", found.name);
    let command = ["tar", "cf", "-", "-C", &found.directory, &member];
    let mut running = exec(errand, &command, false).await?;
    let mut stdout = running.process.stdout().context("read the volume: no stdout")?;
    let (chunk_tx, chunk_rx) = mpsc::channel::<Vec<u8>>(CHUNKS_MAX);
    let unpack =
        spawn_blocking(move || archive::unpack(Chunks::new(chunk_rx), &found.name, &into, &name));
    // When we take no more, the stream goes, and with it the command.
    let carry = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = stdout.read(&mut chunk).await {
            if chunk_tx.send(chunk[..length].to_vec()).await.is_err() {
                break;
            }
        }
    };
    let (ended, (), unpacked) = tokio::join!(running.ended(), carry, unpack);
    let unpacked = unpacked.context("write what is copied")?;
    let skipped = unpacked.with_context(|| format!("write to {}", to.display()))?;
    ended.with_context(|| format!("read {from}"))?;
    Ok(skipped)
}

/// The directory that is written to, and the name in it; as `cp -r` has it.
fn destination(to: &Path, name: &str) -> anyhow::Result<(PathBuf, String)> {
    if name == "." {
        // What is in the volume goes into the directory.
        std::fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
        return Ok((to.to_owned(), ".".to_owned()));
    }
    if to.is_dir() {
        return Ok((to.to_owned(), name.to_owned()));
    }
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = to.file_name().and_then(|name| name.to_str());
    match name {
        Some(name) => Ok((parent.unwrap_or_else(|| Path::new(".")).to_owned(), name.to_owned())),
        None => bail!("write to {}: there is no such directory", to.display()),
    }
}

async fn copy_in(errand: &Errand, from: &Path, to: &Place) -> anyhow::Result<archive::Skipped> {
    let real = from.canonicalize().with_context(|| format!("find {}", from.display()))?;
    let found = look(errand, to).await?;
    let all = from.as_os_str() == "." || from.to_string_lossy().ends_with("/.");
    let own = real.file_name().and_then(|name| name.to_str());
    let (directory, name) = match (found.kind.as_str(), own) {
        ("directory", _) if all => (join(&found), ".".to_owned()),
        ("directory", Some(own)) => (join(&found), own.to_owned()),
        ("directory", None) => bail!("copy {}: it has no name", from.display()),
        ("file", _) if real.is_dir() => bail!("copy {} over the file {to}", from.display()),
        _ => (found.directory.clone(), found.name.clone()),
    };
    let mut running = exec(errand, &["tar", "xf", "-", "-C", &directory], true).await?;
    let mut stdin = running.process.stdin().context("write to the volume: no stdin")?;
    let (chunk_tx, mut chunk_rx) = mpsc::channel::<Vec<u8>>(CHUNKS_MAX);
    let pack = spawn_blocking(move || {
        let to = io::BufWriter::with_capacity(CHUNK_BYTES, Sender::new(chunk_tx));
        archive::pack(&real, &name, to)
    });
    let carry = async {
        while let Some(chunk) = chunk_rx.recv().await {
            // It has ended: its own words say why.
            if stdin.write_all(&chunk).await.is_err() {
                break;
            }
        }
        drop(chunk_rx);
        let _ = stdin.shutdown().await;
    };
    let (ended, (), packed) = tokio::join!(running.ended(), carry, pack);
    match packed.context("read what is copied")? {
        // Whether all was taken that was to be, who took it knows.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            ended.with_context(|| format!("write to {to}")).map(|()| Vec::new())
        }
        Err(error) => Err(error).context("read what is copied"),
        Ok(skipped) => ended.with_context(|| format!("write to {to}")).map(|()| skipped),
    }
}

fn join(found: &Found) -> String {
    format!("{}/{}", found.directory, found.name)
}

/// A command in the Pod.
struct Running {
    process: AttachedProcess,
}

async fn exec(errand: &Errand, command: &[&str], stdin: bool) -> anyhow::Result<Running> {
    let params = AttachParams::default()
        .stdin(stdin)
        .stdout(true)
        .stderr(true)
        .max_stdin_buf_size(CHUNK_BYTES)
        .max_stdout_buf_size(CHUNK_BYTES)
        .max_stderr_buf_size(CHUNK_BYTES);
    let process = errand.pods.exec(&errand.name, command.to_vec(), &params).await;
    Ok(Running { process: process.with_context(|| format!("run {}", command[0]))? })
}

impl Running {
    /// Waits for the end.
    ///
    /// # Errors
    /// In the command's words, if it failed.
    async fn ended(&mut self) -> anyhow::Result<()> {
        let status = self.process.take_status().context("wait for it: no status")?;
        let mut said = String::new();
        let stderr = self.process.stderr();
        let listen = async {
            if let Some(stderr) = stderr {
                let mut stderr = stderr.take(SAID_BYTES_MAX);
                // What is not text is not for the user; who talks on is not kept from ending.
                let _ = stderr.read_to_string(&mut said).await;
                let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
            }
        };
        let (status, ()) = tokio::join!(status, listen);
        match status {
            None => bail!("stay connected: the cluster has closed the connection"),
            Some(status) if status.status.as_deref() == Some("Success") => Ok(()),
            Some(status) => {
                let why = match said.trim() {
                    "" => status.message.unwrap_or_default(),
                    said => said.lines().map(printable).collect::<Vec<_>>().join("; "),
                };
                bail!("{why}")
            }
        }
    }
}
