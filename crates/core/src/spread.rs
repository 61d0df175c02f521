//! Waits that are spread, so that those who began to wait together do not end together. What decides is a seed instead
//! of chance: equal inputs give equal plans.

use std::time::Duration;

use crate::digest::Digest;

/// The duration, give or take a fifth.
pub(crate) fn spread(duration: Duration, seed: &str) -> Duration {
    let hex = Digest::of(seed).hex();
    let draw = u32::from_str_radix(hex.get(..8).unwrap_or_default(), 16).unwrap_or_default();
    duration.mul_f64(0.8 + 0.4 * f64::from(draw) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_over_two_fifths_around_the_duration() {
        let waits: Vec<f64> = (0..1000)
            .map(|n| spread(Duration::from_secs(100), &format!("seed {n}")).as_secs_f64())
            .collect();
        assert!(waits.iter().all(|wait| (80.0..=120.0).contains(wait)));
        let mean = waits.iter().sum::<f64>() / 1000.0;
        assert!((98.0..102.0).contains(&mean), "{mean}");
        assert!(waits.iter().any(|wait| *wait < 82.0) && waits.iter().any(|wait| *wait > 118.0));
    }
}
