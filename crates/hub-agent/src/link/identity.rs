//! What tokens and client certificates say of themselves.

use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::auth::User;

/// A group of everybody whom the API server knows.
const AUTHENTICATED: &str = "system:authenticated";

/// When a service account's token expires, from its claims. The API server has verified the token already, so only its
/// time is read here; a token of another form has none.
pub(super) fn token_expiry(token: &str) -> Option<Timestamp> {
    use base64::Engine as _;
    let claims = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

/// Whom a verified client certificate stands for, by the API server's rule: the common name is the user, organisations
/// are groups. Also when it expires. `None` when it names nobody or cannot be read.
pub(super) fn of_certificate(der: &[u8]) -> Option<(User, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let username = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    if username.is_empty() {
        return None;
    }
    let mut groups: Vec<String> = subject
        .iter_organization()
        .filter_map(|group| group.as_str().ok().map(str::to_owned))
        .collect();
    groups.push(AUTHENTICATED.to_owned());
    let until = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
    let user = User {
        username,
        uid: String::new(),
        groups,
    };
    Some((user, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_of_a_token_is_read_from_its_claims() {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.signature", encode("{}"), encode(r#"{"exp":1700000000}"#));
        assert_eq!(token_expiry(&token), Timestamp::from_second(1_700_000_000).ok());
        assert_eq!(token_expiry("opaque"), None);
    }

    #[test]
    fn a_certificate_names_a_user_by_the_rule_of_the_api_server() {
        let key = rcgen::KeyPair::generate().unwrap();
        let of = |names: &[(rcgen::DnType, &str)]| {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, text) in names {
                params.distinguished_name.push(kind.clone(), *text);
            }
            params.not_after = rcgen::date_time_ymd(2030, 1, 1);
            let certificate = params.self_signed(&key).unwrap();
            of_certificate(certificate.der())
        };
        let (user, until) = of(&[
            (rcgen::DnType::CommonName, "m1"),
            (rcgen::DnType::OrganizationName, "members"),
        ])
        .unwrap();
        assert_eq!(
            (user.username.as_str(), user.groups),
            ("m1", vec!["members".to_owned(), AUTHENTICATED.to_owned()])
        );
        assert_eq!(until.to_string(), "2030-01-01T00:00:00Z");
        assert!(of(&[(rcgen::DnType::OrganizationName, "members")]).is_none(), "nobody");
        assert!(of_certificate(b"no certificate").is_none());
    }
}
