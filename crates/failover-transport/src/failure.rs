//! Why no connection came about, on either side.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use failover::member::MemberId;
use rustls::AlertDescription;

use crate::certificates::Refusal;

/// Why dialling did not lead to a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// A listener of the same protocol answers, and knows no member with this callsign.
    #[error("nobody there has the same callsign; compare spec.callsign in both clusters")]
    CallsignMismatch,
    /// The certificate of who answers is not accepted.
    #[error("the certificate of the other side is not accepted: {0}")]
    Refused(Refusal),
    /// Who answers does not accept this member's certificate.
    #[error("the other side does not accept the certificate of this member (alert {0})")]
    RefusedByPeer(String),
    /// Nobody answers, or not in time.
    #[error("nobody answers ({0})")]
    Unreachable(String),
    /// Who answers does not speak this protocol, or no version of it that is known here.
    #[error("the other side does not speak this protocol ({0})")]
    OtherProtocol(String),
    /// Another member answers than the one that was meant.
    #[error("{0} answers instead")]
    OtherMember(MemberId),
    /// The address leads back to this member.
    #[error("the address is this member's own")]
    Own,
    /// This member's own key material cannot be used.
    #[error("the certificates of this member cannot be used ({0})")]
    Local(String),
}

impl DialFailure {
    /// The reason of the condition `MemberJoined` (multicluster-failover B.13).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CallsignMismatch => "CallsignMismatch",
            _ => "NoSeedReachable",
        }
    }

    /// What a failure of the connection says about who is on the other side.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)) => Self::CallsignMismatch,
            Some(rustls::Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired),
            )) => Self::RefusedByPeer(format!("{alert:?}")),
            Some(tls) => Self::OtherProtocol(tls.to_string()),
            None => Self::Unreachable(error.to_string()),
        }
    }
}

/// Why somebody who dialled was turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Too many handshakes from this source.
    #[error("the source address begins too many handshakes")]
    RateLimited,
    /// Too many handshakes at the same time.
    #[error("too many handshakes are in progress")]
    TooMany,
    /// The handshake was not done in time.
    #[error("the handshake was not done in time")]
    TimedOut,
    /// It is not TLS 1.3 with the application protocol, or lacks a certificate.
    #[error("the handshake failed ({0})")]
    Handshake(String),
    /// No member with this callsign listens here.
    #[error("no member with this callsign listens here")]
    UnknownCallsign,
    /// The certificate is not accepted.
    #[error("the certificate is not accepted: {0}")]
    Certificate(Refusal),
    /// The first frame is not a greeting of who the certificate names.
    #[error("the greeting is not valid ({0})")]
    Greeting(String),
}

impl Rejection {
    /// The value of the label `reason` of `kvmc_rejected_handshakes_total`.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::TooMany => "too_many",
            Self::TimedOut => "timed_out",
            Self::Handshake(_) => "handshake",
            Self::UnknownCallsign => "unknown_callsign",
            Self::Certificate(_) => "certificate",
            Self::Greeting(_) => "greeting",
        }
    }
}

/// Every label of [`Rejection`].
const LABELS: [&str; 7] = [
    "rate_limited",
    "too_many",
    "timed_out",
    "handshake",
    "unknown_callsign",
    "certificate",
    "greeting",
];

/// How many handshakes were rejected, by reason.
#[derive(Debug, Default)]
pub struct Rejections([AtomicU64; LABELS.len()]);

impl Rejections {
    pub(crate) fn count(&self, rejection: &Rejection) {
        let of_label = LABELS
            .iter()
            .zip(&self.0)
            .find(|(label, _)| **label == rejection.label());
        if let Some((_, count)) = of_label {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        LABELS
            .iter()
            .zip(&self.0)
            .map(|(label, count)| (*label, count.load(Ordering::Relaxed)))
    }

    /// The count of one label.
    pub fn get(&self, label: &str) -> u64 {
        self.counts()
            .find(|(known, _)| *known == label)
            .map_or(0, |(_, count)| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_is_counted_under_its_label() {
        let rejections = Rejections::default();
        let all = [
            Rejection::RateLimited,
            Rejection::TooMany,
            Rejection::TimedOut,
            Rejection::Handshake(String::new()),
            Rejection::UnknownCallsign,
            Rejection::Certificate(Refusal::UnknownAuthority),
            Rejection::Greeting(String::new()),
        ];
        all.iter().for_each(|rejection| rejections.count(rejection));
        assert!(rejections.counts().all(|(_, count)| count == 1));
    }

    #[test]
    fn alerts_tell_a_wrong_callsign_from_a_refused_certificate() {
        let of = |alert| {
            DialFailure::of(&io::Error::new(
                io::ErrorKind::InvalidData,
                rustls::Error::AlertReceived(alert),
            ))
        };
        assert_eq!(of(AlertDescription::UnrecognisedName), DialFailure::CallsignMismatch);
        assert!(matches!(of(AlertDescription::UnknownCA), DialFailure::RefusedByPeer(_)));
        assert!(matches!(
            of(AlertDescription::ProtocolVersion),
            DialFailure::OtherProtocol(_)
        ));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(matches!(DialFailure::of(&reset), DialFailure::Unreachable(_)));
        assert_eq!(DialFailure::of(&reset).reason(), "NoSeedReachable");
        assert_eq!(DialFailure::CallsignMismatch.reason(), "CallsignMismatch");
    }
}
