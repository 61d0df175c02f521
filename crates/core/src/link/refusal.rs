//! Changes that are refused.

/// Why the receiver of a change refuses it (networking 16.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NackCode {
    /// The report breaks a rule; the message names the field.
    InvalidArgument,
    /// The caller may not write this record.
    Forbidden,
    /// Another export holds the record's name.
    NameConflict,
    /// The message is larger than allowed.
    TooLarge,
    /// A newer agent of the cluster has a session.
    StaleEpoch,
    /// The hub cannot write now: the only code that is retried unchanged.
    Unavailable,
}

/// A change that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: NackCode,
    /// Why, as a full sentence.
    pub message: String,
    /// Nothing has answered: the cause has nothing to do with the change, and passes with an outage.
    pub unanswered: bool,
}

impl Refusal {
    /// A change that is refused for this reason.
    pub fn new(code: NackCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            unanswered: false,
        }
    }

    /// A change that may be carried out later unchanged.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(NackCode::Unavailable, message)
    }

    /// A change that could not be carried out because nothing has answered.
    pub fn unanswered(message: impl Into<String>) -> Self {
        Self {
            unanswered: true,
            ..Self::unavailable(message)
        }
    }

    /// What an API server's refusal to write a record means; `code` is that of its answer, if there was one.
    pub fn of_answer(code: Option<u16>, message: impl Into<String>) -> Self {
        match code {
            Some(code) => Self::new(NackCode::of_answer(code), message),
            None => Self::unanswered(message),
        }
    }
}

impl NackCode {
    fn of_answer(code: u16) -> Self {
        match code {
            400 | 422 => Self::InvalidArgument,
            413 => Self::TooLarge,
            _ => Self::Unavailable,
        }
    }

    /// The code's fixed name, for metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Forbidden => "FORBIDDEN",
            Self::NameConflict => "NAME_CONFLICT",
            Self::TooLarge => "TOO_LARGE",
            Self::StaleEpoch => "STALE_EPOCH",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_sender_can_mend_is_refused_for_good() {
        for (answer, code) in [
            (Some(400), NackCode::InvalidArgument),
            (Some(422), NackCode::InvalidArgument),
            (Some(413), NackCode::TooLarge),
            (Some(403), NackCode::Unavailable),
            (Some(503), NackCode::Unavailable),
            (None, NackCode::Unavailable),
        ] {
            let refusal = Refusal::of_answer(answer, "m");
            assert_eq!(
                (refusal.code, refusal.unanswered),
                (code, answer.is_none()),
                "{answer:?}"
            );
        }
    }
}
