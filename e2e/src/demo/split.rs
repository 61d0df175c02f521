//! How requests are spread over the clusters: measured, and compared with the weights.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::client::{Client, Request};

/// Look-ups, each followed by a request.
pub const LOOKUPS: usize = 200;

/// Requests of one phase, and whether they are spread as they should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Split {
    /// What was so while they were made.
    pub phase: String,
    /// The share of each cluster as its weight says, from 0 to 1.
    pub expected: BTreeMap<String, f64>,
    /// How many each cluster answered.
    pub answered: BTreeMap<String, usize>,
    /// Why requests were not answered, with their number.
    pub failed: BTreeMap<String, usize>,
}

impl Split {
    /// Makes [`LOOKUPS`] requests, one after the other.
    pub async fn measure(client: &Client, phase: &str, expected: &[(&str, f64)]) -> Self {
        let begun = Instant::now();
        let mut requests = Vec::new();
        for _ in 0..LOOKUPS {
            requests.push(client.request(begun).await);
        }
        Self::of(phase, expected, &requests)
    }

    /// Counts requests.
    pub fn of<'a>(phase: &str, expected: &[(&str, f64)], requests: impl IntoIterator<Item = &'a Request>) -> Self {
        let mut split = Self {
            phase: phase.to_owned(),
            expected: expected
                .iter()
                .map(|(name, share)| ((*name).to_owned(), *share))
                .collect(),
            answered: BTreeMap::new(),
            failed: BTreeMap::new(),
        };
        for request in requests {
            let (counts, key) = match &request.outcome {
                Ok(cluster) => (&mut split.answered, cluster),
                Err(why) => (&mut split.failed, why),
            };
            *counts.entry(key.clone()).or_default() += 1;
        }
        split
    }

    /// All requests.
    pub fn total(&self) -> usize {
        self.answered.values().chain(self.failed.values()).sum()
    }

    /// What is not as it should be: failed requests, and clusters whose number is further from their share than chance
    /// can explain.
    pub fn wrong(&self) -> Vec<String> {
        let phase = &self.phase;
        let mut wrong: Vec<String> = self
            .failed
            .iter()
            .map(|(why, count)| format!("{phase}: {count} requests failed: {why}"))
            .collect();
        if self.total() == 0 {
            wrong.push(format!("{phase}: no request was made"));
        }
        for name in self.answered.keys().filter(|name| !self.expected.contains_key(*name)) {
            wrong.push(format!("{phase}: {name} answered and should not"));
        }
        for (name, share) in &self.expected {
            let found = self.answered.get(name).copied().unwrap_or(0);
            let (low, high) = bounds(self.total(), *share);
            if !(low..=high).contains(&(found as f64)) {
                wrong.push(format!(
                    "{phase}: {name} answered {found} of {} requests, its weight says {low:.0} to {high:.0}",
                    self.total()
                ));
            }
        }
        wrong
    }
}

/// How many of `total` random choices may fall to a share: five standard deviations around the mean, which chance exceeds
/// in less than one of a million runs. Shares of nothing and of everything leave no room.
fn bounds(total: usize, share: f64) -> (f64, f64) {
    let mean = total as f64 * share;
    let room = 5.0 * (mean * (1.0 - share)).max(0.0).sqrt();
    ((mean - room).floor().max(0.0), (mean + room).ceil())
}

/// A table of phases, with a column per cluster.
pub fn table(splits: &[Split]) -> String {
    let mut clusters: Vec<&String> = splits
        .iter()
        .flat_map(|split| split.expected.keys().chain(split.answered.keys()))
        .collect();
    clusters.sort();
    clusters.dedup();
    let head = clusters.iter().map(|name| name.to_uppercase());
    let head = std::iter::once("PHASE".to_owned())
        .chain(head)
        .chain(["FAILED".to_owned()]);
    let mut lines: Vec<Vec<String>> = vec![head.collect()];
    for split in splits {
        let cell = |name: &&String| {
            let share = split.expected.get(*name).copied().unwrap_or(0.0) * 100.0;
            let count = split.answered.get(*name).copied().unwrap_or(0);
            format!("{count} (weight {share:.0} %)")
        };
        let failed: usize = split.failed.values().sum();
        let mut line = vec![split.phase.clone()];
        line.extend(clusters.iter().map(cell));
        line.push(failed.to_string());
        lines.push(line);
    }
    crate::table::align(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(one: usize, two: usize, failed: usize) -> Vec<Request> {
        let request = |outcome: Result<&str, &str>| Request {
            at: 0.0,
            took: 0.0,
            outcome: outcome.map(str::to_owned).map_err(str::to_owned),
        };
        let mut all = vec![request(Ok("member-1")); one];
        all.extend(vec![request(Ok("member-2")); two]);
        all.extend(vec![request(Err("refused")); failed]);
        all
    }

    #[test]
    fn a_split_is_right_within_what_chance_explains() {
        let half = [("member-1", 0.5), ("member-2", 0.5)];
        let only = [("member-1", 0.0), ("member-2", 1.0)];
        for (expected, found, wrong) in [
            (&half[..], (100, 100, 0), 0),
            (&half, (70, 130, 0), 0),
            (&half, (60, 140, 0), 2),
            (&half, (100, 99, 1), 1),
            (&half, (0, 0, 0), 1),
            (&only, (0, 200, 0), 0),
            (&only, (1, 199, 0), 2),
            (&half[..1], (100, 100, 0), 1),
        ] {
            let split = Split::of("phase", expected, &requests(found.0, found.1, found.2));
            assert_eq!(split.wrong().len(), wrong, "{:?}", split.wrong());
        }
    }

    #[test]
    fn the_table_has_a_row_per_phase() {
        let half = [("member-1", 0.5), ("member-2", 0.5)];
        let shown = table(&[Split::of("both", &half, &requests(1, 2, 3))]);
        assert_eq!(
            shown,
            "PHASE   MEMBER-1          MEMBER-2          FAILED\nboth    1 (weight 50 %)   2 (weight 50 %)   3\n"
        );
    }
}
