//! Random identifiers: object uids, generated name suffixes, tokens. Reproducible when the server is built with a seed.

use parking_lot::Mutex;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

/// Alphabet of generated name suffixes: no vowels and no look-alikes, as in Kubernetes.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Names made from `generateName` have at most 63 bytes including the suffix.
const MAX_GENERATED_BASE: usize = 58;

/// Source of identifiers.
pub struct Ids(Mutex<StdRng>);

impl Ids {
    /// Identifiers from the seed, or from the operating system's entropy without one.
    pub fn new(seed: Option<u64>) -> Self {
        let rng = match seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        Ids(Mutex::new(rng))
    }

    /// A fresh version 4 UUID.
    pub fn uid(&self) -> String {
        let mut bytes = [0u8; 16];
        self.0.lock().fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// `base` (cut to 58 bytes) plus a random suffix of five characters.
    pub fn generate_name(&self, base: &str) -> String {
        let mut end = base.len().min(MAX_GENERATED_BASE);
        while !base.is_char_boundary(end) {
            end -= 1;
        }
        let mut rng = self.0.lock();
        let suffix = (0..5).map(|_| {
            let index = rng.random_range(0..SUFFIX_ALPHABET.len());
            char::from(SUFFIX_ALPHABET.get(index).copied().unwrap_or(b'x'))
        });
        base.get(..end).unwrap_or_default().chars().chain(suffix).collect()
    }

    /// `N` random bytes, for keys.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.0.lock().fill_bytes(&mut bytes);
        bytes
    }

    /// A number in `low..high`; `low` when the range is empty.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        if low >= high {
            low
        } else {
            self.0.lock().random_range(low..high)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_identifiers_and_long_bases_are_cut() {
        let (a, b) = (Ids::new(Some(7)), Ids::new(Some(7)));
        assert_eq!(a.uid(), b.uid());
        assert_eq!(a.generate_name("x-"), b.generate_name("x-"));
        assert_eq!(a.generate_name(&"y".repeat(80)).len(), 63);
        assert_ne!(a.uid(), a.uid());
    }
}
