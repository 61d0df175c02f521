//! Who sends a request: client certificates (verified by the transport), bearer tokens, impersonation. Issues service account tokens.

use crate::call::User;
use crate::object::{at, strings, text};
use crate::routes::Target;
use crate::server::{Core, Identity};
use crate::status::{ApiError, ApiResult};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Issuer of the tokens, and their audience where the request names none.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The user behind a request.
pub fn authenticate(core: &Core, headers: &HeaderMap, identity: Identity) -> ApiResult<User> {
    let bearer = |token: &str| {
        core.tokens
            .verify(core, token, &[])
            .map(|v| v.user)
            .ok_or_else(ApiError::unauthorized)
    };
    let user = match identity {
        Identity::User(user) => user,
        Identity::Token(token) => bearer(&token)?,
        Identity::Headers => match headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) {
            None => User::anonymous(),
            Some(value) => {
                let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer "));
                bearer(token.ok_or_else(ApiError::unauthorized)?.trim())?
            }
        },
    };
    impersonate(core, headers, user)
}

/// Acts as somebody else where the headers say so and the rules allow it.
fn impersonate(core: &Core, headers: &HeaderMap, user: User) -> ApiResult<User> {
    let get = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let Some(name) = get("Impersonate-User") else {
        return Ok(user);
    };
    let groups: Vec<&str> = headers
        .get_all("Impersonate-Group")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let may = |group: &str, resource: &str, namespace: &str, name: &str| {
        let target = Target {
            group: group.into(),
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
            version: "v1".into(),
            ..Target::default()
        };
        core.rbac.authorize(&user, "impersonate", &target)
    };
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, account)) => may("", "serviceaccounts", namespace, account)?,
        None => may("", "users", "", &name)?,
    }
    groups.iter().try_for_each(|group| may("", "groups", "", group))?;
    Ok(match account {
        Some((namespace, account)) if groups.is_empty() => User::service_account(namespace, account, ""),
        _ => User::new(&name, &groups),
    })
}

/// A verified token.
pub struct Verified {
    /// Its user.
    pub user: User,
    /// The audiences that both sides know.
    pub audiences: Vec<String>,
}

/// Issues and verifies service account tokens (JSON web tokens signed with a key of this server).
pub struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    /// Tokens signed with this key.
    pub fn new(key: [u8; 32]) -> Self {
        Tokens { key }
    }

    /// A token for a service account.
    pub fn issue(
        &self,
        core: &Core,
        namespace: &str,
        name: &str,
        uid: &str,
        audiences: &[&str],
        expires: Timestamp,
    ) -> String {
        let now = core.clock.now().as_second();
        let audiences = if audiences.is_empty() {
            vec![ISSUER]
        } else {
            audiences.to_vec()
        };
        let claims = json!({
            "aud": audiences, "exp": expires.as_second(), "iat": now, "nbf": now, "iss": ISSUER, "jti": core.ids.uid(),
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(&self.key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The user of a token, if it is ours, in time, for one of `audiences` (empty: the server's own), and its service
    /// account still exists.
    pub fn verify(&self, core: &Core, token: &str, audiences: &[&str]) -> Option<Verified> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !same_bytes(&signature, &hmac_sha256(&self.key, signed.as_bytes())) {
            return None;
        }
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?).ok()?;
        let expires = claims.get("exp")?.as_i64()?;
        if core.clock.now().as_second() >= expires {
            return None;
        }
        let wanted = if audiences.is_empty() { &[ISSUER][..] } else { audiences };
        let shared: Vec<String> = strings(claims.get("aud"))
            .into_iter()
            .filter(|a| wanted.contains(a))
            .map(str::to_owned)
            .collect();
        if shared.is_empty() {
            return None;
        }
        let facts = claims.get("kubernetes.io")?;
        let (namespace, name) = (text(facts, &["namespace"]), text(facts, &["serviceaccount", "name"]));
        let uid = text(facts, &["serviceaccount", "uid"]);
        let account = core.store.get("serviceaccounts", namespace, name)?;
        if *account.uid != *uid || account.terminating {
            return None;
        }
        let mut user = User::service_account(namespace, name, uid);
        let id = at(&claims, &["jti"]).and_then(Value::as_str).unwrap_or_default();
        user.extra.insert(
            "authentication.kubernetes.io/credential-id".into(),
            vec![format!("JTI={id}")],
        );
        Some(Verified {
            user,
            audiences: shared,
        })
    }
}

/// HMAC-SHA256 (RFC 2104) of a message.
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut inner_pad = [0x36u8; 64];
    let mut outer_pad = [0x5cu8; 64];
    for ((inner, outer), byte) in inner_pad.iter_mut().zip(outer_pad.iter_mut()).zip(key) {
        *inner ^= byte;
        *outer ^= byte;
    }
    let inner = Sha256::new().chain_update(inner_pad).chain_update(message).finalize();
    Sha256::new()
        .chain_update(outer_pad)
        .chain_update(inner)
        .finalize()
        .into()
}

/// Compares without telling by its duration where the difference is.
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_matches_the_published_vector() {
        // RFC 4231 case 2 has a shorter key; a key padded with zeros to 32 bytes gives the same MAC.
        let mut key = [0u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mac = hmac_sha256(&key, b"what do ya want for nothing?");
        let hex: String = mac.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
