//! Which connection carries the messages of a pair of members.
//!
//! Each side may dial, so two connections of one pair can come up at the same time. If each side closed what it takes for
//! the older one, they could close both. Therefore the member with the smaller identity decides: it uses its newest
//! connection and closes the others. The other side uses the connection on which it was last addressed, which is that
//! one, and closes nothing while it is alive.

use std::collections::BTreeMap;

use failover::member::MemberId;

/// Members with a connection at the same time; a fleet has 64 voters at most, and some members more may be on their way.
const MOST_PEERS: usize = 256;
/// Connections of one pair at the same time. More than the one in use and the one that replaces it come from restarts
/// that this side has not noticed yet.
const MOST_OF_A_PAIR: usize = 4;

/// The connections of one member to all others.
#[derive(Debug)]
pub(crate) struct Pairs<C> {
    own: MemberId,
    pairs: BTreeMap<MemberId, Vec<Entry<C>>>,
}

#[derive(Debug)]
struct Entry<C> {
    id: u64,
    connection: C,
}

/// What becomes of older connections once there is a newer one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Superseded<C> {
    /// To be closed once what is on its way has arrived.
    pub retired: Vec<C>,
    /// To be closed at once.
    pub dropped: Vec<C>,
}

/// There are too many members.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<C: Clone> Pairs<C> {
    pub fn new(own: MemberId) -> Self {
        Self {
            own,
            pairs: BTreeMap::new(),
        }
    }

    /// Adds a connection, on which messages to `peer` are sent from now on.
    pub fn opened(&mut self, peer: &MemberId, id: u64, connection: C) -> Result<Superseded<C>, Full> {
        let decides = self.own < *peer;
        if self.pairs.len() >= MOST_PEERS && !self.pairs.contains_key(peer) {
            return Err(Full);
        }
        // The last of them is the one in use.
        let entries = self.pairs.entry(peer.clone()).or_default();
        let surplus = (entries.len() + 1).saturating_sub(MOST_OF_A_PAIR);
        let dropped = entries.drain(..surplus).map(|entry| entry.connection).collect();
        let retired = match decides {
            true => entries.iter().map(|entry| entry.connection.clone()).collect(),
            false => Vec::new(),
        };
        entries.push(Entry { id, connection });
        Ok(Superseded { retired, dropped })
    }

    /// A message has arrived on a connection.
    pub fn addressed(&mut self, peer: &MemberId, id: u64) {
        if self.own < *peer {
            return;
        }
        if let Some(entries) = self.pairs.get_mut(peer)
            && let Some(at) = entries.iter().position(|entry| entry.id == id)
        {
            entries.get_mut(at..).unwrap_or_default().rotate_left(1);
        }
    }

    /// A connection has ended; whether it was the last one of its pair.
    pub fn closed(&mut self, peer: &MemberId, id: u64) -> bool {
        let Some(entries) = self.pairs.get_mut(peer) else {
            return false;
        };
        let before = entries.len();
        entries.retain(|entry| entry.id != id);
        let last = entries.is_empty();
        if last {
            self.pairs.remove(peer);
        }
        last && before > 0
    }

    /// The connection on which messages to `peer` are sent.
    pub fn current(&self, peer: &MemberId) -> Option<&C> {
        self.pairs
            .get(peer)
            .and_then(|entries| entries.last())
            .map(|entry| &entry.connection)
    }

    /// The connections in use.
    pub fn in_use(&self) -> impl Iterator<Item = (&MemberId, &C)> {
        self.pairs
            .iter()
            .filter_map(|(peer, entries)| Some((peer, &entries.last()?.connection)))
    }

    /// All connections.
    pub fn all(&self) -> impl Iterator<Item = &C> {
        self.pairs.values().flatten().map(|entry| &entry.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(own: &str) -> Pairs<u64> {
        Pairs::new(MemberId::from(own))
    }

    fn opened(pairs: &mut Pairs<u64>, peer: &MemberId, id: u64) -> (Vec<u64>, Vec<u64>) {
        let superseded = pairs.opened(peer, id, id).unwrap();
        (superseded.retired, superseded.dropped)
    }

    #[test]
    fn connections_that_cross_leave_one_in_whatever_order_they_come_up() {
        let (a, b) = (MemberId::from("a"), MemberId::from("b"));
        for order in [[1, 2], [2, 1]] {
            let (mut at_a, mut at_b) = (pairs("a"), pairs("b"));
            assert_eq!(opened(&mut at_a, &b, 1), (vec![], vec![]));
            assert_eq!(opened(&mut at_a, &b, 2), (vec![1], vec![]), "a decides for its newest");
            for id in order {
                assert_eq!(opened(&mut at_b, &a, id), (vec![], vec![]), "b closes nothing");
            }
            // What a sends next, it sends on its newest; b follows.
            at_b.addressed(&a, *at_a.current(&b).unwrap());
            assert_eq!((at_a.current(&b), at_b.current(&a)), (Some(&2), Some(&2)));
            assert!(!at_a.closed(&b, 1) && !at_b.closed(&a, 1));
            assert_eq!((at_a.current(&b), at_b.current(&a)), (Some(&2), Some(&2)));
            assert!(at_a.closed(&b, 2) && at_b.closed(&a, 2), "the last of the pair");
            assert_eq!(at_a.current(&b), None);
        }
    }

    #[test]
    fn who_decides_does_not_follow_the_other_side() {
        let b = MemberId::from("b");
        let mut at_a = pairs("a");
        opened(&mut at_a, &b, 1);
        opened(&mut at_a, &b, 2);
        at_a.addressed(&b, 1);
        assert_eq!(at_a.current(&b), Some(&2));
    }

    #[test]
    fn a_side_that_does_not_decide_keeps_a_bounded_number() {
        let a = MemberId::from("a");
        let mut at_b = pairs("b");
        for id in 1..=4 {
            assert_eq!(opened(&mut at_b, &a, id), (vec![], vec![]));
        }
        assert_eq!(opened(&mut at_b, &a, 5), (vec![], vec![1]));
        at_b.addressed(&a, 2);
        assert_eq!(opened(&mut at_b, &a, 6), (vec![], vec![3]), "the one in use last stays");
        assert!(!at_b.closed(&a, 3), "it is gone already");
    }

    #[test]
    fn more_members_than_a_fleet_can_have_are_refused() {
        let mut pairs = pairs("a");
        for number in 0..MOST_PEERS as u64 {
            let peer = MemberId::from(format!("m{number}").as_str());
            assert!(pairs.opened(&peer, number, number).is_ok());
        }
        assert_eq!(pairs.opened(&MemberId::from("one more"), 999, 999), Err(Full));
        assert!(pairs.opened(&MemberId::from("m0"), 1000, 1000).is_ok());
    }
}
