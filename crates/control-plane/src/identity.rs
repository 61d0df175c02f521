//! Identities for agents: a service account whose token lies in a file and stays fresh.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::files;

/// The API server refuses tokens that live shorter than 600 s; an hour is what kubelets request.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// For one token request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// After a failed refresh; the old token is good for a fifth of its life at least.
const RETRY: Duration = Duration::from_secs(5);

/// A file with the token of a service account, renewed until this value is dropped.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    renewal: JoinHandle<()>,
}

impl TokenFile {
    /// Creates namespace and service account where they are missing, writes the first token and keeps it fresh.
    pub async fn create(client: Client, namespace: &str, account: &str, path: &Path, life: Duration) -> Result<Self> {
        create_account(&client, namespace, account).await?;
        let source = Source {
            client,
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            life,
        };
        source.write(path).await?;
        let renewal = tokio::spawn(source.renew(path.to_owned()));
        Ok(Self {
            path: path.to_owned(),
            renewal,
        })
    }

    /// Where the token is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

struct Source {
    client: Client,
    namespace: String,
    account: String,
    life: Duration,
}

impl Source {
    async fn write(&self, path: &Path) -> Result<()> {
        let token = timeout(REQUEST_DEADLINE, self.request())
            .await
            .context("the token request takes too long")??;
        files::write_secret(path, token.as_bytes())
    }

    async fn request(&self) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let seconds = i64::try_from(self.life.as_secs()).context("the token's life is too long")?;
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(seconds),
                ..Default::default()
            },
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(&self.account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for {}/{}", self.namespace, self.account))?;
        Ok(answer.status.context("the token request has no answer")?.token)
    }

    async fn renew(self, path: PathBuf) {
        let renew_after = self.life.mul_f64(0.8);
        let mut wait = renew_after;
        loop {
            sleep(wait).await;
            wait = match self.write(&path).await {
                Ok(()) => renew_after,
                Err(error) => {
                    tracing::warn!(account = %self.account, "the token is not renewed: {error:#}");
                    RETRY.mul_f64(1.0 + rand::random::<f64>())
                }
            };
        }
    }
}

async fn create_account(client: &Client, namespace: &str, account: &str) -> Result<()> {
    let meta = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let wanted = Namespace {
        metadata: meta(namespace),
        ..Default::default()
    };
    accept_existing(namespaces.create(&PostParams::default(), &wanted).await)
        .with_context(|| format!("the namespace {namespace} cannot be created"))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let wanted = ServiceAccount {
        metadata: meta(account),
        ..Default::default()
    };
    accept_existing(accounts.create(&PostParams::default(), &wanted).await)
        .with_context(|| format!("the service account {namespace}/{account} cannot be created"))
}

fn accept_existing<T>(created: kube::Result<T>) -> Result<()> {
    match created {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(|_| ()).map_err(Into::into),
    }
}
