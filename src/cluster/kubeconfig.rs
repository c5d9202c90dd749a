//! Our entry in the user's kubeconfig: one cluster, one user and one context of the same name;
//! everything else in the file stays as it is.
//!
//! Upstream: `k8s.io/client-go/tools/clientcmd` (which file, which fields).

use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::data_directory;
use crate::api::yaml;

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct Access {
    /// Cluster, user and context are called this.
    pub context: String,
    /// `https://127.0.0.1:6443`.
    pub server: String,
    pub ca_pem: String,
    pub client_certificate_pem: String,
    pub client_key_pem: String,
}

/// Adds or replaces our entry and makes it the current context; atomic, mode 0600.
pub fn merge(path: &Path, access: &Access) -> Result<(), Error> {
    let mut config = read(path)?
        .unwrap_or_else(|| json!({"apiVersion": "v1", "kind": "Config", "preferences": {}}));
    add(&mut config, access);
    write(path, &config)
}

/// Takes our entry out; other entries stay, a missing file is fine. Answers whether it was there.
pub fn remove(path: &Path, context: &str) -> Result<bool, Error> {
    let Some(mut config) = read(path)? else { return Ok(false) };
    let was_there = take_out(&mut config, context);
    if was_there {
        write(path, &config)?;
    }
    Ok(was_there)
}

fn add(config: &mut Value, access: &Access) {
    let name = &access.context;
    take_out(config, name);
    let encode = |pem: &str| STANDARD.encode(pem);
    push(
        config,
        "clusters",
        json!({"name": name, "cluster": {
            "certificate-authority-data": encode(&access.ca_pem),
            "server": access.server,
        }}),
    );
    push(
        config,
        "contexts",
        json!({"name": name, "context": {
            "cluster": name, "namespace": "default", "user": name,
        }}),
    );
    push(
        config,
        "users",
        json!({"name": name, "user": {
            "client-certificate-data": encode(&access.client_certificate_pem),
            "client-key-data": encode(&access.client_key_pem),
        }}),
    );
    config["current-context"] = json!(name);
}

fn push(config: &mut Value, list: &str, entry: Value) {
    match &mut config[list] {
        Value::Array(entries) => entries.push(entry),
        other => *other = json!([entry]),
    }
}

fn take_out(config: &mut Value, name: &str) -> bool {
    let mut found = false;
    for list in ["clusters", "contexts", "users"] {
        if let Some(entries) = config[list].as_array_mut() {
            let before = entries.len();
            entries.retain(|entry| entry["name"] != name);
            found |= entries.len() != before;
        }
    }
    if config["current-context"] == name {
        config["current-context"] = json!("");
    }
    found
}

fn read(path: &Path) -> Result<Option<Value>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    let config = yaml::parse(&bytes)
        .map_err(|err| Error::Parse { path: path.to_owned(), reason: err.to_string() })?;
    match config.value {
        // An empty file.
        Value::Null => Ok(None),
        Value::Object(config) => Ok(Some(Value::Object(config))),
        _ => {
            let reason = "it is not a kubeconfig".to_owned();
            Err(Error::Parse { path: path.to_owned(), reason })
        }
    }
}

fn write(path: &Path, config: &Value) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    // A kubeconfig is often a symlink into a dotfiles directory: replace what it points to.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    data_directory::replace(&target, yaml::to_string(config).as_bytes()).map_err(failed)
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the kubeconfig {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("understand the kubeconfig {}: {reason}; mend it, or choose another with --kubeconfig", path.display())]
    Parse { path: PathBuf, reason: String },
    #[error("write the kubeconfig {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access {
            context: "sampan".to_owned(),
            server: "https://127.0.0.1:6443".to_owned(),
            ca_pem: "CA".to_owned(),
            client_certificate_pem: "CERT".to_owned(),
            client_key_pem: "KEY".to_owned(),
        }
    }

    #[test]
    fn merging_keeps_others_and_removing_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("config");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "apiVersion: v1\nkind: Config\nclusters:\n- name: work\n  cluster: {server: https://work}\ncurrent-context: work\nx-tool: kept\n").unwrap();
        merge(&path, &access()).unwrap();
        merge(&path, &access()).unwrap();
        let config = read(&path).unwrap().unwrap();
        assert_eq!(config["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(config["contexts"][0]["context"]["namespace"], "default");
        assert_eq!(config["current-context"], "sampan");
        assert_eq!(config["x-tool"], "kept");
        assert!(remove(&path, "sampan").unwrap());
        assert!(!remove(&path, "sampan").unwrap());
        let config = read(&path).unwrap().unwrap();
        assert_eq!(
            config["clusters"],
            json!([{"name": "work", "cluster": {"server": "https://work"}}])
        );
        assert_eq!(config["users"], json!([]));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_kubeconfig_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".kube").join("config");
        merge(&path, &access()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
