//! Readers of what other members send, over mutations of what they really send: a bounded run on the stable toolchain.
//! `fuzz/` holds the same for cargo-fuzz.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "../fuzz/readers.rs"]
mod readers;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Bytes that mean something somewhere: tags and lengths of protobuf and DER.
const INTERESTING: [u8; 14] = [0, 1, 2, 4, 8, 0x0A, 0x12, 0x1A, 0x30, 0x7F, 0x80, 0x82, 0x86, 0xFF];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Changes a few places; the first byte stays, as it only says what the rest is.
fn mutate(seed: &[u8], random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(1..=bytes.len());
        match random.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 | 3 if at < bytes.len() => bytes[at] = *INTERESTING.choose(random).unwrap(),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            5 => bytes.insert(at, random.random()),
            _ => {
                let end = (at + random.random_range(0..16)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

fn run(target: &str, rounds: usize, mut read: impl FnMut(&[u8]) -> bool) {
    let seeds = corpus(target);
    let mut random = SmallRng::seed_from_u64(0xFA12);
    let mut taken = 0;
    for seed in &seeds {
        assert!(read(seed), "each seed is taken");
        for round in 0..rounds {
            let mutated = mutate(seed, &mut random);
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&mutated)));
            match checked {
                Ok(read) => taken += usize::from(read),
                Err(_) => panic!("{target}, round {round}: {}", mutated.escape_ascii()),
            }
        }
    }
    assert!(
        taken > seeds.len() * rounds / 20,
        "of {} mutations {taken} were taken: too few to mean anything",
        seeds.len() * rounds
    );
}

#[test]
fn mutated_frames_are_taken_or_refused() {
    run("frames", 4000, |data| readers::frames(data) > 1);
}

#[test]
fn mutated_certificates_are_taken_or_refused() {
    run("certificates", 1500, readers::certificates);
}
