//! The limits of a rolling update (hub-behaviour 0.7, 5.5).

use std::time::Duration;

use api::IntOrString;
use api::intstr::Round;
use api::placement::v1beta1::{BindingState, PlacementType};
use serde::Serialize;

use crate::effects::Tracked;
use crate::objects::{Binding, Placement};
use crate::problem::Problem;

/// The limits of a rolling update, percentages already resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Number of clusters that the placement is to have.
    pub target: i64,
    /// Clusters that may be unavailable.
    pub max_unavailable: i64,
    /// Clusters beyond the target.
    pub max_surge: i64,
    /// After which time untrackable resources count as available.
    #[serde(rename = "unavailablePeriodSeconds", serialize_with = "seconds")]
    pub unavailable_period: Duration,
}

impl Budget {
    /// The budgets of a placement with defaults filled in.
    ///
    /// # Errors
    /// A user problem when a limit is neither a number nor a percentage.
    pub fn of(placement: &Placement, bindings: &[Tracked<Binding>]) -> Result<Self, Problem> {
        let mut config = placement
            .spec
            .strategy
            .as_ref()
            .and_then(|s| s.rolling_update.clone())
            .unwrap_or_default();
        api::defaults::rolling_update(&mut config);
        let policy = placement.spec.policy.as_ref();
        let target = match placement.placement_type() {
            PlacementType::PickAll => count_targets(bindings),
            PlacementType::PickFixed => policy.map_or(0, |p| i64::try_from(p.cluster_names.len()).unwrap_or(i64::MAX)),
            PlacementType::PickN => i64::from(policy.and_then(|p| p.number_of_clusters).unwrap_or_default()),
        };
        let scaled = |value: Option<IntOrString>, field: &str| {
            let value = value.unwrap_or(IntOrString::Int(0));
            value.scaled(target, Round::Up).map_err(|err| {
                Problem::user(format!(
                    "The field {field} of the rollout strategy cannot be used: {err}."
                ))
            })
        };
        Ok(Self {
            target,
            max_unavailable: scaled(config.max_unavailable, "maxUnavailable")?,
            max_surge: scaled(config.max_surge, "maxSurge")?,
            unavailable_period: Duration::from_secs(
                config
                    .unavailable_period_seconds
                    .and_then(|s| u64::try_from(s).ok())
                    .unwrap_or_default(),
            ),
        })
    }
}

/// Number of Scheduled and Bound bindings: the target of PickAll.
pub(super) fn count_targets(bindings: &[Tracked<Binding>]) -> i64 {
    let counts = |b: &Binding| match b.state() {
        BindingState::Scheduled => !b.meta.is_deleting(),
        BindingState::Bound => true,
        BindingState::Unscheduled => false,
    };
    let count = bindings.iter().filter_map(Tracked::get).filter(|b| counts(b)).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}
