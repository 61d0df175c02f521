//! Certificates and keys of one cluster. They live as long as its run folder and no other cluster trusts them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::files;

const AUTHORITY_CERT: &str = "authority.crt";
const AUTHORITY_KEY: &str = "authority.key";

/// A certificate authority that signs for one cluster.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert_pem: String,
}

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub cert_pem: String,
    /// The private key, PKCS 8.
    pub key_pem: String,
}

/// Where a [`Pair`] was written.
#[derive(Debug, Clone)]
pub struct PairFiles {
    /// The certificate's file.
    pub cert: PathBuf,
    /// The key's file, readable for its owner only.
    pub key: PathBuf,
}

impl Authority {
    /// Makes a fresh authority.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate().context("the key of the certificate authority cannot be made")?;
        let mut params = params(&format!("fairway-{name}"), &[], &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::CrlSign,
        ];
        let cert_pem = params
            .self_signed(&key)
            .context("the certificate authority cannot be made")?
            .pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            cert_pem,
        })
    }

    /// The authority's own certificate.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The authority's private key; with it any identity can be signed.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Writes certificate and key for [`Self::read`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write(&folder.join(AUTHORITY_CERT), self.cert_pem.as_bytes())?;
        files::write_secret(&folder.join(AUTHORITY_KEY), self.key_pem().as_bytes())
    }

    /// The authority that was written into a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let cert_pem = read(AUTHORITY_CERT)?;
        let key = KeyPair::from_pem(&read(AUTHORITY_KEY)?).context("the authority's key cannot be used")?;
        let issuer = Issuer::from_ca_cert_pem(&cert_pem, key).context("the authority's certificate cannot be used")?;
        Ok(Self { issuer, cert_pem })
    }

    /// A certificate that servers show under these names and addresses, and that may also be used as a client.
    pub fn server(&self, common_name: &str, names: &[&str]) -> Result<Pair> {
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params(common_name, &[], names)?, &usages)
    }

    /// A certificate that names a user and its groups, of which there are at most two.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Pair> {
        self.issue(params(user, groups, &[])?, &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(&self, mut params: CertificateParams, usages: &[ExtendedKeyUsagePurpose]) -> Result<Pair> {
        let key = KeyPair::generate().context("a key cannot be made")?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        params.use_authority_key_identifier_extension = true;
        let cert = params
            .signed_by(&key, &self.issuer)
            .context("a certificate cannot be signed")?;
        Ok(Pair {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl Pair {
    /// Writes `<name>.crt` and `<name>.key` into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> Result<PairFiles> {
        let files = PairFiles {
            cert: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        files::write(&files.cert, self.cert_pem.as_bytes())?;
        files::write_secret(&files.key, self.key_pem.as_bytes())?;
        Ok(files)
    }
}

/// The key pair that signs service account tokens: private and public key, PEM.
pub fn token_signing_key() -> Result<(String, String)> {
    let key = KeyPair::generate().context("the service account key cannot be made")?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

fn params(common_name: &str, groups: &[&str], names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).context("a certificate's name is not valid")?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    // The library keeps one value per type; the same type written by its number is another one to it.
    let organization = || DnType::CustomDnType(vec![2, 5, 4, 10]);
    match groups {
        [] => {}
        [one] => subject.push(DnType::OrganizationName, *one),
        [one, two] => {
            subject.push(DnType::OrganizationName, *one);
            subject.push(organization(), *two);
        }
        more => bail!("a certificate holds at most two groups, not {}", more.len()),
    }
    params.distinguished_name = subject;
    Ok(params)
}
