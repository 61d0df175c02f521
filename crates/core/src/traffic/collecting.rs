//! Exports that change together: the weight of an endpoint depends on all exports of its service, so a change of many is
//! awaited before any endpoint is written.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Service;
use super::time::later;
use crate::digest::Digest;

/// Endpoints are written once nothing has changed for this long,
const QUIET: Duration = Duration::from_millis(300);
/// or after this time, whatever changes meanwhile.
const LONGEST: Duration = Duration::from_secs(3);

/// How the services of a profile have changed lately. Losing it costs writes, never correctness.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collecting {
    services: Option<Digest>,
    /// The first and the last of the changes that are collected.
    changes: Option<(Timestamp, Timestamp)>,
}

impl Collecting {
    /// Takes in the services as they are. Returns until when changes are collected, if they are.
    pub fn update(&mut self, services: &BTreeMap<String, Service>, now: Timestamp) -> Option<Timestamp> {
        let digest = Digest::of(&format!("{services:?}"));
        let before = self.services.replace(digest);
        if before.is_some_and(|before| before != digest) {
            let first = self.changes.map_or(now, |(first, _)| first);
            self.changes = Some((first, now));
        }
        let (first, last) = self.changes?;
        let until = later(last, QUIET).min(later(first, LONGEST));
        if until <= now {
            self.changes = None;
            return None;
        }
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::traffic::{Export, Exporter};

    fn services(weight: i64) -> BTreeMap<String, Service> {
        let export = Export {
            weight,
            ..Export::default()
        };
        let exporter = Exporter {
            cluster: "m1".to_owned(),
            export: Some(export),
        };
        let service = Service {
            exporters: vec![exporter],
        };
        BTreeMap::from([("web".to_owned(), service)])
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
    }

    #[test]
    fn changes_are_collected_until_none_comes_any_more_or_for_long_enough() {
        let mut collecting = Collecting::default();
        let mut update = |weight, millis| collecting.update(&services(weight), at(millis));
        assert_eq!(update(1, 0), None, "what is known first is no change");
        assert_eq!(update(2, 1000), Some(at(1300)));
        assert_eq!(update(2, 1299), Some(at(1300)));
        assert_eq!(update(2, 1300), None);
        assert_eq!(update(2, 5000), None);
        for n in 0..15 {
            assert_eq!(update(3 + n, 6000 + 200 * n), Some(at((6300 + 200 * n).min(9000))));
        }
        assert_eq!(update(99, 9000), None, "not for ever");
        assert_eq!(update(100, 9001), Some(at(9301)), "the next ones are collected again");
    }
}
