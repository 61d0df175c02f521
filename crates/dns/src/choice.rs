//! A choice among alternatives by weight.

/// Alternatives with weights, of which [`Choice::pick`] chooses one by a draw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// Sum of the weights up to and including the alternative, and the alternative's index.
    sums: Vec<(u64, usize)>,
}

impl Choice {
    /// Alternatives by their index and weight; those of weight 0 are left out.
    pub fn new(weights: impl IntoIterator<Item = (usize, u32)>) -> Self {
        let mut total = 0;
        let weighed = weights.into_iter().filter(|(_, weight)| *weight > 0);
        let sums = weighed.map(|(index, weight)| {
            total += u64::from(weight);
            (total, index)
        });
        Self { sums: sums.collect() }
    }

    /// Whether nothing can be chosen.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The alternative that a draw, uniform over all of `u64`, stands for; `None` if there is nothing to choose from.
    pub fn pick(&self, draw: u64) -> Option<usize> {
        let (total, last) = *self.sums.last()?;
        if self.sums.len() == 1 {
            return Some(last);
        }
        // The draw as a fraction of 2^64, scaled to the total: below it by construction.
        let point = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
        let at = self.sums.partition_point(|(sum, _)| *sum <= point);
        self.sums.get(at).map(|(_, index)| *index)
    }
}

/// An independent draw for the next choice that one query needs (the output function of splitmix64).
pub(crate) fn next_draw(draw: u64) -> u64 {
    let mut mixed = draw.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_to_choose_from_chooses_nothing() {
        assert_eq!(Choice::default().pick(7), None);
        assert_eq!(Choice::new([(0, 0), (1, 0)]).pick(u64::MAX), None);
    }

    #[test]
    fn the_ends_of_the_draw_choose_the_first_and_the_last() {
        let choice = Choice::new([(0, 1), (1, 0), (2, 3)]);
        assert_eq!(choice.pick(0), Some(0));
        assert_eq!(choice.pick(u64::MAX / 4), Some(0));
        assert_eq!(choice.pick(u64::MAX / 4 + 1), Some(2));
        assert_eq!(choice.pick(u64::MAX), Some(2));
    }

    proptest! {
        /// Draws at equal distances over the whole range fall to each alternative in proportion to its weight, within
        /// one draw for each of its two ends; those of weight 0 get none.
        #[test]
        fn shares_are_proportional(weights in prop::collection::vec(0u32..=1000, 1..40)) {
            const DRAWS: u64 = 1 << 14;
            let choice = Choice::new(weights.iter().copied().enumerate());
            let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            let mut counts = vec![0u64; weights.len()];
            for step in 0..DRAWS {
                match choice.pick(step << 50) {
                    Some(index) => counts[index] += 1,
                    None => prop_assert_eq!(total, 0),
                }
            }
            for (weight, count) in weights.iter().zip(&counts) {
                match (*weight, total) {
                    (0, _) => prop_assert_eq!(*count, 0),
                    (weight, total) => {
                        let expected = DRAWS as f64 * f64::from(weight) / total as f64;
                        prop_assert!((*count as f64 - expected).abs() <= 2.0, "{count} instead of {expected}");
                    }
                }
            }
        }

        /// Weights up to the largest neither overflow nor leave the range.
        #[test]
        fn every_draw_chooses_a_weight_above_zero(
            weights in prop::collection::vec(prop_oneof![Just(0), Just(u32::MAX), any::<u32>()], 0..50),
            draw in any::<u64>(),
        ) {
            let picked = Choice::new(weights.iter().copied().enumerate()).pick(draw);
            prop_assert_eq!(picked.is_some(), weights.iter().any(|weight| *weight > 0));
            prop_assert!(picked.is_none_or(|index| weights[index] > 0));
        }
    }
}
