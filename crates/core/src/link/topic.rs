//! What a topic is, and the changes that travel on it.

use std::collections::BTreeSet;
use std::fmt;

use super::digester::Digester;

/// A kind of state that one side of a session keeps known to the other, key by key.
pub trait Topic: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Its name on the wire, in metrics and in the log.
    const NAME: &'static str;

    /// What a state is known by.
    type Key: Clone + Ord + fmt::Debug + fmt::Display + Send + Sync;
    /// Everything about one key: what is absent has its default.
    type State: Clone + PartialEq + fmt::Debug + Send + Sync;
    /// What goes with the message that a key is gone.
    type Removal: Clone + PartialEq + fmt::Debug + Send + Sync;

    /// Adds a key and its state to the digest that ends a full sync. Both sides must feed the same.
    fn digest(key: &Self::Key, state: &Self::State, digester: &mut Digester);
}

/// A change that is sent under a sequence number.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "states are the common case; a removal costs little more than its key"
)]
pub enum Change<T: Topic> {
    /// The state of the key is this now.
    Set(T::State),
    /// The key is gone.
    Remove(T::Removal),
}

/// The end of a full sync, as its sender describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncEnd<T: Topic> {
    /// Id of the sync.
    pub id: String,
    /// Number of keys whose state was sent.
    pub count: u64,
    /// Digest over them, see [`super::digest`].
    pub digest: Vec<u8>,
    /// Keys that exist and whose state the sender does not know now: what the receiver has recorded of them stays.
    pub kept: BTreeSet<T::Key>,
}
