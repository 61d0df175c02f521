//! The manifests of a tutorial, as this machine can run them.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use control_plane::loopback_network;
use kube::Client;
use serde_json::{Value, json};

use crate::manifests;
use crate::world::source_tree;

/// The port that the tutorials' Services and profiles have.
const PORT: u16 = 80;
/// The port instead, where the system keeps low ports from this user.
const HIGH_PORT: u16 = 8080;

/// A folder of manifests.
#[derive(Clone, Debug)]
pub struct Samples {
    folder: PathBuf,
    port: u16,
}

impl Samples {
    /// The manifests of `deploy/samples/<name>`.
    pub fn new(name: &str) -> Result<Self> {
        let folder = source_tree().join("deploy/samples").join(name);
        ensure!(folder.is_dir(), "there is no folder {}", folder.display());
        let port = port()?;
        if port != PORT {
            eprintln!(
                "This user may not listen on port {PORT}, so that the Services and profiles have port {port} here; else their \
                 manifests are applied as they are."
            );
        }
        Ok(Self { folder, port })
    }

    /// The port of the Services and of the profiles' probes.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Applies every object of a file.
    pub async fn apply(&self, client: &Client, file: &str) -> Result<()> {
        for mut document in manifests::read(&self.folder.join(file))? {
            use_port(&mut document, self.port);
            manifests::apply(client, &document).await?;
        }
        Ok(())
    }
}

/// The tutorials' port, if this user may listen there.
fn port() -> Result<u16> {
    let [a, b, c] = loopback_network();
    match TcpListener::bind((Ipv4Addr::new(a, b, c, 1), PORT)) {
        Ok(_) => Ok(PORT),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(HIGH_PORT),
        Err(error) => Err(error).context("nothing can listen on loopback"),
    }
}

/// Puts another port where a manifest has the tutorials': what clients and probes use, not what Pods listen at.
fn use_port(document: &mut Value, port: u16) {
    let ports = match document["kind"].as_str() {
        Some("Service") => document.pointer_mut("/spec/ports"),
        Some("TrafficManagerProfile") => document.pointer_mut("/spec/monitorConfig"),
        _ => None,
    };
    let holders: Vec<&mut Value> = match ports {
        Some(Value::Array(all)) => all.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for holder in holders {
        if holder["port"] == json!(PORT) {
            holder["port"] = json!(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_clients_use_gets_another_port() {
        let mut service =
            json!({"kind": "Service", "spec": {"ports": [{"port": 80, "targetPort": 80}, {"port": 443}]}});
        use_port(&mut service, 8080);
        assert_eq!(
            service["spec"]["ports"],
            json!([{"port": 8080, "targetPort": 80}, {"port": 443}])
        );
        let mut profile = json!({"kind": "TrafficManagerProfile", "spec": {"monitorConfig": {"port": 80}}});
        use_port(&mut profile, 8080);
        assert_eq!(profile["spec"]["monitorConfig"]["port"], 8080);
        let mut other = json!({"kind": "ConfigMap", "spec": {"ports": [{"port": 80}]}});
        let before = other.clone();
        use_port(&mut other, 8080);
        assert_eq!(other, before);
    }
}
