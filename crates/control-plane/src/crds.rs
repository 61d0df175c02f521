//! Installs CustomResourceDefinitions and waits until the API server serves them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

const FIELD_MANAGER: &str = "fairway-setup";
/// Establishing takes a second or two on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The folder of our own definitions, in the source tree that this crate was built from.
pub fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds")
}

/// Installs every definition found in files or folders of YAML; returns their names.
pub async fn install(client: &Client, paths: &[PathBuf]) -> Result<Vec<String>> {
    let definitions = read(paths)?;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let installs = definitions.into_iter().map(|(name, definition)| {
        let (api, params) = (&api, &params);
        async move {
            let work = async {
                api.patch(&name, params, &Patch::Apply(&definition))
                    .await
                    .context("it is refused")?;
                await_condition(api.clone(), &name, is_crd_established())
                    .await
                    .context("it cannot be watched")
            };
            timeout(DEADLINE, work)
                .await
                .map_err(|_| anyhow::anyhow!("it is not established in time"))
                .and_then(|done| done)
                .with_context(|| format!("the CustomResourceDefinition {name} cannot be installed"))?;
            Ok::<_, anyhow::Error>(name)
        }
    });
    try_join_all(installs).await
}

fn read(paths: &[PathBuf]) -> Result<Vec<(String, Value)>> {
    let mut definitions = Vec::new();
    for file in files(paths)? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value = Value::deserialize(document).with_context(|| format!("{} is not YAML", file.display()))?;
            if value.is_null() {
                continue;
            }
            let name = value.pointer("/metadata/name").and_then(Value::as_str);
            match (value.get("kind").and_then(Value::as_str), name) {
                (Some("CustomResourceDefinition"), Some(name)) => definitions.push((name.to_owned(), value.clone())),
                (kind, _) => bail!("{} holds {kind:?}, not a CustomResourceDefinition", file.display()),
            }
        }
    }
    Ok(definitions)
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_file() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut inside = Vec::new();
        for entry in entries {
            let entry = entry
                .with_context(|| format!("{} cannot be read", path.display()))?
                .path();
            if entry
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
            {
                inside.push(entry);
            }
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}
