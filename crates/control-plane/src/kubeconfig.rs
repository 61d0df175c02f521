//! Kubeconfig files.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::client::{Options, Source};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::files;
use crate::pki::Pair;

/// How a user of a kubeconfig proves who it is.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// A client certificate, embedded.
    Certificate(&'a Pair),
    /// A token in a file, read anew by clients when it changes.
    TokenFile(&'a Path),
}

/// A kubeconfig with one cluster, one user and one context, all called `name`.
pub fn build(name: &str, url: &str, ca_pem: &str, credential: Credential<'_>) -> Result<Kubeconfig> {
    let user = match credential {
        Credential::Certificate(pair) => json!({
            "client-certificate-data": STANDARD.encode(&pair.cert_pem),
            "client-key-data": STANDARD.encode(&pair.key_pem),
        }),
        Credential::TokenFile(path) => json!({"tokenFile": path}),
    };
    let value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": STANDARD.encode(ca_pem)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    });
    serde_json::from_value(value).context("a kubeconfig cannot be built")
}

/// One kubeconfig with a context per cluster; the first cluster is current.
pub fn merge(configs: impl IntoIterator<Item = Kubeconfig>) -> Kubeconfig {
    let mut merged = Kubeconfig::default();
    for config in configs {
        merged.clusters.extend(config.clusters);
        merged.auth_infos.extend(config.auth_infos);
        merged.contexts.extend(config.contexts);
        merged.current_context = merged.current_context.or(config.current_context);
    }
    merged.api_version = Some("v1".to_owned());
    merged.kind = Some("Config".to_owned());
    merged
}

/// Writes a kubeconfig that only its owner may read.
pub fn write(config: &Kubeconfig, path: &Path) -> Result<()> {
    let value = serde_json::to_value(config).context("a kubeconfig cannot be written")?;
    let text = serde_yaml::to_string(&without_nulls(value)).context("a kubeconfig cannot be written")?;
    files::write_secret(path, text.as_bytes())
}

/// A client for a kubeconfig's current context, without a limit on requests.
pub async fn client(path: &Path) -> Result<kube::Client> {
    kit::install_crypto();
    let options = Options {
        rate: None,
        ..Options::new(Source::Kubeconfig(path.to_owned()))
    };
    Ok(kit::client::build(options).await?)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .filter(|(_, value)| !value.is_null() && *value != json!({}));
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// `export` lines for a shell: `KUBECONFIG` for the merged file and one variable per cluster.
pub fn export_lines(merged: &Path, clusters: &BTreeMap<String, std::path::PathBuf>) -> Vec<String> {
    let variable = |name: &str| name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut lines = vec![format!("export KUBECONFIG={}", quoted(merged))];
    lines.extend(
        clusters
            .iter()
            .map(|(name, path)| format!("export KUBECONFIG_{}={}", variable(name), quoted(path))),
    );
    lines
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn merged_contexts_keep_their_names_and_the_first_is_current() {
        let token = PathBuf::from("/run/token");
        let one = build("hub", "https://127.0.0.1:1", "CA", Credential::TokenFile(&token)).expect("builds");
        let two = build("member-1", "https://127.0.0.1:2", "CA", Credential::TokenFile(&token)).expect("builds");
        let merged = merge([one, two]);
        assert_eq!(merged.current_context.as_deref(), Some("hub"));
        let names: Vec<&str> = merged.contexts.iter().map(|context| context.name.as_str()).collect();
        assert_eq!(names, ["hub", "member-1"]);
    }

    #[test]
    fn export_lines_can_be_pasted() {
        let clusters = BTreeMap::from([("member-1".to_owned(), PathBuf::from("/a b/it's"))]);
        assert_eq!(
            export_lines(Path::new("/run/kubeconfig"), &clusters),
            [
                "export KUBECONFIG=/run/kubeconfig",
                r"export KUBECONFIG_MEMBER_1='/a b/it'\''s'"
            ]
        );
    }
}
