//! Topics that travel in [`pb::TopicMessage`]s: what both sides say about them is the same for all, and only keys, states
//! and removals are written by the topic itself.

use std::time::Duration;

use fairway_core::link::{Change, FromReceiver, FromSender, NackCode, Refusal, SyncEnd, Topic};
use prost::Message as _;

use crate::convert::{Missing, nack_code, nack_code_to_wire};
use crate::member::{self as pb, topic_change, topic_message};
use crate::topic::Offered;

/// A topic whose parts are written as bytes, usually those of messages of its own. What cannot be read is refused with
/// the error's text.
pub trait WireTopic: Topic {
    /// Writes a key.
    fn key_to_wire(key: &Self::Key) -> Vec<u8>;
    /// Reads a key.
    ///
    /// # Errors
    /// When it cannot be read.
    fn key(bytes: &[u8]) -> Result<Self::Key, Missing>;
    /// Writes a state.
    fn state_to_wire(state: &Self::State) -> Vec<u8>;
    /// Reads a state.
    ///
    /// # Errors
    /// When it cannot be read.
    fn state(bytes: &[u8]) -> Result<Self::State, Missing>;
    /// Writes what goes with a removal.
    fn removal_to_wire(removal: &Self::Removal) -> Vec<u8>;
    /// Reads what goes with a removal.
    ///
    /// # Errors
    /// When it cannot be read.
    fn removal(bytes: &[u8]) -> Result<Self::Removal, Missing>;
}

/// Writes what the sender of a topic says. A state that makes the message larger than `limit` bytes is left out, and the
/// receiver refuses the change by its number: a message that is too large would break the whole session.
pub fn from_sender_to_wire<T: WireTopic>(message: FromSender<T>, limit: u32) -> pb::TopicMessage {
    use topic_message::Body;
    let body = match message {
        FromSender::Offer { last_acked } => Body::Offer(pb::TopicOffer { last_acked }),
        FromSender::SyncBegin { sync_id } => Body::SyncBegin(pb::SyncBegin { sync_id }),
        FromSender::Change { seq, sync_id, change } => {
            let (key, change) = match change {
                Ok((key, Change::Set(state))) => {
                    let state = topic_change::Change::State(T::state_to_wire(&state));
                    (T::key_to_wire(&key), Some(state))
                }
                Ok((key, Change::Remove(removal))) => {
                    let removal = topic_change::Change::Removal(T::removal_to_wire(&removal));
                    (T::key_to_wire(&key), Some(removal))
                }
                Err(_) => (Vec::new(), None),
            };
            Body::Change(pb::TopicChange {
                seq,
                sync_id: sync_id.unwrap_or_default(),
                key,
                change,
            })
        }
        FromSender::SyncEnd(end) => Body::SyncEnd(pb::TopicSyncEnd {
            sync_id: end.id,
            count: end.count,
            digest: end.digest,
            kept: end.kept.iter().map(T::key_to_wire).collect(),
        }),
    };
    let mut message = named::<T>(body);
    // The envelope around it takes a few bytes more.
    let is_too_large = message.encoded_len().saturating_add(ENVELOPE) > usize::try_from(limit).unwrap_or(usize::MAX);
    if is_too_large && let Some(Body::Change(change)) = &mut message.body {
        change.change = None;
    }
    message
}

/// Bytes that go around a message of a topic.
const ENVELOPE: usize = 16;

/// Reads what the sender of a topic says; nothing where a newer sender says more than is known here.
pub fn from_sender<T: WireTopic>(message: pb::TopicMessage) -> Offered<Option<FromSender<T>>, pb::TopicMessage> {
    use topic_message::Body;
    if message.topic != T::NAME {
        return Offered::Other(message);
    }
    Offered::Taken(match message.body {
        Some(Body::Offer(offer)) => Some(FromSender::Offer {
            last_acked: offer.last_acked,
        }),
        Some(Body::SyncBegin(begin)) => Some(FromSender::SyncBegin { sync_id: begin.sync_id }),
        Some(Body::Change(message)) => Some(FromSender::Change {
            seq: message.seq,
            sync_id: (!message.sync_id.is_empty()).then_some(message.sync_id),
            change: change::<T>(&message.key, message.change),
        }),
        Some(Body::SyncEnd(end)) => Some(FromSender::SyncEnd(SyncEnd {
            id: end.sync_id,
            count: end.count,
            digest: end.digest,
            kept: end.kept.iter().filter_map(|key| T::key(key).ok()).collect(),
        })),
        Some(Body::Resume(_) | Body::Ack(_) | Body::Nack(_) | Body::Resync(_)) | None => None,
    })
}

/// Writes what the receiver of a topic says.
pub fn from_receiver_to_wire<T: WireTopic>(message: FromReceiver<T>) -> pb::TopicMessage {
    use topic_message::Body;
    named::<T>(match message {
        FromReceiver::Resume { next_seq, window } => Body::Resume(pb::TopicResume { next_seq, window }),
        FromReceiver::Ack { seq } => Body::Ack(pb::Ack { seq }),
        FromReceiver::Nack {
            seq,
            key,
            code,
            message,
            retry_after,
        } => Body::Nack(pb::TopicNack {
            seq,
            key: key.as_ref().map(T::key_to_wire),
            code: nack_code_to_wire(code).into(),
            message,
            retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
        }),
        FromReceiver::Resync { reason } => Body::Resync(pb::Resync { reason }),
    })
}

/// Reads what the receiver of a topic says; nothing where a newer receiver says more than is known here.
pub fn from_receiver<T: WireTopic>(message: pb::TopicMessage) -> Offered<Option<FromReceiver<T>>, pb::TopicMessage> {
    use topic_message::Body;
    if message.topic != T::NAME {
        return Offered::Other(message);
    }
    Offered::Taken(match message.body {
        Some(Body::Resume(resume)) => Some(FromReceiver::Resume {
            next_seq: resume.next_seq,
            window: resume.window,
        }),
        Some(Body::Ack(ack)) => Some(FromReceiver::Ack { seq: ack.seq }),
        Some(Body::Nack(nack)) => Some(FromReceiver::Nack {
            seq: nack.seq,
            code: nack_code(nack.code()),
            retry_after: Duration::from_millis(nack.retry_after_ms),
            key: nack.key.and_then(|key| T::key(&key).ok()),
            message: nack.message,
        }),
        Some(Body::Resync(resync)) => Some(FromReceiver::Resync { reason: resync.reason }),
        Some(Body::Offer(_) | Body::SyncBegin(_) | Body::Change(_) | Body::SyncEnd(_)) | None => None,
    })
}

fn named<T: Topic>(body: topic_message::Body) -> pb::TopicMessage {
    pb::TopicMessage {
        topic: T::NAME.to_owned(),
        body: Some(body),
    }
}

fn change<T: WireTopic>(key: &[u8], change: Option<topic_change::Change>) -> Result<(T::Key, Change<T>), Refusal> {
    let unreadable = |missing: Missing| Refusal::new(NackCode::InvalidArgument, missing.to_string());
    let change = match change {
        Some(topic_change::Change::State(state)) => Change::Set(T::state(&state).map_err(unreadable)?),
        Some(topic_change::Change::Removal(removal)) => Change::Remove(T::removal(&removal).map_err(unreadable)?),
        None => {
            let text = "The state of this key is larger than a message may be; make it smaller.";
            return Err(Refusal::new(NackCode::TooLarge, text));
        }
    };
    Ok((T::key(key).map_err(unreadable)?, change))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fairway_core::link::digester::Digester;

    use super::*;

    /// Texts by name.
    #[derive(Clone, Debug, PartialEq)]
    struct Texts;

    impl Topic for Texts {
        const NAME: &'static str = "texts";
        type Key = String;
        type State = String;
        type Removal = ();

        fn digest(key: &String, state: &String, digester: &mut Digester) {
            digester.text(key);
            digester.text(state);
        }
    }

    fn text(bytes: &[u8]) -> Result<String, Missing> {
        String::from_utf8(bytes.to_vec()).map_err(|_| Missing("text"))
    }

    impl WireTopic for Texts {
        fn key_to_wire(key: &String) -> Vec<u8> {
            key.clone().into_bytes()
        }
        fn key(bytes: &[u8]) -> Result<String, Missing> {
            text(bytes)
        }
        fn state_to_wire(state: &String) -> Vec<u8> {
            state.clone().into_bytes()
        }
        fn state(bytes: &[u8]) -> Result<String, Missing> {
            text(bytes)
        }
        fn removal_to_wire((): &()) -> Vec<u8> {
            Vec::new()
        }
        fn removal(_: &[u8]) -> Result<(), Missing> {
            Ok(())
        }
    }

    const LIMIT: u32 = 1000;

    fn set(state: &str) -> FromSender<Texts> {
        FromSender::Change {
            seq: 7,
            sync_id: Some("s".to_owned()),
            change: Ok(("k".to_owned(), Change::Set(state.to_owned()))),
        }
    }

    #[test]
    fn what_both_sides_say_survives_the_wire() {
        let end = SyncEnd {
            id: "s".to_owned(),
            count: 1,
            digest: vec![1, 2],
            kept: BTreeSet::from(["a".to_owned()]),
        };
        let removed = FromSender::Change {
            seq: 8,
            sync_id: None,
            change: Ok(("k".to_owned(), Change::Remove(()))),
        };
        for message in [
            FromSender::Offer { last_acked: None },
            FromSender::Offer { last_acked: Some(0) },
            FromSender::SyncBegin {
                sync_id: "s".to_owned(),
            },
            set("v"),
            removed,
            FromSender::SyncEnd(end),
        ] {
            let wire = from_sender_to_wire(message.clone(), LIMIT);
            assert_eq!(from_receiver::<Texts>(wire.clone()), Offered::Taken(None));
            assert_eq!(from_sender(wire), Offered::Taken(Some(message)));
        }
        for message in [
            FromReceiver::Resume {
                next_seq: None,
                window: 3,
            },
            FromReceiver::Resume {
                next_seq: Some(4),
                window: 3,
            },
            FromReceiver::Ack { seq: 5 },
            FromReceiver::Nack {
                seq: 6,
                key: Some("k".to_owned()),
                code: NackCode::Unavailable,
                message: "Not now.".to_owned(),
                retry_after: Duration::from_secs(1),
            },
            FromReceiver::Resync {
                reason: "Why.".to_owned(),
            },
        ] {
            let wire = from_receiver_to_wire::<Texts>(message.clone());
            assert_eq!(from_sender::<Texts>(wire.clone()), Offered::Taken(None));
            assert_eq!(from_receiver(wire), Offered::Taken(Some(message)));
        }
    }

    #[test]
    fn messages_of_other_topics_are_given_back_and_what_cannot_be_read_is_refused_by_its_number() {
        let mut message = from_sender_to_wire(set("v"), LIMIT);
        message.topic = "other".to_owned();
        assert_eq!(from_sender::<Texts>(message.clone()), Offered::Other(message));

        let refused = |message| match from_sender::<Texts>(message) {
            Offered::Taken(Some(FromSender::Change {
                seq: 7,
                change: Err(refusal),
                ..
            })) => refusal.code,
            other => panic!("{other:?}"),
        };
        let mut message = from_sender_to_wire(set("v"), LIMIT);
        if let Some(topic_message::Body::Change(change)) = &mut message.body {
            change.key = vec![0xff];
        }
        assert_eq!(refused(message), NackCode::InvalidArgument);
        let large = from_sender_to_wire(set(&"v".repeat(1000)), LIMIT);
        assert!(large.encoded_len() < 100, "the rest of the session goes on");
        assert_eq!(refused(large), NackCode::TooLarge);
    }
}
