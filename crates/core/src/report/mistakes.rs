//! What a user has to correct: reported soon, in an event as well as in the status, and once for each generation.

use std::collections::{BTreeMap, BTreeSet};

use api::placement::v1beta1::PlacementStatus;
use api::text::conditions::{PlacementCondition, cluster};
use api::text::reasons::cluster as reasons;
use api::{Condition, ConditionStatus, condition};

use crate::objects::Placement;

/// Clusters that an event names.
const NAMED: usize = 3;

/// A failure as a status reports it: cluster (empty for the placement as a whole), type, reason, message, generation.
type Failure<'a> = (&'a str, &'a str, &'a str, &'a str, i64);

/// Whether a status reports a failure that the stored one does not. What is only in progress is none, and what is
/// not available yet is none either.
pub fn adds_failures(placement: &Placement, status: &PlacementStatus) -> bool {
    let type_ = PlacementCondition::Scheduled.on(placement.key().kind());
    let known = failures(&placement.status, type_);
    !failures(status, type_).is_subset(&known)
}

fn failures<'a>(status: &'a PlacementStatus, scheduled: &str) -> BTreeSet<Failure<'a>> {
    let own = condition::find(&status.conditions, scheduled).map(|c| ("", c));
    let of_clusters = status.placement_statuses.iter().flat_map(|entry| {
        let conditions = entry.conditions.iter().filter(|c| is_failure(c));
        conditions.map(|c| (entry.cluster_name.as_str(), c))
    });
    own.into_iter()
        .filter(|(_, c)| c.status == ConditionStatus::False)
        .chain(of_clusters)
        .map(|(name, c)| {
            (
                name,
                c.type_.as_str(),
                c.reason.as_str(),
                c.message.as_str(),
                c.observed_generation,
            )
        })
        .collect()
}

/// Whether a condition of a cluster or binding reports a failure.
pub fn is_failure(condition: &Condition) -> bool {
    let types = [
        cluster::OVERRIDDEN,
        cluster::WORK_SYNCHRONIZED,
        cluster::APPLIED,
        cluster::DIFF_REPORTED,
    ];
    let in_progress = [reasons::APPLY_IN_PROGRESS, reasons::DIFF_REPORT_IN_PROGRESS];
    condition.status == ConditionStatus::False
        && types.contains(&condition.type_.as_str())
        && !in_progress.contains(&condition.reason.as_str())
}

/// Mistakes of users that keep Works of clusters from being made.
#[derive(Debug, Default)]
pub struct Mistakes {
    /// Clusters by reason and message.
    found: BTreeMap<(&'static str, String), BTreeSet<String>>,
}

impl Mistakes {
    /// Adds what the status of a cluster's binding says, with the reason of its condition.
    pub fn add(&mut self, cluster: &str, reason: &'static str, message: &str) {
        let clusters = self.found.entry((reason, message.to_owned())).or_default();
        clusters.insert(cluster.to_owned());
    }

    /// Reason and text of an event for each mistake that the stored status does not report for this generation.
    pub fn unreported(self, placement: &Placement) -> Vec<(&'static str, String)> {
        let generation = placement.meta.generation;
        let reported: BTreeSet<(&str, &str)> = placement
            .status
            .placement_statuses
            .iter()
            .flat_map(|entry| &entry.conditions)
            .filter(|c| c.is_false_for(generation))
            .map(|c| (c.reason.as_str(), c.message.as_str()))
            .collect();
        let unreported = self
            .found
            .into_iter()
            .filter(|((reason, message), _)| !reported.contains(&(reason, message.as_str())));
        unreported
            .map(|((reason, message), clusters)| (reason, format!("{message} This concerns {}.", named(&clusters))))
            .collect()
    }
}

fn named(clusters: &BTreeSet<String>) -> String {
    let mut text: Vec<&str> = clusters.iter().take(NAMED).map(String::as_str).collect();
    let more = clusters.len().checked_sub(NAMED).filter(|more| *more > 0);
    let more = more.map(|more| format!("{more} more"));
    text.extend(more.as_deref());
    format!("the member cluster(s) {}", text.join(", "))
}
