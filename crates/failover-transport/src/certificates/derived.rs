//! Certificates that need nothing but the callsign: everybody who knows it has the same certificate authority.

use std::time::{Duration, SystemTime};

use failover::member::MemberId;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::authority::{Authority, Source};
use super::credentials::Identity;
use super::error::CertificateError;
use super::leaf;
use crate::keys::{CallsignKeys, Secret};

/// Dates of derived certificates are not checked; this is for who looks at one.
const VALIDITY: Duration = Duration::from_hours(10 * 365 * 24);

/// The certificate authority of a callsign.
pub fn authority(keys: &CallsignKeys, now: SystemTime) -> Result<Authority, CertificateError> {
    let certificate = authority_params(keys, now).self_signed(&authority_key(keys)?)?;
    Authority::new(Source::Derived, std::slice::from_ref(certificate.der()))
}

/// A certificate for a member with a new key, signed by itself: once per process is enough.
pub fn identity(keys: &CallsignKeys, member: &MemberId, now: SystemTime) -> Result<Identity, CertificateError> {
    let issuer = Issuer::new(authority_params(keys, now), authority_key(keys)?);
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let certificate = leaf::params(keys.id(), member, now, VALIDITY)?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity::new(Source::Derived, vec![certificate.der().clone()], key)
}

fn authority_params(keys: &CallsignKeys, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = leaf::common_name(&format!("kvmc derived {}", keys.id()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    leaf::dates(&mut params, now, VALIDITY);
    params
}

fn authority_key(keys: &CallsignKeys) -> Result<KeyPair, CertificateError> {
    Ok(KeyPair::try_from(&PrivatePkcs8KeyDer::from(
        pkcs8(keys.authority_seed()).as_slice(),
    ))?)
}

/// An Ed25519 seed in the envelope that libraries read (RFC 8410 section 7, version 1 of PKCS #8).
fn pkcs8(seed: &Secret) -> Zeroizing<Vec<u8>> {
    const ENVELOPE: [u8; 16] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    Zeroizing::new([ENVELOPE.as_slice(), seed.as_slice()].concat())
}
