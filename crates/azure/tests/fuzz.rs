//! Readers of what others send, over mutations of real answers: a bounded run on the stable toolchain. `fuzz/` holds the
//! same for cargo-fuzz.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "../fuzz/readers.rs"]
mod readers;

/// For each seed.
const ROUNDS: usize = 1500;

/// A fixed sequence: a failure is the same at each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }
}

const TOKENS: [&str; 14] = [
    "null",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "1e999",
    "true",
    "\\u0000",
    "\"value\":",
    "\u{fffd}",
    "https://",
    "Trace ID: ",
    "after 5 seconds",
    "\n",
];

fn mutate(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut text = seed.to_vec();
    for _ in 0..=numbers.next(4) {
        let at = numbers.next(text.len() + 1);
        let to = (at + numbers.next(12)).min(text.len());
        match numbers.next(5) {
            0 if at < text.len() => text[at] ^= 1 << numbers.next(8),
            1 => drop(text.drain(at..to)),
            2 => drop(text.splice(at..to, TOKENS[numbers.next(TOKENS.len())].bytes())),
            3 => {
                let part = text[at..to].to_vec();
                text.splice(at..at, part);
            }
            _ => text.truncate(at.max(1)),
        }
    }
    text
}

#[test]
fn mutations_of_answers_are_read_or_refused() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/bodies");
    let mut seeds: Vec<_> = std::fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 8, "{seeds:?}");
    let mut read = 0;
    for (number, seed) in seeds.iter().enumerate() {
        let seed = std::fs::read(seed).unwrap();
        assert!(readers::read(&seed), "each seed is good for one of the readers");
        let mut numbers = Numbers(number as u64);
        for _ in 0..ROUNDS {
            read += usize::from(readers::read(&mutate(&seed, &mut numbers)));
        }
    }
    assert!(
        read > seeds.len() * ROUNDS / 20,
        "most mutations must get past the JSON: {read}"
    );
}
