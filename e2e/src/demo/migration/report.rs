//! What the client saw of the migration.

use std::collections::BTreeMap;

use serde::Serialize;

use super::steps::Moment;
use super::{NAMESPACE, REQUESTS};
use crate::client::{Mark, Record, Request};
use crate::demo::split::{self, Split};
use crate::plot::{self, Series};

/// Columns of the plot.
const COLUMNS: usize = 76;

/// When traffic moved.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// Both clusters serve.
    pub both: Moment,
    /// The second one serves alone.
    pub second: Moment,
}

/// What a run of the migration found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// `real` or `embedded`.
    pub control_plane: String,
    /// No request failed, and all reached the clusters that they should.
    pub ok: bool,
    /// What was not as it should be, first things first.
    pub wrong: Vec<String>,
    /// The name that was resolved for each request.
    pub name: String,
    /// Requests a second that were to be made.
    pub rate: u32,
    /// Requests that were made.
    pub requests: usize,
    /// Of these, how many failed.
    pub failed: usize,
    /// Time that a look-up with its request took, in milliseconds: of the slowest of each two, of each hundred, and of all.
    pub milliseconds: BTreeMap<String, f64>,
    /// Requests by cluster.
    pub splits: Vec<Split>,
    /// The tutorial's steps.
    pub marks: Vec<Mark>,
    /// `kubectl get tmp`.
    pub profiles: String,
    /// The whole run, in seconds.
    pub seconds: f64,
    #[serde(skip)]
    record: Record,
}

impl Report {
    /// Judges all requests by when traffic should have moved. Requests that were made while it moved may reach either
    /// cluster; none may fail at any time.
    pub fn of(name: String, rate: u32, record: Record, moments: &Moments, mut wrong: Vec<String>) -> Self {
        let Moments { both, second } = moments;
        let first_alone = [("member-1", 1.0), ("member-2", 0.0)];
        let half = [("member-1", 0.5), ("member-2", 0.5)];
        let second_alone = [("member-1", 0.0), ("member-2", 1.0)];
        let end = |request: &Request| request.at + request.took;
        let splits = vec![
            Split::of(
                "member-1 alone",
                &first_alone,
                record.requests.iter().filter(|request| end(request) < both.begun),
            ),
            Split::of(
                "both backends",
                &half,
                record
                    .requests
                    .iter()
                    .filter(|request| request.at > both.done && end(request) < second.begun),
            ),
            Split::of(
                "member-2 alone",
                &second_alone,
                record.requests.iter().filter(|request| request.at > second.done),
            ),
        ];
        let failures: Vec<&Request> = record
            .requests
            .iter()
            .filter(|request| request.outcome.is_err())
            .collect();
        if let Some(first) = failures.first() {
            let why = first.outcome.as_ref().err().map_or("", String::as_str);
            wrong.push(format!(
                "{} requests failed, the first after {:.2} s: {why}",
                failures.len(),
                first.at
            ));
        }
        if record.requests.len() < REQUESTS {
            wrong.push(format!("only {} requests were made", record.requests.len()));
        }
        for split in &splits {
            wrong.extend(split.wrong());
        }
        Self {
            ok: wrong.is_empty(),
            wrong,
            name,
            rate,
            requests: record.requests.len(),
            failed: failures.len(),
            milliseconds: times(&record.requests),
            splits,
            marks: record.marks.clone(),
            record,
            ..Self::default()
        }
    }

    /// Requests per cluster over time, as SVG with the tutorial's steps marked.
    pub fn svg(&self) -> String {
        let series = Series::of(&self.record.requests, 2 * COLUMNS);
        let title = format!(
            "{} requests by cluster during the migration, {} failed",
            self.requests, self.failed
        );
        plot::svg(&title, &series, &self.marks)
    }

    /// The same as text.
    pub fn text(&self) -> String {
        plot::text(&Series::of(&self.record.requests, COLUMNS), &self.marks)
    }
}

fn times(requests: &[Request]) -> BTreeMap<String, f64> {
    let mut all: Vec<f64> = requests.iter().map(|request| request.took * 1000.0).collect();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = all.len().saturating_sub(1);
        all.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
    };
    [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
        .map(|(name, share)| (name.to_owned(), at(share)))
        .into()
}

/// Prints it to standard output.
pub fn show(report: &Report) {
    println!("\n== hub: kubectl get tmp -n {NAMESPACE}, before the migration");
    print!("{}", report.profiles);
    println!(
        "\n== {} requests, {} a second, each after a DNS look-up of {}",
        report.requests, report.rate, report.name
    );
    print!("{}", report.text());
    println!();
    print!("{}", split::table(&report.splits));
    println!("\n{} of {} requests failed.", report.failed, report.requests);
    let times = report
        .milliseconds
        .iter()
        .map(|(name, time)| format!("{name} {time:.1} ms"));
    let times: Vec<String> = times.collect();
    println!("A look-up with its request took {}.", times.join(", "));
    println!("The whole demo took {:.1} s.", report.seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(spoil: impl Fn(usize, &mut Request)) -> Report {
        let requests = (0..12_000).map(|at| {
            let second = at >= 8000 || (at >= 4000 && at % 2 == 0);
            let cluster = if second { "member-2" } else { "member-1" };
            let mut request = Request {
                at: at as f64 / 200.0,
                took: 0.001,
                outcome: Ok(cluster.to_owned()),
            };
            spoil(at, &mut request);
            request
        });
        let record = Record {
            requests: requests.collect(),
            marks: Vec::new(),
        };
        let moments = Moments {
            both: Moment {
                begun: 19.9,
                done: 20.1,
            },
            second: Moment {
                begun: 39.9,
                done: 40.1,
            },
        };
        Report::of("name".to_owned(), 200, record, &moments, Vec::new())
    }

    #[test]
    fn a_migration_is_right_when_no_request_fails_and_each_reaches_its_cluster() {
        let good = report(|_, _| {});
        assert!(good.ok, "{:?}", good.wrong);
        assert_eq!((good.requests, good.failed), (12_000, 0));
        assert!(good.svg().contains("12000 requests by cluster"));
    }

    #[test]
    fn one_failed_request_is_enough_whenever_it_was_made() {
        for at in [0, 3999, 5000, 8000, 11_999] {
            let bad = report(|number, request| {
                if number == at {
                    request.outcome = Err("refused".to_owned());
                }
            });
            assert!(!bad.ok && bad.failed == 1, "{at}");
            assert!(bad.wrong[0].contains("1 requests failed"), "{:?}", bad.wrong);
        }
    }

    #[test]
    fn a_request_at_the_wrong_cluster_is_noticed_but_while_traffic_moves() {
        let reach = |at: usize, cluster: &'static str| {
            report(move |number, request| {
                if number == at {
                    request.outcome = Ok(cluster.to_owned());
                }
            })
        };
        assert!(!reach(100, "member-2").ok);
        assert!(!reach(9000, "member-1").ok);
        assert!(reach(3990, "member-2").ok);
        assert!(reach(8010, "member-1").ok);
        let uneven = report(|number, request| {
            if (4000..8000).contains(&number) && number % 4 == 0 {
                request.outcome = Ok("member-1".to_owned());
            }
        });
        assert!(!uneven.ok);
    }
}
