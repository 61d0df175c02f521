//! How a member requests a certificate from the hub: a certificate request, and the proof that the requester knows the
//! callsign.
//!
//! The proof is a signature by an Ed25519 key that is derived from the callsign, and not a MAC: the hub then verifies
//! it without ever knowing the key, and whoever reads a request cannot make another one.

use failover::member::MemberId;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SanType, string::Ia5String};
use ring::digest;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::error::CertificateError;
use super::leaf::common_name;
use crate::keys::CallsignKeys;
use crate::names::uris;

/// What the proof's signature covers before the request, so that it means nothing anywhere else.
const CONTEXT: &[u8] = b"kvmc/1 certificate request\0";

/// What a member sends to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The certificate request (PKCS #10) in DER.
    pub csr: Vec<u8>,
    /// The public key of the proof: the same for everybody who knows the callsign.
    pub proof_key: Vec<u8>,
    /// The signature of the request by that key.
    pub proof: Vec<u8>,
}

impl Request {
    /// Makes a new key and a request for it. The key, in PEM, stays with the member.
    pub fn new(keys: &CallsignKeys, member: &MemberId) -> Result<(Self, Zeroizing<String>), CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("kvmc member");
        params.subject_alt_names = uris(keys.id(), member)
            .into_iter()
            .map(|uri| Ok(SanType::URI(Ia5String::try_from(uri)?)))
            .collect::<Result<_, rcgen::Error>>()?;
        let csr = params.serialize_request(&key)?.der().to_vec();
        let proof_key = Ed25519KeyPair::from_seed_unchecked(keys.proof_seed().as_slice())
            .map_err(|error| CertificateError::NotMade(error.to_string()))?;
        let request = Self {
            proof: proof_key.sign(&signed(&csr)).as_ref().to_vec(),
            proof_key: proof_key.public_key().as_ref().to_vec(),
            csr,
        };
        Ok((request, Zeroizing::new(key.serialize_pem())))
    }

    /// Whether the proof is one by its key.
    pub fn is_proven(&self) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.proof_key)
            .verify(&signed(&self.csr), &self.proof)
            .is_ok()
    }

    /// What the hub remembers of the first requester of a callsign: the hash of the proof's key in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.proof_key);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn signed(csr: &[u8]) -> Vec<u8> {
    [CONTEXT, csr].concat()
}
