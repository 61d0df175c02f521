//! Kinds of placed objects whose watch is not live: it does not show that nothing has changed, so their objects are
//! checked by the periodic passes, and where the member refuses the watch, the Work's status says so.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use api::condition;
use api::text::conditions::work::WATCHED;
use api::text::reasons::work::WATCH_REFUSED;
use api::{Condition, ConditionStatus, Time};
use fairway_core::apply::Report;
use futures::FutureExt as _;
use kit::backoff::{Backoff, Retry};
use kit::index::{Index, Status};
use kit::queue::Queue;

use super::work_state::{Need, WorkStates};

/// A watch that is not live for longer than this is taken for broken. Servers end watches every few minutes, and then they
/// are live again at once.
const GAP: Duration = Duration::from_secs(10);

/// Follows whether the watch of a kind is live, for good; after a panic it begins anew. `works` names the Works that have placed objects of the kind.
///
/// Passes that were postponed because the watch showed no change come as if they had not been, once the watch no longer
/// does. Where the server refuses the watch, a pass writes that into the status, and another one takes it out later.
pub(super) async fn follow<T: Send + Sync + 'static>(
    index: &Index<T>,
    works: impl Fn() -> Vec<String>,
    queue: &Queue<String>,
    work_states: &WorkStates,
) {
    let mut retry = Retry::new(Backoff::connection());
    loop {
        let following = AssertUnwindSafe(follow_changes(index, &works, queue, work_states));
        if following.catch_unwind().await.is_err() {
            let resource = index.resource();
            tracing::error!(%resource, "Following whether a watch is live panicked; it begins anew.");
        }
        tokio::time::sleep(retry.failed()).await;
    }
}

async fn follow_changes<T: Send + Sync + 'static>(
    index: &Index<T>,
    works: impl Fn() -> Vec<String>,
    queue: &Queue<String>,
    work_states: &WorkStates,
) {
    let pass = || {
        for work in works() {
            work_states.need(&work, Need::Pass);
            queue.add(work);
        }
    };
    // The index is there as long as we are, so waiting for its changes cannot fail.
    let mut changes = index.status_changes();
    loop {
        let _ = changes.wait_for(|status| !status.is_live()).await;
        if tokio::time::timeout(GAP, changes.wait_for(Status::is_live))
            .await
            .is_ok()
        {
            continue;
        }
        for work in works() {
            queue.add_after(work.clone(), work_states.bring_forward_to_backoff(&work));
        }
        let is_refused = changes.wait_for(|status| status.is_live() || status.is_refused()).await;
        if is_refused.is_ok_and(|status| status.is_live()) {
            continue;
        }
        pass();
        let _ = changes.wait_for(Status::is_live).await;
        pass();
    }
}

/// Says in a status which kinds the member does not let us watch, or takes out that it did not.
pub(super) fn note(report: &mut Report, refused: &[String], generation: i64, now: &Time) {
    let conditions = &mut report.status.conditions;
    let known = condition::find(conditions, WATCHED);
    if refused.is_empty() {
        if known.is_some() {
            condition::remove(conditions, WATCHED);
            report.must_write = true;
        }
        return;
    }
    let message = format!(
        "The member cluster does not let the member agent list and watch {}, so changes of these objects are noticed by its \
         periodic passes only. Grant the agent the verbs list and watch on them.",
        refused.join(", ")
    );
    if known.is_none_or(|known| known.message != message || known.observed_generation != generation) {
        let status = ConditionStatus::False;
        let condition = Condition::new(WATCHED, status, WATCH_REFUSED, message, generation, now.clone());
        condition::set(conditions, condition);
        report.must_write = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::placement::v1beta1::WorkStatus;
    use serde_json::Value;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_condition_is_written_when_it_changes_only() {
        let now = Time(jiff::Timestamp::UNIX_EPOCH);
        let mut report = Report {
            status: WorkStatus::default(),
            must_write: false,
        };
        let mut note_again = |refused: &[&str], generation| {
            let refused: Vec<_> = refused.iter().map(|kind| (*kind).to_owned()).collect();
            report.must_write = false;
            note(&mut report, &refused, generation, &now);
            let message = condition::find(&report.status.conditions, WATCHED).map(|c| c.message.clone());
            (
                report.must_write,
                message.is_some_and(|message| message.contains("list and watch")),
            )
        };
        assert_eq!(note_again(&[], 1), (false, false));
        assert_eq!(note_again(&["v1 ConfigMap"], 1), (true, true));
        assert_eq!(note_again(&["v1 ConfigMap"], 1), (false, true));
        assert_eq!(note_again(&["v1 ConfigMap", "v1 Secret"], 1), (true, true));
        assert_eq!(note_again(&["v1 ConfigMap", "v1 Secret"], 2), (true, true));
        assert_eq!(note_again(&[], 2), (true, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_does_not_end_the_following_of_a_watch() {
        // Its watch was never live.
        let index = Index::<Value>::builder(api::kinds::WORK, |value| Ok(Some(value))).build();
        let queue: Queue<String> = Queue::new(Backoff::connection());
        let (work_states, asked) = (WorkStates::default(), AtomicUsize::new(0));
        let works = || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("a bug"),
            _ => vec!["w".to_owned()],
        };
        let following = follow(&index, works, &queue, &work_states);
        assert!(tokio::time::timeout(GAP * 4, following).await.is_err());
        assert!(asked.load(Ordering::Relaxed) > 1, "it is asked again");
    }
}
