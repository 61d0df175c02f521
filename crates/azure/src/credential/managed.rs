//! The managed identity of the machine, or one that the machine may use. The SDK knows only the former.

use std::time::Duration;

use async_trait::async_trait;
use azure_core::Url;
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use serde_json::Value;

use super::{Source, Token};
use crate::error::Failure;
use crate::secret::Secret;
use crate::transport::{Outgoing, Transport};

/// Where a machine of the cloud asks for tokens.
const METADATA_SERVICE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Asks the metadata service of the machine.
#[derive(Debug)]
pub(super) struct Managed {
    transport: Transport,
    address: String,
    /// Which of the machine's identities, if not its own.
    identity: Option<(&'static str, String)>,
}

impl Managed {
    /// `transport` must not use proxies: the service answers the machine alone.
    pub(super) fn new(transport: Transport, identity: Option<(&'static str, String)>) -> Self {
        Self {
            transport,
            address: METADATA_SERVICE.to_owned(),
            identity,
        }
    }

    #[cfg(test)]
    pub(super) fn at(mut self, address: String) -> Self {
        self.address = address;
        self
    }
}

#[async_trait]
impl Source for Managed {
    async fn fetch(&self, scope: &str) -> Result<Token, Failure> {
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let mut query = vec![("api-version", "2018-02-01"), ("resource", resource)];
        if let Some((name, value)) = &self.identity {
            query.push((name, value));
        }
        let url = Url::parse_with_params(&self.address, query)
            .map_err(|_| Failure::Credentials("the address of the metadata service is no URL".to_owned()))?;
        let mut call = Outgoing::get(url);
        call.headers.insert("metadata", HeaderValue::from_static("true"));
        let body = self.transport.send(call).await?;
        granted(&body, Timestamp::now())
            .ok_or_else(|| Failure::Credentials("the answer of the metadata service holds no token".to_owned()))
    }
}

/// Reads an answer. Times are seconds, as text or number.
pub(super) fn granted(body: &[u8], now: Timestamp) -> Option<Token> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let seconds = |name: &str| match value.get(name)? {
        Value::String(text) => text.trim().parse::<i64>().ok(),
        other => other.as_i64(),
    };
    let token = value.get("access_token")?.as_str()?.trim();
    let at = seconds("expires_on").map(|at| at.saturating_sub(now.as_second()));
    let left = u64::try_from(at.or_else(|| seconds("expires_in"))?).unwrap_or(0);
    (!token.is_empty()).then(|| Token::new(Secret::new(token), Duration::from_secs(left)))
}
