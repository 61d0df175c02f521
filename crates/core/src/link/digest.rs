//! The digest that ends a full sync: both sides compute it over the same sorted keys and states.

use std::collections::BTreeMap;

use super::digester::Digester;
use super::topic::Topic;

/// SHA-256 over all states of a topic, in key order.
pub fn digest<T: Topic>(all: &BTreeMap<T::Key, T::State>) -> [u8; 32] {
    let mut digester = Digester::default();
    for (key, state) in all {
        T::digest(key, state, &mut digester);
    }
    digester.finish()
}
