//! Exports that change together: the weight of an endpoint depends on all exports of its service, so a change of many is
//! awaited before endpoints are written. A change that comes alone is written at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::time::later;
use super::{Export, Service};
use crate::digest::Digest;

/// Endpoints are written once their exports have not changed for this long, times the number of exports that have,
const QUIET: Duration = Duration::from_millis(300);
/// which counts up to this number.
const MOST: u32 = 7;
/// And once fewer exports change, of all profiles together, within this time
const LATELY: Duration = Duration::from_secs(1);
/// than this: more than the traffic manager takes writes (networking 12.1), so an early write would only delay others.
const MANY: usize = 10;

/// Which exports of a profile have changed lately, and which of its endpoints wait to be written. Losing it costs writes,
/// never correctness.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collecting {
    exports: Option<BTreeMap<(String, String), Digest>>,
    changes: Option<Changes>,
    differing: BTreeMap<String, Timestamp>,
}

/// Changes that are collected.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Changes {
    exports: usize,
    last: Timestamp,
    until: Timestamp,
}

/// The exports of all profiles that have changed lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lately(VecDeque<(Timestamp, usize)>);

/// What holds endpoints of a profile back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    /// Until when changes of exports are collected, if they are.
    pub until: Option<Timestamp>,
    /// Since when endpoints have not been what they should be, by name.
    pub differing: BTreeMap<String, Timestamp>,
}

impl Collecting {
    /// Takes in the services as they are.
    pub fn update(&mut self, services: &BTreeMap<String, Service>, lately: &mut Lately, now: Timestamp) -> Collected {
        let exports = digests(services);
        if let Some(before) = self.exports.as_ref().filter(|before| **before != exports) {
            let keys: BTreeSet<_> = before.keys().chain(exports.keys()).collect();
            let changed = keys.into_iter().filter(|key| before.get(*key) != exports.get(*key));
            let changed = changed.count();
            let earlier = self.changes.filter(|changes| changes.until > now);
            self.changes = Some(Changes {
                exports: changed + earlier.map_or(0, |changes| changes.exports),
                last: now,
                until: now,
            });
            lately.add(changed, now);
        }
        self.exports = Some(exports);
        if let Some(changes) = &mut self.changes {
            let times = u32::try_from(changes.exports).unwrap_or(MOST).min(MOST);
            let until = later(changes.last, QUIET * times);
            changes.until = until.max(lately.many_until(now).unwrap_or(now));
        }
        self.changes = self.changes.filter(|changes| changes.until > now);
        let until = self.changes.map(|changes| changes.until);
        Collected {
            until,
            differing: self.differing.clone(),
        }
    }

    /// Records the endpoints that are not what they should be.
    pub fn differ(&mut self, endpoints: &[String], now: Timestamp) {
        let since = |name: &String| (name.clone(), self.differing.get(name).copied().unwrap_or(now));
        self.differing = endpoints.iter().map(since).collect();
    }
}

impl Lately {
    fn add(&mut self, changed: usize, now: Timestamp) {
        self.0.push_back((now, changed));
        while self.0.front().is_some_and(|(at, _)| later(*at, LATELY) <= now) {
            self.0.pop_front();
        }
    }

    /// Until when many exports have changed lately, if no more do.
    fn many_until(&self, now: Timestamp) -> Option<Timestamp> {
        let recent = self.0.iter().filter(|(at, _)| later(*at, LATELY) > now);
        let mut left: usize = recent.clone().map(|(_, changed)| changed).sum();
        let mut until = None;
        for (at, changed) in recent {
            if left < MANY {
                break;
            }
            left -= changed;
            until = Some(later(*at, LATELY));
        }
        until
    }
}

/// What endpoints depend on, of each export.
fn digests(services: &BTreeMap<String, Service>) -> BTreeMap<(String, String), Digest> {
    let mut all = BTreeMap::new();
    for (name, service) in services {
        for exporter in &service.exporters {
            let export = exporter.export.as_ref().map(|export| Export {
                is_ready: None,
                lookup_error: None,
                ..export.clone()
            });
            all.insert(
                (name.clone(), exporter.cluster.clone()),
                Digest::of(&format!("{export:?}")),
            );
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::traffic::Exporter;

    fn services(weights: &[i64]) -> BTreeMap<String, Service> {
        let exporters = weights.iter().enumerate().map(|(number, weight)| Exporter {
            cluster: format!("m{number}"),
            export: Some(Export {
                weight: *weight,
                ..Export::default()
            }),
        });
        let service = Service {
            exporters: exporters.collect(),
        };
        BTreeMap::from([("web".to_owned(), service)])
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
    }

    #[test]
    fn a_change_alone_waits_little_and_one_of_many_until_no_more_come() {
        let (mut collecting, mut lately) = (Collecting::default(), Lately::default());
        let mut update = |weights: &[i64], millis| collecting.update(&services(weights), &mut lately, at(millis)).until;
        assert_eq!(update(&[1, 1], 0), None, "what is known first is no change");
        assert_eq!(update(&[2, 1], 1000), Some(at(1300)));
        assert_eq!(update(&[2, 1], 1299), Some(at(1300)));
        assert_eq!(update(&[2, 1], 1300), None);
        assert_eq!(update(&[2, 1], 5000), None);
        assert_eq!(update(&[3, 3], 6000), Some(at(6600)), "two exports");
        for n in 1..20 {
            let waits = 300 * (2 + n).min(7);
            assert_eq!(update(&[3 + n, 3], 6000 + 200 * n), Some(at(6000 + 200 * n + waits)));
        }
    }

    #[test]
    fn readiness_is_no_change_of_endpoints_but_a_new_exporter_is() {
        let (mut collecting, mut lately) = (Collecting::default(), Lately::default());
        let mut update = |services: &BTreeMap<_, _>, millis| collecting.update(services, &mut lately, at(millis)).until;
        let mut all = services(&[1, 1]);
        update(&all, 0);
        let service = all.get_mut("web").unwrap();
        service.exporters[0].export.as_mut().unwrap().is_ready = Some(false);
        service.exporters.reverse();
        assert_eq!(update(&all, 1000), None);
        assert_eq!(update(&services(&[1, 1, 1]), 2000), Some(at(2300)));
        assert_eq!(update(&services(&[1, 1]), 3000), Some(at(3300)));
    }

    #[test]
    fn while_many_exports_of_other_profiles_change_a_single_change_may_be_the_first_of_many() {
        let (mut one, mut other, mut lately) = (Collecting::default(), Collecting::default(), Lately::default());
        one.update(&services(&[1]), &mut lately, at(0));
        other.update(&services(&[1; 9]), &mut lately, at(0));
        assert_eq!(
            other.update(&services(&[2; 9]), &mut lately, at(500)).until,
            Some(at(2600))
        );
        assert_eq!(
            one.update(&services(&[2]), &mut lately, at(600)).until,
            Some(at(1500)),
            "ten changes within a second, of which nine go at 1500"
        );
        assert_eq!(one.update(&services(&[2]), &mut lately, at(1500)).until, None);
        assert_eq!(one.update(&services(&[3]), &mut lately, at(1700)).until, Some(at(2000)));
    }

    #[test]
    fn endpoints_differ_since_they_were_found_to() {
        let mut collecting = Collecting::default();
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        collecting.differ(&names(&["a", "b"]), at(1));
        collecting.differ(&names(&["b", "c"]), at(2));
        let known = collecting.update(&BTreeMap::new(), &mut Lately::default(), at(3));
        let wanted = BTreeMap::from([("b".to_owned(), at(1)), ("c".to_owned(), at(2))]);
        assert_eq!(known.differing, wanted);
    }
}
