//! What every call to the resource manager goes through, whoever formed it: a turn, what Azure asked for, and the token.
//!
//! The token is added here, below the SDK's pipeline, because that logs requests with their authorization.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::HttpClient;
use azure_core::auth::{AccessToken, TokenCredential};
use bytes::Bytes;
use reqwest::Method;
use time::OffsetDateTime;

use crate::credential::Tokens;
use crate::error::{Failure, Refusal};
use crate::limit::{CallKind, Limits, Turns};
use crate::throttle::Throttle;
use crate::transport::{Outgoing, Transport, answer, failed};

/// The way of all calls of an agent to the resource manager.
#[derive(Debug)]
pub(super) struct Gate {
    transport: Transport,
    tokens: Tokens,
    scope: String,
    turns: Turns,
    throttle: Throttle,
}

impl Gate {
    pub(super) fn new(transport: Transport, tokens: Tokens, scope: String, limits: Option<Limits>) -> Self {
        Self {
            transport,
            tokens,
            scope,
            turns: Turns::new(limits),
            throttle: Throttle::default(),
        }
    }

    /// Waits for the turn of a write.
    pub(super) async fn turn(&self, subscription: &str) -> Result<(), Failure> {
        self.throttled(subscription, CallKind::Write)?;
        self.turns.take(CallKind::Write).await;
        Ok(())
    }

    fn throttled(&self, subscription: &str, kind: CallKind) -> Result<(), Failure> {
        let refusal = self.throttle.refusal(subscription, kind);
        refusal.map_or(Ok(()), |refusal| Err(Failure::Refused(refusal)))
    }

    async fn pass(&self, mut call: Outgoing, has_turn: bool) -> Result<Bytes, Failure> {
        let kind = match call.method {
            Method::GET | Method::HEAD => CallKind::Read,
            _ => CallKind::Write,
        };
        let subscription = subscription_of(call.url.path());
        self.throttled(&subscription, kind)?;
        let token = self.tokens.token(&self.scope).await?;
        call.authorize(&token)?;
        if !has_turn {
            self.turns.take(kind).await;
        }
        // Others may have been refused meanwhile.
        self.throttled(&subscription, kind)?;
        let result = self.transport.send(call).await;
        if let Err(Failure::Refused(refusal)) = &result {
            self.learn(&subscription, kind, refusal);
        }
        result
    }

    fn learn(&self, subscription: &str, kind: CallKind, refusal: &Refusal) {
        self.throttle.record(subscription, kind, refusal);
        if refusal.status == 401 {
            // Whoever tries again does so with a new token.
            self.tokens.forget();
        }
    }
}

fn subscription_of(path: &str) -> String {
    let mut parts = path
        .split('/')
        .skip_while(|part| !part.eq_ignore_ascii_case("subscriptions"));
    parts.nth(1).unwrap_or_default().to_owned()
}

#[async_trait]
impl HttpClient for Gate {
    async fn execute_request(&self, request: &azure_core::Request) -> azure_core::Result<azure_core::Response> {
        let call = Outgoing::of(request).map_err(failed)?;
        self.pass(call, false).await.map(answer).map_err(failed)
    }
}

/// The way of calls whose turn was taken before they were formed.
#[derive(Debug)]
pub(super) struct InTurn(pub(super) Arc<Gate>);

#[async_trait]
impl HttpClient for InTurn {
    async fn execute_request(&self, request: &azure_core::Request) -> azure_core::Result<azure_core::Response> {
        let call = Outgoing::of(request).map_err(failed)?;
        self.0.pass(call, true).await.map(answer).map_err(failed)
    }
}

/// What the SDK's client gets instead of a credential: it would put the token where the SDK logs it.
#[derive(Debug)]
pub(super) struct NoCredential;

#[async_trait]
impl TokenCredential for NoCredential {
    async fn get_token(&self, _scopes: &[&str]) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("added-later", OffsetDateTime::UNIX_EPOCH))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_part_of_the_path() {
        for (path, wanted) in [
            ("/subscriptions/s-1/resourceGroups/rg", "s-1"),
            ("/Subscriptions/S", "S"),
            ("/subscriptions", ""),
            ("/metadata", ""),
        ] {
            assert_eq!(subscription_of(path), wanted);
        }
    }
}
