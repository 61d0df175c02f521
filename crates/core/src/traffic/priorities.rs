//! The order of writes where a profile routes by `Priority`: there no two endpoints may have the same rank, at any time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::endpoints::WantedEndpoint;
use super::held;

/// Ranks of a traffic manager.
const RANKS: std::ops::RangeInclusive<u16> = 1..=1000;

/// Those of `due` that can be written now, as they can be. An endpoint waits for the one that has its rank and goes to
/// another; where endpoints wait for each other, one goes to an unused rank first. So does an endpoint for which no rank was
/// chosen, when it has one that was chosen for another.
///
/// `wanted` are all endpoints of the profile that are wanted, `is_failing` says that the last write of one failed: nobody
/// waits for it.
pub(super) fn arrange(
    due: Vec<WantedEndpoint>,
    wanted: &[&WantedEndpoint],
    held: &Value,
    is_failing: impl Fn(&WantedEndpoint) -> bool,
) -> Vec<WantedEndpoint> {
    let ranks: BTreeMap<String, i64> = held::endpoints(Some(held))
        .filter_map(|endpoint| Some((endpoint.name().to_ascii_lowercase(), endpoint.priority()?)))
        .collect();
    let has = |endpoint: &WantedEndpoint| ranks.get(&endpoint.name.to_ascii_lowercase()).copied();
    // The rank that an endpoint goes to.
    let goal = |endpoint: &WantedEndpoint| {
        let chosen = endpoint.settings.priority;
        chosen.filter(|rank| has(endpoint) != Some(i64::from(*rank)))
    };
    let mut unused: Vec<u16> = {
        let chosen = wanted.iter().filter_map(|endpoint| endpoint.settings.priority);
        let taken: BTreeSet<i64> = ranks.values().copied().chain(chosen.map(i64::from)).collect();
        RANKS.filter(|rank| !taken.contains(&i64::from(*rank))).collect()
    };
    let is_any_going = due
        .iter()
        .any(|endpoint| goal(endpoint).is_some() && !is_failing(endpoint));

    let (mut now, mut later): (Vec<WantedEndpoint>, Vec<WantedEndpoint>) = Default::default();
    let mut moved: BTreeMap<String, u16> = BTreeMap::new();
    for endpoint in due {
        let Some(rank) = goal(&endpoint) else {
            // The traffic manager would choose a rank for it, perhaps one that others go to.
            let waits = is_any_going && endpoint.settings.priority.is_none() && has(&endpoint).is_none();
            if waits { &mut later } else { &mut now }.push(endpoint);
            continue;
        };
        let mut others = wanted.iter().filter(|other| other.name != endpoint.name);
        let holder = others.find(|other| has(other) == Some(i64::from(rank)));
        match holder.filter(|holder| holder.settings.priority != Some(rank) && !is_failing(holder)) {
            None => now.push(endpoint),
            Some(holder) => {
                if holder.settings.priority.is_none()
                    && let Some(unused) = unused.pop()
                {
                    moved.insert(holder.name.clone(), unused);
                }
                later.push(endpoint);
            }
        }
    }
    for (name, rank) in moved {
        let place = match now.iter().position(|endpoint| endpoint.name == name) {
            Some(place) => place,
            None => {
                now.extend(
                    wanted
                        .iter()
                        .find(|other| other.name == name)
                        .map(|other| (*other).clone()),
                );
                now.len() - 1
            }
        };
        now[place].settings.priority = Some(rank);
    }
    let is_stuck = now.iter().all(is_failing);
    let first = later.into_iter().find(|endpoint| goal(endpoint).is_some());
    if let Some((mut endpoint, rank)) = first.filter(|_| is_stuck).zip(unused.pop()) {
        endpoint.settings.priority = Some(rank);
        now.push(endpoint);
    }
    now
}
