//! When a Work gets a pass without an event (member-behaviour 7).

use std::time::Duration;

/// Settings of the back-off; the flags of member-behaviour 8.2 name their bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many first passes wait `fixed_delay`.
    pub attempts_with_fixed_delay: u32,
    /// Wait of these first passes.
    pub fixed_delay: Duration,
    /// Factor of the slow phase.
    pub slow_base: f64,
    /// First wait of the slow phase.
    pub initial_slow_delay: Duration,
    /// Where the slow phase ends.
    pub max_slow_delay: Duration,
    /// Factor of the fast phase.
    pub fast_base: f64,
    /// Longest wait of all.
    pub max_fast_delay: Duration,
    /// Whether Works that are fine leave the slow phase at once.
    pub skip_to_fast_when_fine: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts_with_fixed_delay: 1,
            fixed_delay: Duration::from_secs(5),
            slow_base: 1.2,
            initial_slow_delay: Duration::from_secs(2),
            max_slow_delay: Duration::from_secs(15),
            fast_base: 1.5,
            max_fast_delay: Duration::from_secs(900),
            skip_to_fast_when_fine: true,
        }
    }
}

/// What a finished pass says about its Work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Generation of the Work that was processed.
    pub generation: i64,
    /// Digest of the results of all manifests in order.
    pub results: u64,
    /// Whether Available or DiffReported is True at this generation.
    pub fine: bool,
}

/// Memory of one Work between its passes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backoff {
    count: u32,
    last: Duration,
    seen: Option<(i64, u64)>,
}

/// The count stops here; by then the delay has long reached its maximum.
const MAX_COUNT: u32 = 199;

impl Backoff {
    /// Whether a finding differs from the one before, so that [`Backoff::next`] would start over.
    pub fn is_changed_by(&self, finding: &Finding) -> bool {
        self.seen != Some((finding.generation, finding.results))
    }

    /// The wait that [`Backoff::next`] answered last; zero before.
    pub fn last(&self) -> Duration {
        self.last
    }

    /// The wait until the next periodic pass. A change of generation or of results starts over.
    pub fn next(&mut self, settings: &Settings, finding: &Finding) -> Duration {
        let seen = Some((finding.generation, finding.results));
        if self.seen != seen {
            *self = Self {
                seen,
                ..Self::default()
            };
        }
        let last = self.last.as_secs_f64();
        let max_slow = settings.max_slow_delay.as_secs_f64();
        let wanted = if self.count < settings.attempts_with_fixed_delay {
            settings.fixed_delay.as_secs_f64()
        } else if self.count == settings.attempts_with_fixed_delay {
            settings.initial_slow_delay.as_secs_f64()
        } else if self.last >= settings.max_fast_delay {
            settings.max_fast_delay.as_secs_f64()
        } else if (settings.skip_to_fast_when_fine && finding.fine)
            || last >= max_slow
            || last * settings.slow_base > max_slow
        {
            last * settings.fast_base
        } else {
            last * settings.slow_base
        };
        let capped = wanted.min(settings.max_fast_delay.as_secs_f64());
        self.last = Duration::try_from_secs_f64(capped).unwrap_or(settings.max_fast_delay);
        self.count = (self.count + 1).min(MAX_COUNT);
        self.last
    }
}

/// Priority of a queue entry that waited for a condition to settle: `a` per whole minute of age, plus `b`, kept in 0..=100
/// (member-behaviour 4.1).
pub fn aged_priority(a: i32, b: i32, age: Duration) -> i32 {
    let minutes = i64::try_from(age.as_secs() / 60).unwrap_or(i64::MAX);
    let value = i64::from(a).saturating_mul(minutes).saturating_add(i64::from(b));
    i32::try_from(value.clamp(0, 100)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(settings: &Settings, fine: bool, count: usize) -> Vec<f64> {
        let mut backoff = Backoff::default();
        let finding = Finding {
            generation: 1,
            results: 7,
            fine,
        };
        (0..count)
            .map(|_| (backoff.next(settings, &finding).as_secs_f64() * 100.0).round() / 100.0)
            .collect()
    }

    #[test]
    fn delays_of_the_contract() {
        let defaults = Settings::default();
        let five = Duration::from_secs(5);
        let suite = Settings {
            max_slow_delay: five,
            max_fast_delay: five,
            ..Settings::default()
        };
        assert_eq!(
            delays(&defaults, false, 25),
            [
                5.0, 2.0, 2.4, 2.88, 3.46, 4.15, 4.98, 5.97, 7.17, 8.6, 10.32, 12.38, 14.86, 22.29, 33.44, 50.15,
                75.23, 112.84, 169.27, 253.9, 380.85, 571.27, 856.91, 900.0, 900.0
            ]
        );
        assert_eq!(
            delays(&defaults, true, 18),
            [
                5.0, 2.0, 3.0, 4.5, 6.75, 10.13, 15.19, 22.78, 34.17, 51.26, 76.89, 115.33, 173.0, 259.49, 389.24,
                583.86, 875.79, 900.0
            ]
        );
        assert_eq!(
            delays(&suite, false, 9),
            [5.0, 2.0, 2.4, 2.88, 3.46, 4.15, 4.98, 5.0, 5.0]
        );
        assert_eq!(delays(&suite, true, 6), [5.0, 2.0, 3.0, 4.5, 5.0, 5.0]);
    }

    #[test]
    fn a_change_starts_over() {
        let settings = Settings::default();
        let mut backoff = Backoff::default();
        let old = Finding {
            generation: 1,
            results: 7,
            fine: false,
        };
        assert_eq!(backoff.next(&settings, &old), Duration::from_secs(5));
        assert_eq!(backoff.next(&settings, &old), Duration::from_secs(2));
        let changed = Finding {
            results: 8,
            ..old.clone()
        };
        assert_eq!(backoff.next(&settings, &changed), Duration::from_secs(5));
        assert_eq!(backoff.next(&settings, &changed), Duration::from_secs(2));
        assert_eq!(
            backoff.next(
                &settings,
                &Finding {
                    generation: 2,
                    ..changed
                }
            ),
            Duration::from_secs(5)
        );
    }

    #[test]
    fn priorities_of_the_contract() {
        let minutes = |m: u64| Duration::from_secs(m * 60 + 59);
        let got: Vec<i32> = [0, 10, 33, 34, 500].map(|m| aged_priority(-3, 100, minutes(m))).into();
        assert_eq!(got, [100, 70, 1, 0, 0]);
    }
}
