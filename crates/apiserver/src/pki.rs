//! Certificates: the server's authority, its serving certificate, and client certificates for users.

use crate::call::User;
use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate with its key, both PEM.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Certificate.
    pub certificate_pem: String,
    /// Private key.
    pub key_pem: String,
}

/// The authority that signs serving and client certificates. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    issuer: Arc<Issuer<'static, KeyPair>>,
    certificate_pem: Arc<str>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// A fresh authority.
    ///
    /// # Errors
    /// When the key cannot be generated.
    pub fn generate() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::CrlSign,
        ];
        params.distinguished_name = subject("kubernetes", &[]);
        let key = KeyPair::generate().context("generate the key of the certificate authority")?;
        let certificate = params
            .self_signed(&key)
            .context("sign the certificate of the authority")?;
        Ok(Authority {
            certificate_pem: certificate.pem().into(),
            issuer: Arc::new(Issuer::new(params, key)),
        })
    }

    /// An authority that exists already: its certificate and private key, both PEM.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> anyhow::Result<Self> {
        let key = KeyPair::from_pem(key_pem).context("read the key of the certificate authority")?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).context("read the certificate of the authority")?;
        Ok(Authority {
            certificate_pem: certificate_pem.into(),
            issuer: Arc::new(issuer),
        })
    }

    /// The authority's certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A client certificate: the user is its common name, the groups its organizations.
    ///
    /// # Errors
    /// When the key cannot be generated.
    pub fn client(&self, user: &User) -> anyhow::Result<Credential> {
        let groups: Vec<&str> = user
            .groups
            .iter()
            .map(String::as_str)
            .filter(|g| *g != "system:authenticated")
            .collect();
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&user.name, &groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A serving certificate for these names and addresses.
    ///
    /// # Errors
    /// When a name is not valid or the key cannot be generated.
    pub fn server(&self, names: &[String]) -> anyhow::Result<Credential> {
        let mut params = CertificateParams::new(names).context("names of the serving certificate")?;
        params.distinguished_name = subject("kube-apiserver", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> anyhow::Result<Credential> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        let key = KeyPair::generate().context("generate a key")?;
        let certificate = params.signed_by(&key, &self.issuer).context("sign a certificate")?;
        Ok(Credential {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

fn subject(common_name: &str, organizations: &[&str]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    // One organization per group; rcgen keeps one value per type, so several groups share one, joined.
    if !organizations.is_empty() {
        name.push(DnType::OrganizationName, organizations.join(GROUP_SEPARATOR));
    }
    name
}

/// Joins several groups in one organization.
const GROUP_SEPARATOR: &str = ",";

/// The user of a client certificate (DER).
pub fn user_of(certificate: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups: Vec<&str> = subject
        .iter_organization()
        .filter_map(|o| o.as_str().ok())
        .flat_map(|o| o.split(GROUP_SEPARATOR))
        .collect();
    Some(User::new(name, &groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    #[test]
    fn a_client_certificate_names_its_user() {
        let authority = Authority::generate().unwrap();
        let user = User::new("alice", &["system:masters", "dev"]);
        let credential = authority.client(&user).unwrap();
        let der = CertificateDer::from_pem_slice(credential.certificate_pem.as_bytes()).unwrap();
        assert_eq!(user_of(&der), Some(user));
    }
}
