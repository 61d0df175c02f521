//! What is remembered of each Work between its turns.

use std::collections::BTreeMap;
use std::time::Duration;

use api::placement::v1beta1::WorkResourceIdentifier;
use fairway_core::apply::{Arrival, Backoff, Entry, Finding, Identity, Settings, Subject, WriteHistory};
use parking_lot::Mutex;
use tokio::time::Instant;

/// What a Work needs at its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// An update of its entries from the watches.
    Refresh,
    /// A pass over all manifests.
    Pass,
}

/// How the last pass over a Work ended.
#[derive(Debug, Clone)]
pub(super) struct PassResult {
    pub(super) subject: Subject,
    pub(super) entries: Vec<Entry>,
    /// Objects that another Work of the placement is to take.
    pub(super) kept: Vec<WorkResourceIdentifier>,
    /// UID of the AppliedWork.
    pub(super) owner: String,
}

#[derive(Default)]
struct WorkState {
    need: Option<Need>,
    /// When the periodic pass is due.
    due: Option<Instant>,
    backoff: Backoff,
    settled: Option<PassResult>,
    /// Earliest next pass that a change on the member may cause.
    repair_after: Option<Instant>,
    /// Since when other Works of the placement are awaited, and at which generation of this one.
    awaits_others: Option<(i64, Instant)>,
    /// Whether a pass is running: it takes in changes itself when it ends.
    passing: bool,
    /// Whether the Work is being deleted and every event of its objects matters.
    in_deletion: bool,
}

/// Passes that changes on the member cause are at least this far apart, so that many changes do not cause as many passes.
const REPAIR_SPACING: Duration = Duration::from_secs(2);

/// WorkStates of all Works, by name.
#[derive(Default)]
pub(super) struct WorkStates {
    all: Mutex<BTreeMap<String, WorkState>>,
}

impl WorkStates {
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut WorkState) -> T) -> T {
        act(self.all.lock().entry(name.to_owned()).or_default())
    }

    /// Notes what the next turn is for; a pass includes a refresh.
    pub(super) fn need(&self, name: &str, need: Need) {
        self.with(name, |state| state.need = state.need.max(Some(need)));
    }

    /// Notes that every Work needs a pass. Answers which there are.
    pub(super) fn need_pass_of_all(&self) -> Vec<String> {
        let mut all = self.all.lock();
        all.values_mut().for_each(|state| state.need = Some(Need::Pass));
        all.keys().cloned().collect()
    }

    /// Notes that a change on the member needs a pass. Answers how long that has to wait.
    pub(super) fn need_repair(&self, name: &str, now: Instant) -> Duration {
        self.with(name, |state| match state.repair_after.filter(|after| *after > now) {
            Some(after) => {
                state.due = Some(state.due.map_or(after, |due| due.min(after)));
                after - now
            }
            None => {
                state.repair_after = Some(now + REPAIR_SPACING);
                state.need = Some(Need::Pass);
                Duration::ZERO
            }
        })
    }

    /// Notes that a Work is being deleted, for which no pass has recorded the state of its objects.
    pub(super) fn follow_deletion(&self, name: &str) {
        self.with(name, |state| state.in_deletion = true);
    }

    /// Whether every event of an object of the Work matters, because it is being deleted.
    pub(super) fn is_in_deletion(&self, name: &str) -> bool {
        self.all.lock().get(name).is_some_and(|state| state.in_deletion)
    }

    /// Brings the periodic pass forward to where the back-off would have it. Answers how long that is.
    pub(super) fn bring_forward_to_backoff(&self, name: &str) -> Duration {
        self.with(name, |state| {
            let now = Instant::now();
            let at = now + state.backoff.last();
            let due = state.due.map_or(at, |due| due.min(at));
            state.due = Some(due);
            due.saturating_duration_since(now)
        })
    }

    /// What this turn is for.
    pub(super) fn take_need(&self, name: &str, now: Instant) -> Need {
        self.with(name, |state| {
            let need = state.need.take();
            let is_due = state.due.is_none_or(|due| due <= now);
            if need == Some(Need::Pass) || is_due || state.settled.is_none() {
                state.due = None;
                state.passing = true;
                // A repair that had to wait comes as a periodic pass, and the next one keeps its distance from that as well.
                if state.repair_after.is_some_and(|after| after + REPAIR_SPACING > now) {
                    state.repair_after = Some(now + REPAIR_SPACING);
                }
                return Need::Pass;
            }
            Need::Refresh
        })
    }

    /// Whether the periodic pass is due and nothing else needs one.
    pub(super) fn is_due(&self, name: &str, now: Instant) -> bool {
        self.with(name, |state| {
            state.need < Some(Need::Pass) && state.due.is_some_and(|due| due <= now)
        })
    }

    /// Moves the periodic pass to another time.
    pub(super) fn postpone(&self, name: &str, due: Instant) {
        self.with(name, |state| state.due = Some(due));
    }

    /// Reads the last pass's result, unless there was none or another pass is running.
    pub(super) fn inspect<T>(&self, name: &str, look: impl FnOnce(&PassResult) -> T) -> Option<T> {
        let all = self.all.lock();
        let state = all.get(name).filter(|state| !state.passing)?;
        state.settled.as_ref().map(look)
    }

    /// The last pass's end.
    pub(super) fn last_pass(&self, name: &str) -> Option<PassResult> {
        self.all.lock().get(name)?.settled.clone()
    }

    /// What the last pass knew of our writes to each object.
    pub(super) fn histories(&self, name: &str) -> BTreeMap<Identity, WriteHistory> {
        let all = self.all.lock();
        let settled = all.get(name).and_then(|state| state.settled.as_ref());
        let mut found = BTreeMap::new();
        for entry in settled.into_iter().flat_map(|settled| &settled.entries) {
            if let Some(identity) = Identity::of(&entry.identifier) {
                // A later manifest of the same object has been refused, and wrote nothing.
                found
                    .entry(identity)
                    .or_insert_with(|| (*entry.outcome.history).clone());
            }
        }
        found
    }

    /// Remembers what a pass did, before its end is certain: a status that cannot be written must not cost what is known of
    /// our writes, which bounds how often they are repeated.
    pub(super) fn note_result(&self, name: &str, result: PassResult) {
        self.with(name, |state| state.settled = Some(result));
    }

    /// Notes that a pass has come to its end. Answers when the next periodic pass is due.
    pub(super) fn finish_pass(&self, name: &str, settings: &Settings, finding: &Finding) -> Duration {
        self.with(name, |state| {
            let wait = state.backoff.next(settings, finding);
            state.due = Some(Instant::now() + wait);
            state.passing = false;
            wait
        })
    }

    /// Brings the periodic pass forward.
    pub(super) fn bring_forward(&self, name: &str, wait: Duration) {
        self.with(name, |state| {
            let at = Instant::now() + wait;
            state.due = Some(state.due.map_or(at, |due| due.min(at)));
        });
    }

    /// Remembers what a refresh found. Changed results start the back-off anew.
    pub(super) fn record_refresh(&self, name: &str, settled: PassResult, settings: &Settings, finding: &Finding) {
        self.with(name, |state| {
            if state.backoff.is_changed_by(finding) {
                state.due = Some(Instant::now() + state.backoff.next(settings, finding));
            }
            state.settled = Some(settled);
        });
    }

    /// How long it is until the periodic pass.
    pub(super) fn until_due(&self, name: &str) -> Duration {
        self.with(name, |state| {
            state
                .due
                .map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()))
        })
    }

    /// How long a Work has waited for the other Works of its placement, and notes that it waits.
    pub(super) fn waited(&self, name: &str, generation: i64, arrival: Arrival, now: Instant) -> Duration {
        self.with(name, |state| {
            if arrival == Arrival::Complete {
                state.awaits_others = None;
                return Duration::ZERO;
            }
            let since = state.awaits_others.filter(|(known, _)| *known == generation);
            let (_, since) = *state.awaits_others.insert(since.unwrap_or((generation, now)));
            now.saturating_duration_since(since)
        })
    }

    /// Forgets a Work that is gone.
    pub(super) fn forget(&self, name: &str) {
        self.all.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> PassResult {
        PassResult {
            subject: Subject {
                generation: 1,
                only_reports: false,
                mirror: false,
                size: 0,
            },
            entries: vec![],
            kept: vec![],
            owner: String::new(),
        }
    }

    fn end_of_pass(work_states: &WorkStates, finding: &Finding) -> Duration {
        work_states.note_result("w", settled());
        work_states.finish_pass("w", &Settings::default(), finding)
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_a_pass_when_asked_for_or_due() {
        let work_states = WorkStates::default();
        let now = Instant::now();
        assert_eq!(work_states.take_need("w", now), Need::Pass, "nothing is known yet");
        let finding = Finding {
            generation: 1,
            results: 1,
            fine: true,
        };
        let wait = end_of_pass(&work_states, &finding);
        work_states.postpone("w", now + Duration::from_secs(900));
        assert_eq!(
            work_states.bring_forward_to_backoff("w"),
            wait,
            "as if it had not been put off"
        );
        work_states.need("w", Need::Refresh);
        assert_eq!(work_states.take_need("w", now), Need::Refresh);
        work_states.need("w", Need::Pass);
        work_states.need("w", Need::Refresh);
        assert_eq!(work_states.take_need("w", now), Need::Pass);
        end_of_pass(&work_states, &finding);
        assert_eq!(
            work_states.take_need("w", now + wait),
            Need::Pass,
            "the periodic pass is due"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_others_begins_anew_with_a_generation_and_ends_when_all_have_come() {
        let work_states = WorkStates::default();
        let now = Instant::now();
        let waited = |generation, arrival, seconds| {
            work_states
                .waited("w", generation, arrival, now + Duration::from_secs(seconds))
                .as_secs()
        };
        assert_eq!(waited(1, Arrival::Expected, 0), 0);
        assert_eq!(waited(1, Arrival::Unknown, 3), 3);
        assert_eq!(waited(2, Arrival::Expected, 4), 0);
        assert_eq!(waited(2, Arrival::Complete, 5), 0);
        assert_eq!(waited(2, Arrival::Expected, 9), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn repairs_keep_their_distance() {
        let work_states = WorkStates::default();
        let finding = Finding {
            generation: 1,
            results: 1,
            fine: true,
        };
        end_of_pass(&work_states, &finding);
        let now = Instant::now();
        assert_eq!(work_states.need_repair("w", now), Duration::ZERO);
        assert_eq!(work_states.take_need("w", now), Need::Pass);
        end_of_pass(&work_states, &finding);
        let soon = now + Duration::from_millis(500);
        assert_eq!(work_states.need_repair("w", soon), Duration::from_millis(1500));
        assert_eq!(work_states.take_need("w", soon), Need::Refresh);
        let next = now + REPAIR_SPACING;
        assert_eq!(work_states.take_need("w", next), Need::Pass);
        end_of_pass(&work_states, &finding);
        assert_eq!(
            work_states.need_repair("w", next),
            REPAIR_SPACING,
            "one that was put off counts as well"
        );
    }
}
