//! Joining, heartbeats and leaving (member-behaviour 3).

mod azure;
mod collect;
mod prices;

use std::sync::Arc;
use std::time::Duration;

use api::cluster::v1beta1::AgentType;
use api::kinds;
use fairway_core::heartbeat::{self, Membership, Update, Wanted};
use jiff::Timestamp;
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::events::{Event, Recorder};
use kit::index::{Index, Scope};
use kit::queue::Action;
use kit::writer::{Patch, Writer};
use kit::{Error, ObjectKey};
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use collect::Address;
pub(crate) use collect::Collector;

use crate::link::{Departure, Stage};
use crate::metrics::Counters;
use crate::works::Applier;

/// Who events are from; dashboards know the name.
const COMPONENT: &str = "v1beta1InternalMemberClusterController";

/// Name of the controller in metrics; dashboards know it.
const CONTROLLER: &str = "internalmembercluster-controller";

/// Retries after failures; never longer than the heartbeat period.
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));

/// Longest wait while nothing answers on the hub, and never more than a third of the heartbeat period: finding out that it
/// is back costs one connection, and a heartbeat must come within a period of that. Members that all lost the hub at once
/// come back over this time.
const HUB_AWAY: Duration = Duration::from_secs(15);

/// How long a member that leaves waits for the hub to acknowledge that its exports are withdrawn. Whatever is left then
/// goes with the member's namespace.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(30);

/// Tries to write a status that others write too.
const TRIES: usize = 4;

/// Why a heartbeat is incomplete.
#[derive(Debug, thiserror::Error)]
enum Incomplete {
    /// Nothing answers on the hub.
    #[error("{0}")]
    HubAway(String),
    /// Something else, which its answer or this member knows.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Incomplete {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

impl From<&Error> for Incomplete {
    fn from(error: &Error) -> Self {
        if error.is_unanswered() {
            Self::HubAway(error.to_string())
        } else {
            Self::Other(error.to_string())
        }
    }
}

impl Incomplete {
    /// The wait before the next try, after so many failures in a row.
    fn wait(&self, failures: u32, period: Duration) -> Duration {
        match self {
            Self::HubAway(_) => RETRY.delay(failures).min(jittered_below(HUB_AWAY.min(period / 3))),
            Self::Other(_) => RETRY.delay(failures).min(period),
        }
    }
}

/// Writes the status of the member's InternalMemberCluster.
pub(crate) struct HeartbeatReporter {
    key: ObjectKey,
    hub: Writer,
    index: Arc<Index<Membership>>,
    /// Moves with every change of what the hub wants.
    changed: watch::Receiver<u64>,
    collector: Collector,
    applier: Arc<Applier>,
    events: Recorder,
    counters: Counters,
    clock: Clock,
    /// Who withdraws this member's exports, when they are reported.
    departure: Option<Arc<Departure>>,
    /// The agents whose place this one takes.
    others: &'static [AgentType],
}

/// What the reporter needs.
pub(crate) struct Parts {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) hub: Writer,
    pub(crate) collector: Collector,
    pub(crate) applier: Arc<Applier>,
    pub(crate) events: Recorder,
    pub(crate) counters: Counters,
    pub(crate) clock: Clock,
    pub(crate) departure: Option<Arc<Departure>>,
    pub(crate) others: &'static [AgentType],
}

impl HeartbeatReporter {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            namespace,
            name,
            hub,
            collector,
            applier,
            events,
            counters,
            clock,
            departure,
            others,
        } = parts;
        let (sender, changed) = watch::channel(0);
        let scope = Scope {
            namespace: Some(namespace.clone()),
            fields: Some(format!("metadata.name={name}")),
            ..Scope::default()
        };
        let wanted = name.clone();
        let decode = move |object| Ok(Some(Membership::decode(&object)).filter(|membership| membership.name == wanted));
        let builder = Index::builder(kinds::INTERNAL_MEMBER_CLUSTER, decode).scope(scope);
        // Statuses are our own writes; only what the hub wants is a change.
        let index = builder.on_change(move |change| {
            let facts = |m: &Membership| (m.uid.clone(), m.generation);
            if change.old.as_deref().map(facts) != change.new.as_deref().map(facts) {
                sender.send_modify(|count| *count += 1);
            }
        });
        let index = index.build();
        let key = ObjectKey::namespaced(&namespace, &name);
        Self {
            key,
            hub,
            index,
            changed,
            collector,
            applier,
            events,
            counters,
            clock,
            departure,
            others,
        }
    }

    pub(crate) fn index(&self) -> &Arc<Index<Membership>> {
        &self.index
    }

    /// Reports until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.report()).await;
    }

    async fn report(&mut self) {
        self.index.synced().await;
        let mut failures = 0;
        loop {
            self.changed.mark_unchanged();
            let Some(membership) = self.index.get(&self.key) else {
                // There is none, or it is gone: wait for one. With it go the records of a member that was leaving.
                if self.stage() == Some(Stage::Leaving) {
                    self.set_stage(Stage::Left);
                }
                if self.changed.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let begun = self.counters.begin(CONTROLLER, 0);
            let ended = self.turn(&membership).await;
            let outcome = match &ended {
                Ok(wait) => wait.map_or(Action::Done, Action::After),
                Err(_) => Action::Retry,
            };
            self.counters.end(CONTROLLER, begun, 0, outcome);
            let wait = match &ended {
                Ok(wait) => {
                    failures = 0;
                    *wait
                }
                Err(reason) => {
                    failures += 1;
                    tracing::warn!(member = membership.name, %reason, failures, "The heartbeat is incomplete; trying again.");
                    Some(reason.wait(failures, membership.period))
                }
            };
            let again = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = again => {}
                changed = self.changed.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Does what the hub wants. Answers when the next heartbeat is due; `None` waits for a change.
    async fn turn(&self, membership: &Membership) -> Result<Option<Duration>, Incomplete> {
        self.set_stage(match &membership.wanted {
            Wanted::Leave if heartbeat::has_left(membership) => Stage::Left,
            Wanted::Leave => Stage::Leaving,
            Wanted::Join | Wanted::Other(_) => Stage::Member,
        });
        match &membership.wanted {
            Wanted::Join => self.join(membership).await.map(|()| Some(jittered(membership.period))),
            Wanted::Leave if heartbeat::has_left(membership) => Ok(None),
            Wanted::Leave => self.leave(membership).await.map(|()| None),
            Wanted::Other(word) => {
                tracing::warn!(
                    member = membership.name,
                    state = word,
                    "The hub wants something unknown."
                );
                Ok(None)
            }
        }
    }

    async fn join(&self, membership: &Membership) -> Result<(), Incomplete> {
        self.applier.join().await;
        let (findings, failure) = self.collector.collect(&self.clock).await;
        let update = self
            .write(membership, |fresh, now| {
                heartbeat::joined(fresh, self.others, &findings, now)
            })
            .await?;
        if let Some(update) = update {
            self.record_events(membership, &update);
            if update.is_transition {
                self.counters.joined();
            }
        }
        failure.map_or(Ok(()), |text| Err(text.into()))
    }

    async fn leave(&self, membership: &Membership) -> Result<(), Incomplete> {
        let failure = self.applier.leave().await.err().map(|err| err.to_string());
        if failure.is_none() && !self.withdrawn().await {
            return Ok(());
        }
        let update = self
            .write(membership, |fresh, now| {
                heartbeat::left(fresh, self.others, failure.as_deref(), now)
            })
            .await?;
        if let Some(update) = update {
            self.record_events(membership, &update);
            if update.is_transition {
                self.counters.left();
            }
            if failure.is_none() {
                self.set_stage(Stage::Left);
            }
        }
        failure.map_or(Ok(()), |text| Err(text.into()))
    }

    /// Waits, for a while, until the hub has acknowledged that every export is withdrawn. `false` when the hub wants
    /// something else meanwhile.
    async fn withdrawn(&self) -> bool {
        let Some(departure) = &self.departure else { return true };
        let mut changed = self.changed.clone();
        tokio::select! {
            withdrawn = departure.withdrawn(WITHDRAWN_WITHIN) => {
                if let Err(left) = withdrawn {
                    tracing::warn!(left, "The hub has not acknowledged in time that all exports are withdrawn; they go with the member's namespace.");
                }
                true
            }
            _ = changed.changed() => false,
        }
    }

    fn stage(&self) -> Option<Stage> {
        self.departure.as_ref().map(|departure| departure.stage())
    }

    fn set_stage(&self, stage: Stage) {
        if let Some(departure) = &self.departure {
            departure.set(stage);
        }
    }

    /// Writes what `say` makes of the object as it is. Others write into it too, so a conflict is met with a fresh look.
    /// `None` when the object is gone or what the hub wants has changed; the watch delivers that.
    async fn write(
        &self,
        membership: &Membership,
        say: impl Fn(&Membership, &api::Time) -> Update,
    ) -> Result<Option<Update>, Incomplete> {
        let deadline = Instant::now() + membership.period;
        let resource = kinds::INTERNAL_MEMBER_CLUSTER;
        let mut base = membership.clone();
        let mut last = Incomplete::Other(String::new());
        for attempt in 0..TRIES {
            let update = say(&base, &self.now());
            let sent = self
                .hub
                .patch(&resource, &self.key, Some("status"), Patch::Merge, &update.patch);
            let answer = match tokio::time::timeout_at(deadline, sent).await {
                Ok(answer) => answer,
                Err(_) => {
                    let text = "the status could not be written within a heartbeat period";
                    return Err(Incomplete::HubAway(text.to_owned()));
                }
            };
            match answer {
                Ok(object) => {
                    // What cannot be read has been reported by the index.
                    let _ = self.index.fold(object);
                    return Ok(Some(update));
                }
                Err(err) if err.is_not_found() => return Ok(None),
                Err(err) if err.is_conflict() => match self.hub.get(&resource, &self.key).await {
                    Ok(object) => {
                        base = Membership::decode(&object);
                        if base.wanted != membership.wanted || base.uid != membership.uid {
                            return Ok(None);
                        }
                        last = Incomplete::from(&err);
                    }
                    Err(err) if err.is_not_found() => return Ok(None),
                    Err(err) => last = Incomplete::from(&err),
                },
                Err(err) if is_passing(&err) => {
                    last = Incomplete::from(&err);
                    let wait = err
                        .retry_after()
                        .unwrap_or_else(|| RETRY.delay(u32::try_from(attempt).unwrap_or_default()));
                    tokio::time::sleep_until(deadline.min(Instant::now() + wait)).await;
                }
                Err(err) => return Err(Incomplete::from(&err)),
            }
        }
        Err(last)
    }

    fn record_events(&self, membership: &Membership, update: &Update) {
        for notice in &update.notices {
            self.events.record(Event {
                api_version: kinds::INTERNAL_MEMBER_CLUSTER.api_version(),
                kind: kinds::INTERNAL_MEMBER_CLUSTER.kind.into_owned(),
                key: self.key.clone(),
                uid: membership.uid.clone(),
                warning: notice.warning,
                reason: notice.reason.to_owned(),
                message: notice.message.clone(),
                component: COMPONENT,
            });
        }
    }

    fn now(&self) -> api::Time {
        let now = self.clock.now();
        api::Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
    }
}

/// Failures that are gone a moment later.
fn is_passing(err: &Error) -> bool {
    matches!(err.code(), None | Some(429 | 503 | 504))
}

/// The period with up to a twentieth more or less, so that members do not report at the same time.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::rng().random_range(0.95..1.05))
}

/// A random part of a time: at least a quarter of it.
fn jittered_below(longest: Duration) -> Duration {
    longest.mul_f64(rand::rng().random_range(0.25..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_is_away_is_looked_for_often_enough_for_a_heartbeat_within_a_period_of_its_return() {
        let away = Incomplete::from(&Error::Transport {
            what: "patch".to_owned(),
            cause: "connection refused".to_owned(),
        });
        assert!(matches!(away, Incomplete::HubAway(_)));
        for period in [1, 10, 60, 600].map(Duration::from_secs) {
            let waits: Vec<_> = (0..100).map(|failures| away.wait(failures, period)).collect();
            assert!(
                waits.iter().all(|wait| *wait <= period / 3 && *wait <= HUB_AWAY),
                "{waits:?}"
            );
            let late = &waits[20..];
            let (least, most) = (late.iter().min().unwrap(), late.iter().max().unwrap());
            assert!(*most > *least * 2, "members do not come back together: {late:?}");
        }
        let refused = Incomplete::Other("refused".to_owned());
        let wait = refused.wait(100, Duration::from_secs(60));
        assert!(
            wait >= Duration::from_secs(30),
            "a hub that answers gets ever fewer requests: {wait:?}"
        );
    }
}
