//! An application with a secret.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::Url;
use azure_core::auth::TokenCredential as _;
use azure_identity::ClientSecretCredential;
use time::OffsetDateTime;

use super::{Source, Token, of_flow};
use crate::error::Failure;
use crate::secret::Secret;
use crate::transport::Transport;

/// The SDK's credential, whose own store of tokens is emptied before each fetch.
#[derive(Debug)]
pub(super) struct ClientSecret(ClientSecretCredential);

impl ClientSecret {
    pub(super) fn new(transport: Transport, login: Url, tenant: String, client_id: String, secret: &Secret) -> Self {
        let http = Arc::new(transport);
        let secret = secret.expose().to_owned();
        Self(ClientSecretCredential::new(http, login, tenant, client_id, secret))
    }
}

#[async_trait]
impl Source for ClientSecret {
    async fn fetch(&self, scope: &str) -> Result<Token, Failure> {
        let failed = |err: azure_core::Error| of_flow(&err);
        self.0.clear_cache().await.map_err(failed)?;
        let granted = self.0.get_token(&[scope]).await.map_err(failed)?;
        let life = granted.expires_on - OffsetDateTime::now_utc();
        let secret = Secret::new(granted.token.secret());
        Ok(Token::new(secret, life.try_into().unwrap_or_default()))
    }
}
