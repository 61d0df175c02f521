//! How the weight of a backend is spread over the exports behind it (networking 7.4).

/// Heaviest weight of a backend, an export and an endpoint.
pub const MAX: i64 = 1000;

/// Weights of the endpoints of a backend of weight `total` (0 to 1000), one for each export in the given order.
///
/// An export of weight `w` gets `ceil(total · w / sum)`, where `sum` is that of all exports. This is in 1..=1000 for
/// every export that has a weight. An export without weight (0, or less by mistake) is not wanted and gets 0; it has no
/// part in the sum. A backend of weight 0 gives 0 to all.
pub fn spread(total: i64, exports: &[i64]) -> Vec<i64> {
    let total = i128::from(total.clamp(0, MAX));
    let part = |weight: &i64| i128::from((*weight).max(0));
    let sum: i128 = exports.iter().map(part).sum();
    let share = |weight: &i64| match part(weight) {
        0 => 0,
        // `sum` is at least this weight, so the share is at most `total`.
        weight => (total * weight + sum - 1) / sum,
    };
    exports
        .iter()
        .map(|weight| i64::try_from(share(weight)).unwrap_or(MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors_of_the_contract() {
        let table: [(i64, &[i64], &[i64]); 13] = [
            (500, &[100, 200], &[167, 334]),
            (100, &[1, 1], &[50, 50]),
            (100, &[1], &[100]),
            (10, &[1, 1], &[5, 5]),
            (10, &[2, 1], &[7, 4]),
            (1, &[1, 1, 1], &[1, 1, 1]),
            (1000, &[1000, 1], &[1000, 1]),
            (7, &[1000, 1000, 1000], &[3, 3, 3]),
            (0, &[1, 1000], &[0, 0]),
            (10, &[], &[]),
            (10, &[0, 0], &[0, 0]),
            (10, &[0, 1, -3], &[0, 10, 0]),
            (1001, &[i64::MAX, i64::MAX], &[500, 500]),
        ];
        for (total, exports, expected) in table {
            assert_eq!(spread(total, exports), expected, "{total} over {exports:?}");
        }
    }

    fn exports() -> impl Strategy<Value = Vec<i64>> {
        proptest::collection::vec(prop_oneof![1 => Just(0), 6 => 0..=MAX], 0..60)
    }

    proptest! {
        #[test]
        fn a_weight_is_in_range_and_zero_exactly_when_asked(total in 0..=MAX, exports in exports()) {
            let weights = spread(total, &exports);
            prop_assert_eq!(weights.len(), exports.len());
            for (weight, export) in weights.iter().zip(&exports) {
                prop_assert!((0..=MAX).contains(weight));
                prop_assert_eq!(*weight == 0, total == 0 || *export == 0);
            }
        }

        #[test]
        fn a_weight_is_proportional_within_the_error_of_the_ceiling(total in 0..=MAX, exports in exports()) {
            let sum: i64 = exports.iter().sum();
            for (weight, export) in spread(total, &exports).iter().zip(&exports) {
                // exact <= weight < exact + 1, with exact = total * export / sum.
                prop_assert!(weight * sum >= total * export);
                prop_assert!(sum == 0 || weight * sum < total * export + sum);
            }
        }

        #[test]
        fn all_weights_together_exceed_the_total_by_less_than_one_each(total in 1..=MAX, exports in exports()) {
            let wanted = exports.iter().filter(|export| **export > 0).count() as i64;
            let all: i64 = spread(total, &exports).iter().sum();
            prop_assert!(wanted == 0 || (total..total + wanted).contains(&all));
        }

        #[test]
        fn the_order_of_exports_does_not_matter(total in 0..=MAX, exports in exports(), turn in 0..60usize) {
            let mut turned = exports.clone();
            let by = if exports.is_empty() { 0 } else { turn % exports.len() };
            turned.rotate_left(by);
            let mut weights = spread(total, &exports);
            weights.rotate_left(by);
            prop_assert_eq!(spread(total, &turned), weights);
        }

        #[test]
        fn a_heavier_export_never_gets_less(total in 0..=MAX, exports in exports()) {
            let weights = spread(total, &exports);
            for (a, weight) in exports.iter().zip(&weights) {
                for (b, other) in exports.iter().zip(&weights) {
                    prop_assert!(a > b || weight <= other);
                }
            }
        }
    }
}
