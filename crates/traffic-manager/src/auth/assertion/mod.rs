//! Assertions of an issuer that a client's identity is known to, instead of a secret (RFC 7523): the token of a service
//! account, which its cluster signs and the kubelet renews.
//!
//! The issuer's public keys come from a file. Nothing is fetched, so nobody can make this server call an address.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use ring::signature;
use serde::Deserialize;

/// Longest assertion.
const LONGEST: usize = 16 * 1024;
/// How far the issuer's clock may be ahead, in seconds.
const SKEW: i64 = 60;

/// Whose assertions are accepted for a client.
pub(super) struct Federated {
    issuer: String,
    subject: String,
    audience: String,
    keys: Vec<Key>,
}

/// As it stands in the file of clients.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Entry {
    issuer: String,
    subject: String,
    #[serde(default = "usual_audience")]
    audience: String,
    pub(super) keys_file: PathBuf,
}

/// What Azure calls the audience of such tokens.
fn usual_audience() -> String {
    "api://AzureADTokenExchange".to_owned()
}

/// A public key of an issuer. The kind of key decides how a signature is verified, whatever the assertion says.
struct Key {
    id: Option<String>,
    material: Material,
}

enum Material {
    /// Modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
    /// A point of the curve P-256, uncompressed.
    P256(Vec<u8>),
}

/// A set of keys (RFC 7517), such as an API server gives at `/openid/v1/jwks`.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Federated {
    /// Reads the keys of an entry.
    pub(super) fn read(entry: Entry) -> Result<Self, String> {
        for (text, name) in [
            (&entry.issuer, "issuer"),
            (&entry.subject, "subject"),
            (&entry.audience, "audience"),
        ] {
            if text.is_empty() {
                return Err(format!("its federated identity has no {name}"));
            }
        }
        Ok(Self {
            keys: read_keys(&entry.keys_file)?,
            issuer: entry.issuer,
            subject: entry.subject,
            audience: entry.audience,
        })
    }

    /// What stands for this identity in tokens: another one is another client.
    pub(super) fn text(&self) -> String {
        format!("{}\n{}\n{}", self.issuer, self.subject, self.audience)
    }

    /// Whether an assertion is of this identity.
    ///
    /// # Errors
    /// Why it is not; nothing of the assertion is in the text.
    pub(super) fn verify(&self, assertion: &str, now: Timestamp) -> Result<(), &'static str> {
        if assertion.len() > LONGEST {
            return Err("it is too long");
        }
        let (signed, signature) = assertion.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        let header: Header = decoded(header).ok_or("its header cannot be read")?;
        let signature = BASE64.decode(signature).map_err(|_| "its signature cannot be read")?;
        // Nothing of the claims counts before the signature does.
        let is_signed = self
            .keys
            .iter()
            .filter(|key| header.kid.is_none() || key.id.is_none() || key.id == header.kid)
            .any(|key| key.material.verifies(&header.alg, signed.as_bytes(), &signature));
        if !is_signed {
            return Err("none of the issuer's keys has signed it");
        }
        let claims: Claims = decoded(claims).ok_or("its claims cannot be read")?;
        let is_for_us = match &claims.aud {
            Audience::One(audience) => *audience == self.audience,
            Audience::Several(all) => all.contains(&self.audience),
        };
        if claims.iss != self.issuer {
            return Err("it is of another issuer");
        }
        if claims.sub != self.subject {
            return Err("it is of another subject");
        }
        if !is_for_us {
            return Err("it is for another audience");
        }
        if claims.exp <= now.as_second() {
            return Err("its time is over");
        }
        if claims
            .nbf
            .is_some_and(|begin| begin > now.as_second().saturating_add(SKEW))
        {
            return Err("its time has not come");
        }
        Ok(())
    }
}

impl Material {
    fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::Rsa(n, e), "RS256") => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Self::P256(point), "ES256") => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            _ => false,
        }
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, String> {
    let unusable = |cause: &str| format!("the file of keys {} cannot be used: {cause}", path.display());
    let bytes = std::fs::read(path).map_err(|err| unusable(&err.to_string()))?;
    let set: KeySet = serde_json::from_slice(&bytes).map_err(|_| unusable("it is no set of keys"))?;
    // Issuers may add kinds of keys that are not used here.
    let keys: Vec<Key> = set.keys.into_iter().filter_map(read_key).collect();
    if keys.is_empty() {
        return Err(unusable("it has no RSA key and no key on the curve P-256"));
    }
    Ok(keys)
}

fn read_key(value: serde_json::Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let bytes = |text: Option<String>| BASE64.decode(text?).ok();
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (bytes(jwk.n)?, bytes(jwk.e)?);
            // The numbers are given without leading zeros, which some issuers add.
            let trimmed = |number: Vec<u8>| number.into_iter().skip_while(|byte| *byte == 0).collect();
            Material::Rsa(trimmed(n), trimmed(e))
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(jwk.x)?, bytes(jwk.y)?);
            if (x.len(), y.len()) != (32, 32) {
                return None;
            }
            Material::P256([vec![4], x, y].concat())
        }
        _ => return None,
    };
    Some(Key { id: jwk.kid, material })
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}
