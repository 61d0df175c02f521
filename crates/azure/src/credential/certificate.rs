//! An application with a certificate: it signs an assertion, which is exchanged like a federated token.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::Url;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use ring::{digest, rand::SecureRandom as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use super::federated::exchange;
use super::{Source, Token};
use crate::error::Failure;
use crate::transport::Transport;

/// How long an assertion is good; it is used at once.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// Reads its file anew for each token, so that a renewed certificate is used.
#[derive(Debug)]
pub(super) struct Certificate {
    transport: Transport,
    login: Url,
    tenant: String,
    client_id: String,
    file: PathBuf,
}

impl Certificate {
    pub(super) fn new(transport: Transport, login: Url, tenant: String, client_id: String, file: PathBuf) -> Self {
        Self {
            transport,
            login,
            tenant,
            client_id,
            file,
        }
    }

    /// Whether the file can be used now.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(super) async fn check(&self) -> Result<(), String> {
        self.assertion(Timestamp::now()).await.map(drop)
    }

    async fn assertion(&self, now: Timestamp) -> Result<String, String> {
        let file = self.file.display();
        let pem = tokio::fs::read(&self.file)
            .await
            .map_err(|err| format!("The certificate file {file} cannot be read: {err}."))?;
        let audience = format!(
            "{}/{}/oauth2/v2.0/token",
            self.login.as_str().trim_end_matches('/'),
            self.tenant
        );
        sign(&pem, &audience, &self.client_id, now).map_err(|cause| format!("The certificate file {file} {cause}."))
    }
}

#[async_trait]
impl Source for Certificate {
    async fn fetch(&self, scope: &str) -> Result<Token, Failure> {
        let assertion = self.assertion(Timestamp::now()).await;
        let assertion = assertion.map_err(|cause| Failure::Credentials(cause.trim_end_matches('.').to_owned()))?;
        exchange(
            &self.transport,
            &self.login,
            &self.tenant,
            &self.client_id,
            &assertion,
            scope,
        )
        .await
    }
}

/// A signed assertion of a PEM file with an RSA key, the certificate and those that lead to its authority.
pub(super) fn sign(pem: &[u8], audience: &str, client_id: &str, now: Timestamp) -> Result<String, String> {
    const CONVERT: &str = "`openssl pkcs12 -in FILE -out FILE.pem -nodes` converts it";
    let text = String::from_utf8_lossy(pem);
    if !text.contains("-----BEGIN ") {
        return Err(format!("is no PEM file. PKCS#12 is not supported: {CONVERT}"));
    }
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(format!("has a key with a password, which is not supported: {CONVERT}"));
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| "is not valid PEM".to_owned())?;
    let leaf = chain.first().ok_or("holds no certificate")?;
    let key = match PrivateKeyDer::from_pem_slice(pem) {
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err("holds no RSA key".to_owned()),
    };
    let key = key.map_err(|err| format!("holds no RSA key that can be used: {err}"))?;
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random
        .fill(&mut id)
        .map_err(|_| "cannot be used, because the system gives no random numbers".to_owned())?;
    let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
    let header = json!({
        "alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(thumbprint),
        "x5c": chain.iter().map(|der| STANDARD.encode(der)).collect::<Vec<_>>(),
    });
    let seconds = now.as_second();
    let claims = json!({
        "aud": audience, "iss": client_id, "sub": client_id, "jti": URL_SAFE_NO_PAD.encode(id),
        "nbf": seconds, "iat": seconds, "exp": seconds + LIFE.as_secs().cast_signed(),
    });
    let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = parts.join(".");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
        .map_err(|_| "holds a key that cannot sign".to_owned())?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
