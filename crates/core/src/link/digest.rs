//! The digest that ends a full sync: both sides compute it over the same sorted keys and states.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Topic;

/// SHA-256 over all states of a topic, in key order.
pub fn digest<T: Topic>(all: &BTreeMap<T::Key, T::State>) -> [u8; 32] {
    let mut digester = Digester(Sha256::new());
    for (key, state) in all {
        T::digest(key, state, &mut digester);
    }
    digester.0.finalize().into()
}

/// Takes in what a state consists of.
#[derive(Debug)]
pub struct Digester(Sha256);

impl Digester {
    /// A text, with its length first, so that neighbouring texts cannot be shifted into one another.
    pub fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_be_bytes());
        self.bytes(text.as_bytes());
    }

    /// Bytes of a fixed number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
