//! Free ports on loopback.

use std::net::TcpListener;

use anyhow::{Context, Result};
use rand::Rng;

/// Below the range from which the system takes ports for outgoing connections, so that no outgoing
/// connection takes a port between the check and the program's start.
const RANGE: std::ops::Range<u16> = 16_000..32_000;
const TRIES: usize = 200;

/// Some ports on loopback on which no process listens now.
///
/// # Errors
/// When there are not so many.
pub fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut random = rand::rng();
    // The listeners stay until all ports are found, so that none is taken twice.
    let found: Vec<TcpListener> = std::iter::repeat_with(|| random.random_range(RANGE))
        .take(TRIES)
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .take(COUNT)
        .collect();
    let ports: Vec<u16> = found
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .map(|at| at.port())
        .collect();
    ports
        .try_into()
        .ok()
        .context("there are not enough free ports on loopback")
}

/// A /24 network on loopback, at random, for addresses that nobody else uses. With 64 000 of them two runs at a time
/// hardly ever meet.
pub fn loopback_network() -> [u8; 3] {
    let mut random = rand::rng();
    // The first ones are those that people use by hand.
    [127, random.random_range(5..=254), random.random_range(0..=255)]
}
