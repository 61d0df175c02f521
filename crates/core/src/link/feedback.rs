//! Answers about keys that go against the direction of their topic, such as verdicts on exports: the newest answer of
//! each key is sent again after every connect until the other side has acknowledged it (networking 16.4).

use std::collections::BTreeMap;

/// The newest answer about each key.
#[derive(Debug)]
pub struct Feedback<K, V> {
    given: BTreeMap<K, Given<V>>,
    unsent: BTreeMap<u64, K>,
    last: u64,
    /// Answers that are not acknowledged.
    open: usize,
}

#[derive(Debug)]
struct Given<V> {
    seq: u64,
    value: V,
    acked: bool,
}

impl<K, V> Default for Feedback<K, V> {
    fn default() -> Self {
        Self {
            given: BTreeMap::new(),
            unsent: BTreeMap::new(),
            last: 0,
            open: 0,
        }
    }
}

impl<K: Clone + Ord, V: Clone + PartialEq> Feedback<K, V> {
    /// The answer about a key is this now. Returns whether there is something to send: not when it is the same as before.
    pub fn set(&mut self, key: &K, value: V) -> bool {
        if self.given.get(key).is_some_and(|given| given.value == value) {
            return false;
        }
        self.last += 1;
        let given = Given {
            seq: self.last,
            value,
            acked: false,
        };
        match self.given.insert(key.clone(), given) {
            Some(before) => {
                self.unsent.remove(&before.seq);
                self.open += usize::from(before.acked);
            }
            None => self.open += 1,
        }
        self.unsent.insert(self.last, key.clone());
        true
    }

    /// The other side has connected: what it has not acknowledged is sent again.
    pub fn connected(&mut self) {
        self.unsent = self
            .given
            .iter()
            .filter(|(_, given)| !given.acked)
            .map(|(key, given)| (given.seq, key.clone()))
            .collect();
    }

    /// The next answer to send over the present stream, with its number, in the order in which they were given.
    pub fn pop(&mut self) -> Option<(u64, K, V)> {
        let (seq, key) = self.unsent.pop_first()?;
        let value = self.given.get(&key)?.value.clone();
        Some((seq, key, value))
    }

    /// The other side has taken in the answer about a key up to this number.
    pub fn acked(&mut self, key: &K, seq: u64) {
        if let Some(given) = self.given.get_mut(key)
            && !given.acked
            && given.seq <= seq
        {
            given.acked = true;
            self.open -= 1;
        }
    }

    /// There is nothing to say about a key any more.
    pub fn forget(&mut self, key: &K) {
        if let Some(given) = self.given.remove(key) {
            self.unsent.remove(&given.seq);
            self.open -= usize::from(!given.acked);
        }
    }

    /// Number of answers that wait for an acknowledgement.
    pub fn open(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sent_again_until_they_are_acknowledged() {
        let mut feedback = Feedback::default();
        let open = |feedback: &mut Feedback<&'static str, u8>| {
            feedback.connected();
            std::iter::from_fn(|| feedback.pop()).collect::<Vec<_>>()
        };
        assert!(feedback.set(&"a", 0));
        assert!(!feedback.set(&"a", 0), "sent already");
        assert!(feedback.set(&"a", 1));
        assert!(feedback.set(&"b", 2));
        let both = [(2, "a", 1), (3, "b", 2)];
        assert_eq!(open(&mut feedback), both, "the newest of each key only");
        assert_eq!(feedback.pop(), None, "once per stream");
        feedback.acked(&"a", 1);
        feedback.forget(&"b");
        assert_eq!(
            open(&mut feedback),
            both[..1],
            "an old acknowledgement does not settle a newer answer"
        );
        feedback.acked(&"a", 2);
        assert_eq!((open(&mut feedback), feedback.open()), (Vec::new(), 0));
        feedback.forget(&"a");
        assert_eq!(feedback.given.len(), 0);
    }
}
