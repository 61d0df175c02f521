//! Workload identity: the cluster's token for a service account is exchanged for one of Azure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::Url;
use azure_identity::federated_credentials_flow;

use super::{Source, Token, of_flow};
use crate::error::Failure;
use crate::secret::Secret;
use crate::transport::Transport;

/// Reads its file anew for each token: the kubelet renews it, and the SDK's own credential would go on with the first one
/// for ever.
#[derive(Debug)]
pub(super) struct FileTokenCredential {
    transport: Transport,
    login: Url,
    tenant: String,
    client_id: String,
    file: PathBuf,
}

impl FileTokenCredential {
    pub(super) fn new(transport: Transport, login: Url, tenant: String, client_id: String, file: PathBuf) -> Self {
        Self {
            transport,
            login,
            tenant,
            client_id,
            file,
        }
    }
}

#[async_trait]
impl Source for FileTokenCredential {
    async fn fetch(&self, scope: &str) -> Result<Token, Failure> {
        let unusable = |cause: &str| {
            let file = self.file.display();
            Failure::Credentials(format!("the token file {file} {cause}"))
        };
        let assertion = tokio::fs::read_to_string(&self.file)
            .await
            .map_err(|err| unusable(&format!("cannot be read: {err}")))?;
        let assertion = assertion.trim();
        if assertion.is_empty() {
            return Err(unusable("is empty"));
        }
        exchange(
            &self.transport,
            &self.login,
            &self.tenant,
            &self.client_id,
            assertion,
            scope,
        )
        .await
    }
}

/// Exchanges an assertion for a token.
pub(super) async fn exchange(
    transport: &Transport,
    login: &Url,
    tenant: &str,
    client_id: &str,
    assertion: &str,
    scope: &str,
) -> Result<Token, Failure> {
    let http = Arc::new(transport.clone());
    let granted = federated_credentials_flow::perform(http, client_id, assertion, &[scope], tenant, login)
        .await
        .map_err(|err| of_flow(&err))?;
    let secret = Secret::new(granted.access_token().secret());
    Ok(Token::new(secret, Duration::from_secs(granted.expires_in)))
}
