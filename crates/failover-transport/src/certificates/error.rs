//! What may be wrong with key material of our own.

use super::refusal::Refusal;

/// Key material cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A part is not PEM, or not what it is called.
    #[error("{part} cannot be read: {why}.")]
    Unreadable {
        /// What it is called in a Secret.
        part: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A part has nothing in it.
    #[error("{0} holds no PEM block of the expected kind.")]
    Empty(&'static str),
    /// The key does not belong to the certificate.
    #[error("tls.key does not belong to the certificate in tls.crt.")]
    OtherKey,
    /// Peers that accept the same authorities would refuse the certificate.
    #[error("The certificate would be refused by other members: {0}.")]
    Refused(Refusal),
    /// The certificate is for somebody else.
    #[error("The certificate names the member {found}, but this member is {own}.")]
    OtherMember {
        /// Who is named.
        found: String,
        /// Who should be.
        own: String,
    },
    /// A certificate could not be made.
    #[error("A certificate could not be made: {0}.")]
    NotMade(String),
    /// There is no certificate to show.
    #[error("There is neither a certificate of this member nor an authority to check those of others with.")]
    Nothing,
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::NotMade(error.to_string())
    }
}
