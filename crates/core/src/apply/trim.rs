//! Keeps a Work below the size that API servers store (member-behaviour 6.5).

use api::placement::v1beta1::{PatchDetail, WorkStatus};
use api::text::conditions::work as types;
use api::text::reasons::work as reasons;
use api::{Condition, ConditionStatus, Time, condition};

use super::work::json_size;

/// Most bytes of JSON of a whole Work before details are cut.
pub const SIZE_LIMIT: usize = 1_415_578;

const OMITTED: &str = "(omitted)";

/// Cuts drift, diff and back-reported details when the Work would be too large, and says so in a condition of this
/// generation. `rest` is the size of the Work without its status, in bytes of JSON.
pub(super) fn trim(rest: usize, generation: i64, status: &mut WorkStatus, now: &Time) {
    let size = rest + json_size(status);
    if size <= SIZE_LIMIT {
        condition::remove(&mut status.conditions, types::STATUS_TRIMMED);
        return;
    }
    for entry in &mut status.manifest_conditions {
        if let Some(details) = &mut entry.drift_details {
            summarize(&mut details.observed_drifts);
        }
        if let Some(details) = &mut entry.diff_details {
            summarize(&mut details.observed_diffs);
        }
        entry.back_reported_status = None;
    }
    let over = size - SIZE_LIMIT;
    let message = format!(
        "The status data (drift/diff details and back-reported status) has been trimmed due to size constraints ({over} \
         bytes over limit {SIZE_LIMIT})"
    );
    let condition = Condition::new(
        types::STATUS_TRIMMED,
        ConditionStatus::True,
        reasons::OVERSIZED,
        message,
        generation,
        now.clone(),
    );
    condition::set(&mut status.conditions, condition);
}

fn summarize(details: &mut Vec<PatchDetail>) {
    let Some(first) = details.first() else { return };
    let path = match details.len() {
        1 => first.path.clone(),
        count => format!("{} and {} more path(s)", first.path, count - 1),
    };
    *details = vec![PatchDetail {
        path,
        value_in_member: OMITTED.to_owned(),
        value_in_hub: OMITTED.to_owned(),
    }];
}
