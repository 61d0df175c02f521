//! Readers of what clients send, over mutations of real requests: a bounded run on the stable toolchain. `fuzz/` holds the
//! same for cargo-fuzz.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "../fuzz/readers.rs"]
mod readers;

use std::path::Path;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Pieces that mean something in one of the formats.
const TOKENS: [&str; 20] = [
    "null", "[]", "{}", "\"\"", "-1", "1e999", "true", "0", "1001", "\\u0000", "\"", ",", "/", "%2F", "%23", "..", "&",
    "=", "\u{fffd}", ".",
];

fn mutate(text: &mut Vec<u8>, others: &[Vec<u8>], random: &mut SmallRng) {
    let at = random.random_range(0..=text.len());
    let to = random.random_range(at..=text.len().min(at + 16));
    match random.random_range(0..7) {
        0 if at < text.len() => text[at] ^= 1 << random.random_range(0..8),
        1 => drop(text.drain(at..to)),
        2 => drop(text.splice(at..to, TOKENS.choose(random).unwrap().bytes())),
        3 => {
            let part = text[at..to].to_vec();
            text.splice(at..at, part);
        }
        4 => text.truncate(at),
        // A part of another request.
        5 => {
            let other = others.choose(random).unwrap();
            let from = random.random_range(0..=other.len());
            let end = random.random_range(from..=other.len());
            text.splice(at..to, other[from..end].iter().copied());
        }
        _ => text.insert(at, random.random()),
    }
}

/// Runs a reader over a corpus and mutations of it. Every seed must be taken, and at least one of `one_in` mutations, so that
/// the run sees more than refusals of the first character.
fn run(corpus: &str, rounds: usize, one_in: usize, reader: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "{paths:?}");
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (path, seed) in paths.iter().zip(&seeds) {
        assert!(reader(seed), "{} is refused", path.display());
    }
    // A fixed sequence: a failure is the same at each run.
    let mut random = SmallRng::seed_from_u64(0xFA12);
    let mut taken = 0;
    for round in 0..rounds {
        let mut text = seeds.choose(&mut random).unwrap().clone();
        for _ in 0..random.random_range(1..4) {
            mutate(&mut text, &seeds, &mut random);
        }
        match std::panic::catch_unwind(|| reader(&text)) {
            Ok(is_taken) => taken += usize::from(is_taken),
            Err(_) => panic!("round {round}: {}", text.escape_ascii()),
        }
    }
    assert!(taken > rounds / one_in, "{taken} of {rounds} mutations were taken");
}

#[test]
fn mutated_bodies_are_refused_or_can_be_stored_served_and_written_back() {
    run("arm_body", 20_000, 20, readers::body);
}

#[test]
fn mutated_paths_name_something_or_nothing() {
    run("arm_path", 60_000, 40, readers::path);
}

#[test]
fn mutated_logins_are_granted_nothing_without_the_secret() {
    run("login", 20_000, 50, readers::login);
}
