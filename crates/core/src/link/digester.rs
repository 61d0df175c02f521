//! Takes in the parts of the digest that ends a full sync.

use sha2::{Digest, Sha256};

/// Takes in what a state consists of.
#[derive(Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// SHA-256 over all that was taken in.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

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
