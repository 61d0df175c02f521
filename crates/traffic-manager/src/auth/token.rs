//! Tokens: JSON web tokens with a signature by the server's own key. They need no memory, so they outlive a restart and are
//! good at every instance with the same key. One ends with its time, with its client's secret, and with its client.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clients::{Client, Clients, digest};
use super::key::Key;
use crate::error::ArmError;

/// Who issues and takes them.
const ISSUER: &str = "fairway-traffic-manager";
/// Longest header that is looked at.
const LONGEST: usize = 4096;

/// A granted token, as the token endpoint answers it.
#[derive(Serialize)]
pub struct Grant {
    token_type: &'static str,
    expires_in: u64,
    ext_expires_in: u64,
    access_token: String,
}

/// A refused token, as OAuth 2.0 says it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// Code of OAuth 2.0, such as `invalid_client`.
    pub error: &'static str,
    /// A sentence.
    pub error_description: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    /// Beginning of the digest of the secret or the identity that it was granted for.
    key: String,
    iat: i64,
    exp: i64,
}

/// What a client sends (RFC 6749, section 4.4; RFC 7523, section 2.2).
#[derive(Default)]
struct Form {
    grant: String,
    client: String,
    secret: String,
    assertion_type: String,
    assertion: String,
}

/// The only type of assertions.
const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) fn grant(
    clients: &Clients,
    key: &Key,
    tenant: &str,
    form: &[u8],
    now: Timestamp,
    lifetime: Duration,
) -> Result<Grant, Refusal> {
    let form = Form::read(form);
    if form.grant != "client_credentials" {
        let text = format!(
            "The grant type '{}' is not supported: use client_credentials.",
            form.grant
        );
        return Err(refuse(400, "unsupported_grant_type", text));
    }
    let Some(client) = clients.find(Some(tenant), &form.client) else {
        let text = format!(
            "AADSTS700016: Application with identifier '{}' was not found in the directory '{tenant}'.",
            form.client
        );
        return Err(refuse(400, "unauthorized_client", text));
    };
    let mark = form.mark(client, now)?;
    let lasts = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::from_hours(1));
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub: client.id.clone(),
        key: fingerprint(&mark),
        iat: now.as_second(),
        exp: now.as_second().saturating_add(lasts.as_secs()),
    };
    let payload = serde_json::to_vec(&claims)
        .map_err(|err| refuse(500, "server_error", format!("The token cannot be written: {err}.")))?;
    let signed = format!(
        "{}.{}",
        BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64.encode(payload)
    );
    let signature = BASE64.encode(key.sign(&signed));
    Ok(Grant {
        token_type: "Bearer",
        expires_in: lifetime.as_secs(),
        ext_expires_in: lifetime.as_secs(),
        access_token: format!("{signed}.{signature}"),
    })
}

pub(super) fn check(
    clients: &Clients,
    key: &Key,
    authorization: Option<&str>,
    now: Timestamp,
) -> Result<Arc<Client>, ArmError> {
    let Some(authorization) = authorization else {
        let message = "Authentication failed. The 'Authorization' header is missing.";
        return Err(ArmError::new(401, "AuthenticationFailed", message));
    };
    let invalid = || ArmError::new(401, "InvalidAuthenticationToken", "The access token is invalid.");
    let (scheme, token) = authorization.split_once(' ').ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("Bearer") || token.len() > LONGEST {
        return Err(invalid());
    }
    let claims = verify(key, token.trim()).ok_or_else(invalid)?;
    if claims.exp <= now.as_second() {
        let expired = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MIN);
        let message = format!("The access token expiry UTC time '{expired}' is earlier than current UTC time '{now}'.");
        return Err(ArmError::new(401, "ExpiredAuthenticationToken", message));
    }
    let client = clients
        .find(None, &claims.sub)
        .filter(|client| client.marks().any(|mark| fingerprint(&mark) == claims.key));
    client.cloned().ok_or_else(invalid)
}

fn verify(key: &Key, token: &str) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    if !key.verifies(signed, &BASE64.decode(signature).ok()?) {
        return None;
    }
    let (_, payload) = signed.split_once('.')?;
    let claims: Claims = serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()?;
    (claims.iss == ISSUER).then_some(claims)
}

fn fingerprint(mark: &[u8; 32]) -> String {
    BASE64.encode(&mark[..9])
}

impl Form {
    fn read(bytes: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            match name.as_ref() {
                "grant_type" => form.grant = value.into_owned(),
                "client_id" => form.client = value.into_owned(),
                "client_secret" => form.secret = value.into_owned(),
                "client_assertion_type" => form.assertion_type = value.into_owned(),
                "client_assertion" => form.assertion = value.into_owned(),
                _ => {}
            }
        }
        form
    }

    /// The mark of the client for tokens, if the form proves that it comes from it.
    fn mark(&self, client: &Client, now: Timestamp) -> Result<[u8; 32], Refusal> {
        if self.assertion_type.is_empty() && self.assertion.is_empty() {
            let secret = client.secret.filter(|secret| *secret == digest(&self.secret));
            let text = "AADSTS7000215: Invalid client secret provided.";
            return secret.ok_or_else(|| refuse(401, "invalid_client", text.to_owned()));
        }
        if self.assertion_type != JWT {
            let text = format!("AADSTS70021: The client_assertion_type must be '{JWT}'.");
            return Err(refuse(400, "invalid_request", text));
        }
        let Some(federated) = &client.federated else {
            let text = format!(
                "AADSTS70021: No federated identity is configured for the client '{}'.",
                client.id
            );
            return Err(refuse(401, "invalid_client", text));
        };
        federated.verify(&self.assertion, now).map_err(|cause| {
            let text = format!("AADSTS700024: The client assertion is not valid: {cause}.");
            refuse(401, "invalid_client", text)
        })?;
        Ok(digest(&federated.text()))
    }
}

fn refuse(status: u16, error: &'static str, error_description: String) -> Refusal {
    Refusal {
        status,
        error,
        error_description,
    }
}
