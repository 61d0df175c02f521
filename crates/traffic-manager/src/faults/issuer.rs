//! An issuer of assertions, as a cluster is for its service accounts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// Name of the issuer of [`super::Server`].
pub const ISSUER: &str = "https://cluster.example";
/// The subject of its assertions.
pub const SUBJECT: &str = "system:serviceaccount:fleet-system:hub-agent-sa";
/// Whom they are for.
pub const AUDIENCE: &str = "api://AzureADTokenExchange";

/// An issuer with a key of its own.
#[derive(Debug)]
pub struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    /// One with a new key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, String> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|err| err.to_string())?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).map_err(|err| err.to_string())?;
        Ok(Self { key, random })
    }

    /// Its public keys.
    pub fn keys(&self) -> Value {
        // Behind the mark of an uncompressed point.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256",
            "x": BASE64.encode(x), "y": BASE64.encode(y)}]})
    }

    /// An assertion for [`SUBJECT`] that is good until then, in seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn assertion(&self, expires: i64) -> Result<String, String> {
        let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "exp": expires});
        self.sign(&json!({"alg": "ES256", "kid": "1", "typ": "JWT"}), &claims)
    }

    /// Any header and claims, signed.
    ///
    /// # Errors
    /// When they cannot be signed.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, String> {
        let signed = format!(
            "{}.{}",
            BASE64.encode(header.to_string()),
            BASE64.encode(claims.to_string())
        );
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .map_err(|err| err.to_string())?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }
}
