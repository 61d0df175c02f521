//! Lists and watches as the server sends them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A page of a list. Items are read one by one, so that one that cannot be read spoils no other.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default, borrow)]
    pub(super) metadata: PageMeta<'a>,
    #[serde(borrow, default)]
    pub(super) items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMeta<'a> {
    #[serde(borrow)]
    pub(super) resource_version: Cow<'a, str>,
    #[serde(borrow, rename = "continue")]
    pub(super) next: Option<Cow<'a, str>>,
}

/// A line of a watch.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// Identity of an object that may otherwise be unreadable.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) uid: String,
    pub(super) resource_version: String,
}

/// Why a list has to be made anew although there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relist {
    /// The server no longer keeps the events since our version.
    Expired,
    /// The server does not know our version yet, as after its storage was restored from an older state.
    Ahead,
    /// Somebody else who follows the same server has found that its history has gone back.
    Rewound,
    /// Nothing has arrived for long, not even a bookmark.
    Silent,
    /// The watch ends again and again at the same event.
    Stuck,
    /// The task panicked.
    Panicked,
}

/// Why a watch ended.
pub(super) enum End {
    /// The server closed it, as it does every few minutes.
    Closed,
    /// A list is needed.
    Relist(Relist),
    /// The connection broke.
    Broken(String),
    /// The server reports a failure, or sends what is no event.
    BadEvent(String),
}

impl Relist {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Ahead => "ahead",
            Self::Rewound => "rewound",
            Self::Silent => "silent",
            Self::Stuck => "stuck",
            Self::Panicked => "panicked",
        }
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Expired => "The server no longer keeps the history; listing anew.",
            Self::Ahead => {
                "The server is behind what it has sent before, as after a restore of its storage; listing anew."
            }
            Self::Rewound => {
                "Another watch has found that the server's history has gone back, as after a restore of its storage; listing anew."
            }
            Self::Silent => "The watch has been silent for too long; listing anew.",
            Self::Stuck => "The watch ends again and again at the same event; listing anew.",
            Self::Panicked => "The watch task was started again; listing anew.",
        }
    }
}

pub(super) fn head(raw: &RawValue) -> Option<Head> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Head,
    }
    let object = serde_json::from_str::<Object>(raw.get()).ok()?;
    Some(object.metadata)
}

/// What an event of type ERROR means.
pub(super) fn failure(raw: &RawValue) -> End {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        code: Option<u16>,
        reason: Option<String>,
        message: Option<String>,
        details: Option<Details>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Details {
        causes: Option<Vec<Cause>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Cause {
        reason: Option<String>,
    }
    let status: Status = serde_json::from_str(raw.get()).unwrap_or_default();
    let reason = status.reason.unwrap_or_default();
    if status.code == Some(410) || matches!(reason.as_str(), "Expired" | "Gone") {
        return End::Relist(Relist::Expired);
    }
    let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
    if causes
        .iter()
        .any(|cause| cause.reason.as_deref() == Some(crate::error::TOO_LARGE_VERSION))
    {
        return End::Relist(Relist::Ahead);
    }
    End::BadEvent(format!(
        "the server reports: {} ({reason})",
        status.message.unwrap_or_default()
    ))
}
