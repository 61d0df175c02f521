//! Why a certificate of somebody else is not accepted.

use std::time::Duration;

/// Why a certificate is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no X.509 certificate.
    #[error("it is not a certificate that can be read ({0})")]
    Unreadable(String),
    /// No authority that is accepted for the callsign has signed it.
    #[error("no certificate authority that is accepted for this callsign has signed it")]
    UnknownAuthority,
    /// It expired longer ago than is accepted.
    #[error("it expired {} hours ago", .0.as_secs() / 3600)]
    Expired(Duration),
    /// Its time has not begun.
    #[error("it is not valid for another {} seconds", .0.as_secs())]
    NotYetValid(Duration),
    /// It does not name one callsign and one member.
    #[error("{0}")]
    Names(&'static str),
    /// It is for another callsign.
    #[error("it is for another callsign")]
    OtherCallsign,
    /// Anything else, such as a wrong signature or a key usage that it is not for.
    #[error("its chain is not valid ({0})")]
    Chain(String),
}
