//! Requests over time, by the cluster that answered: as text and as SVG.

mod svg;
mod text;

use std::collections::BTreeMap;

use crate::client::{Mark, Request};

pub use svg::svg;
pub use text::text;

/// The name of the row of requests that nobody answered.
pub const FAILED: &str = "failed";

/// Requests counted in spans of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Length of a span, in seconds.
    pub span: f64,
    /// Per cluster the requests that it answered, in each span.
    pub clusters: BTreeMap<String, Vec<usize>>,
    /// The requests that nobody answered.
    pub failed: Vec<usize>,
}

impl Series {
    /// Counts requests in so many spans, at least one, from the first to the last of them.
    pub fn of(requests: &[Request], spans: usize) -> Self {
        let spans = spans.max(1);
        let last = requests.iter().map(|request| request.at).fold(0.0, f64::max);
        let span = (last / spans as f64).max(f64::MIN_POSITIVE);
        let mut series = Self {
            span,
            clusters: BTreeMap::new(),
            failed: vec![0; spans],
        };
        for request in requests {
            // The last request belongs to the last span.
            let at = ((request.at / span) as usize).min(spans - 1);
            let row = match &request.outcome {
                Ok(cluster) => series.clusters.entry(cluster.clone()).or_insert_with(|| vec![0; spans]),
                Err(_) => &mut series.failed,
            };
            row[at] += 1;
        }
        series
    }

    /// Number of spans.
    pub fn spans(&self) -> usize {
        self.failed.len()
    }

    /// From the first to the last request, in seconds.
    pub fn length(&self) -> f64 {
        self.span * self.spans() as f64
    }

    /// The span of a moment.
    fn span_of(&self, mark: &Mark) -> usize {
        ((mark.at / self.span) as usize).min(self.spans() - 1)
    }

    /// Every row with its name, the failed requests last.
    fn rows(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let clusters = self.clusters.iter().map(|(name, row)| (name.as_str(), row.as_slice()));
        clusters.chain(std::iter::once((FAILED, self.failed.as_slice())))
    }

    /// Most requests of all rows together in one span.
    fn highest(&self) -> usize {
        let total = |at: usize| self.rows().map(|(_, row)| row[at]).sum::<usize>();
        (0..self.spans()).map(total).max().unwrap_or(0)
    }
}

/// The letter that stands for a mark in plots: `a` for the first, and so on.
fn letter(number: usize) -> char {
    u8::try_from(number).map_or('?', |number| char::from(b'a'.saturating_add(number).min(b'z')))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn request(at: f64, outcome: Result<&str, &str>) -> Request {
        Request {
            at,
            took: 0.0,
            outcome: outcome.map(str::to_owned).map_err(str::to_owned),
        }
    }

    #[test]
    fn every_request_is_counted_once_in_the_span_in_which_it_began() {
        let requests = [
            request(0.0, Ok("a")),
            request(0.4, Ok("b")),
            request(0.5, Ok("a")),
            request(0.9, Err("refused")),
            request(1.0, Ok("b")),
        ];
        let series = Series::of(&requests, 2);
        assert_eq!(series.clusters["a"], [1, 1]);
        assert_eq!(series.clusters["b"], [1, 1]);
        assert_eq!(series.failed, [0, 1]);
        assert_eq!((series.spans(), series.highest()), (2, 3));
        assert_eq!(Series::of(&[], 0).failed, [0]);
        let all_at_once = Series::of(&[request(0.0, Ok("a"))], 3);
        assert_eq!(all_at_once.clusters["a"].iter().sum::<usize>(), 1);
    }
}
