//! Conversions that every topic needs. Enum values that this version does not know become the most careful value that
//! it knows; a message without a part that it cannot do without is refused.

use fairway_core::link::NackCode;
use jiff::Timestamp;

use crate::member as pb;

/// A message lacks a part that it cannot do without.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("The field {0} is missing; send it.")]
pub struct Missing(pub &'static str);

/// Seconds and nanoseconds as the wire counts them.
pub fn time_to_wire(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}

/// A time from the wire; none when it lies outside of what a calendar holds.
pub fn time_from_wire(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A refusal's code for the wire.
pub fn nack_code_to_wire(code: NackCode) -> pb::NackCode {
    match code {
        NackCode::InvalidArgument => pb::NackCode::InvalidArgument,
        NackCode::Forbidden => pb::NackCode::Forbidden,
        NackCode::NameConflict => pb::NackCode::NameConflict,
        NackCode::TooLarge => pb::NackCode::TooLarge,
        NackCode::StaleEpoch => pb::NackCode::StaleEpoch,
        NackCode::Unavailable => pb::NackCode::Unavailable,
    }
}

/// A refusal's code from the wire. An unknown one is shown to the user rather than retried for ever.
pub fn nack_code(code: pb::NackCode) -> NackCode {
    match code {
        pb::NackCode::Unspecified | pb::NackCode::InvalidArgument => NackCode::InvalidArgument,
        pb::NackCode::Forbidden => NackCode::Forbidden,
        pb::NackCode::NameConflict => NackCode::NameConflict,
        pb::NackCode::TooLarge => NackCode::TooLarge,
        pb::NackCode::StaleEpoch => NackCode::StaleEpoch,
        pb::NackCode::Unavailable => NackCode::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_newer_hub_is_shown_rather_than_retried_for_ever() {
        let nack = pb::Nack {
            code: 99,
            ..Default::default()
        };
        assert_eq!(nack_code(nack.code()), NackCode::InvalidArgument);
    }
}
