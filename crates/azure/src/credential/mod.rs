//! Who the agent is: tokens, kept until shortly before their end and fetched once for all who need one.

mod certificate;
mod federated;
mod managed;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::config::{CloudConfig, ConfigError, Endpoints, Identity};
use crate::error::{Failure, failure_of};
use crate::secret::Secret;
use crate::transport::{Transport, TransportOptions};

/// A token is renewed this long before its end, or at half of its life if that is later.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// A token that ends sooner is not sent.
const MIN_LEFT: Duration = Duration::from_secs(10);
/// After a failed renewal the old token serves so long without another try.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// Scopes that are kept at the same time; an agent has one.
const MAX_SCOPES: usize = 16;

/// Where a new token comes from.
#[async_trait]
pub(crate) trait Source: Send + Sync + fmt::Debug {
    /// Fetches a token. Nothing is kept.
    async fn fetch(&self, scope: &str) -> Result<Token, Failure>;
}

/// A token and the times that matter.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    secret: Secret,
    renew_at: Instant,
    /// It may be sent until then.
    serves_until: Instant,
}

impl Token {
    /// One that was issued now for so long.
    pub(crate) fn new(secret: Secret, life: Duration) -> Self {
        let now = Instant::now();
        let life = life.min(Duration::from_secs(7 * 24 * 60 * 60));
        Self {
            secret,
            renew_at: now + life.saturating_sub(EARLY).max(life / 2),
            serves_until: now + life.saturating_sub(MIN_LEFT),
        }
    }
}

/// The tokens of an identity, by scope.
#[derive(Debug)]
pub(crate) struct Tokens {
    source: Arc<dyn Source>,
    kept: Arc<Cache<Token, Failure>>,
    failed: Arc<Mutex<Option<Instant>>>,
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            kept: Arc::new(Cache::new(MAX_SCOPES)),
            failed: Arc::default(),
        }
    }

    /// The source that a config asks for.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub(crate) async fn of(
        config: &CloudConfig,
        endpoints: &Endpoints,
        transport: &Transport,
        user_agent: &str,
    ) -> Result<Self, ConfigError> {
        let tenant = config.tenant_id.clone();
        let login = endpoints.login.clone();
        let managed = |query| {
            let mut options = TransportOptions::new(user_agent);
            options.proxies = false;
            Ok::<Arc<dyn Source>, ConfigError>(Arc::new(managed::Managed::new(Transport::new(&options)?, query)))
        };
        let source: Arc<dyn Source> = match &config.identity {
            Identity::Federated { client_id, token_file } => Arc::new(federated::FileTokenCredential::new(
                transport.clone(),
                login,
                tenant,
                client_id.clone(),
                token_file.clone(),
            )),
            Identity::SystemAssigned => managed(None)?,
            Identity::UserAssignedClient(id) => managed(Some(("client_id", id.clone())))?,
            Identity::UserAssignedResource(id) => managed(Some(("msi_res_id", id.clone())))?,
            Identity::ClientSecret { client_id, secret } => Arc::new(secret::ClientSecret::new(
                transport.clone(),
                login,
                tenant,
                client_id.clone(),
                secret,
            )),
            Identity::Certificate {
                client_id,
                file,
                password: _,
            } => {
                let source =
                    certificate::Certificate::new(transport.clone(), login, tenant, client_id.clone(), file.clone());
                source.check().await.map_err(ConfigError::Credential)?;
                Arc::new(source)
            }
        };
        Ok(Self::new(source))
    }

    /// A token that is good now.
    pub(crate) async fn token(&self, scope: &str) -> Result<Secret, Failure> {
        let now = Instant::now();
        let paused = self.failed.lock().is_some_and(|at| now < at + RENEWAL_PAUSE);
        let serves = |token: &Token| now < token.serves_until;
        let good = |token: &Token| now < token.renew_at || (paused && serves(token));
        let fetch = || {
            let (source, failed, scope) = (Arc::clone(&self.source), Arc::clone(&self.failed), scope.to_owned());
            async move {
                let token = source.fetch(&scope).await.map_err(of_credentials);
                *failed.lock() = token.is_err().then(Instant::now);
                if let Err(failure) = &token {
                    tracing::warn!(scope, %failure, "No token could be had; a token that is still good stays in use.");
                }
                token
            }
        };
        let token = self.kept.get(scope, good, serves, fetch).await?;
        Ok(token.secret)
    }

    /// A token was refused: none that is kept is used again.
    pub(crate) fn forget(&self) {
        self.kept.clear();
    }
}

/// However it failed, what is missing is a token.
fn of_credentials(failure: Failure) -> Failure {
    match failure {
        Failure::Credentials(_) => failure,
        Failure::NoAnswer(cause) => Failure::Credentials(format!("no token could be had: {cause}")),
        Failure::Refused(refusal) => Failure::Credentials(format!(
            "no token could be had: {} {}: {}",
            refusal.status,
            refusal.code,
            refusal.message.trim_end_matches('.')
        )),
    }
}

/// The failure of one of the SDK's login flows. Its own text may repeat what could not be read, so it is not used.
fn of_flow(error: &azure_core::Error) -> Failure {
    failure_of(error)
        .unwrap_or_else(|| Failure::Credentials("the answer of the login service holds no token".to_owned()))
}

/// Whether an answer of the metadata service holds a token, for fuzzing.
#[doc(hidden)]
pub fn reads_managed_token(body: &[u8]) -> bool {
    managed::granted(body, jiff::Timestamp::UNIX_EPOCH).is_some()
}
