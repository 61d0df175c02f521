//! A bounded run of the fuzz targets' entry points without a fuzzer: queries of the corpus, mutated by a generator
//! with a fixed seed. `fuzz/` has the same entry points for cargo-fuzz.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::fs;
use std::path::Path;

use common::entry::{check_parse, check_respond};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Mutated packets per run; some seconds in a build for tests.
const PACKETS: usize = 60_000;
/// Values that mean something somewhere in a packet: ends of names, pointers, reserved labels, counts.
const INTERESTING: [u8; 10] = [0, 1, 2, 8, 0x29, 0x3F, 0x40, 0x80, 0xC0, 0xFF];

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/query");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn mutate(packet: &mut Vec<u8>, others: &[Vec<u8>], random: &mut SmallRng) {
    let at = random.random_range(0..=packet.len());
    match random.random_range(0..8) {
        0 => packet.truncate(at),
        1 => packet.insert(at, random.random()),
        2 if at < packet.len() => packet[at] ^= 1 << random.random_range(0..8),
        3 if at < packet.len() => packet[at] = random.random(),
        4 if at < packet.len() => packet[at] = *INTERESTING.choose(random).unwrap(),
        5 if at < packet.len() => drop(packet.remove(at)),
        6 => {
            let other = others.choose(random).unwrap();
            packet.truncate(at);
            packet.extend(&other[at.min(other.len())..]);
        }
        _ => {
            let end = random.random_range(at..=packet.len());
            let copy = packet[at..end].to_vec();
            packet.splice(at..at, copy);
        }
    }
}

#[test]
fn the_corpus_itself_passes() {
    let catalog = common::catalog();
    let corpus = corpus();
    assert!(corpus.len() >= 10, "{} packets", corpus.len());
    for packet in &corpus {
        check_parse(packet);
        check_respond(&catalog, packet);
    }
}

#[test]
fn mutated_queries_are_answered_or_dropped() {
    let catalog = common::catalog();
    let corpus = corpus();
    let mut random = SmallRng::seed_from_u64(0xFA12);
    for round in 0..PACKETS {
        let mut packet = corpus.choose(&mut random).unwrap().clone();
        for _ in 0..random.random_range(1..6) {
            mutate(&mut packet, &corpus, &mut random);
        }
        let checked = std::panic::catch_unwind(|| {
            check_parse(&packet);
            check_respond(&catalog, &packet);
        });
        assert!(checked.is_ok(), "round {round}: {}", packet.escape_ascii());
    }
}
