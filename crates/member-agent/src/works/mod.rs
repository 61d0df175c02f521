//! Works: what is known of each, whose turn it is, and what they have in common.

mod applied;
mod deletion;
mod handover;
mod namespaces;
mod pass;
mod placed;
mod preconditions;
mod priority;
mod refresh;
mod takers;
mod unwatched;
mod work_state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use fairway_core::apply::{AppliedWork, Work};
use jiff::Timestamp;
use kit::activity::Activity;
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::index::{Change, Index, Scope};
use kit::queue::{self, Action, Queue};
use kit::writer::Writer;
use kit::{Class, Error, ObjectKey};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::RwLock;

use crate::args::{Aging, Settings};
use crate::member::{Mapper, Member};
use crate::metrics::Counters;
use placed::{ObjectChange, Placed};
use work_state::{Need, WorkStates};

/// Name of the controller in metrics; dashboards know it.
const CONTROLLER: &str = "work-applier";

/// Works that are processed at once.
pub(crate) const WORKERS: usize = 5;

/// Requests for manifests of one Work at once. KubeFleet sends 4; twice as many shorten large first passes
/// (docs/performance.md).
const MANIFESTS_AT_ONCE: usize = 8;

/// How soon a Work is looked at again while the member has not joined.
const NOT_JOINED: Duration = Duration::from_secs(5);

/// Retries after failures of a pass.
const RETRY: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(60));

/// A Work as the index holds it. The manifests are there until a pass has taken care of them.
pub(crate) struct Item {
    /// Everything but the manifests.
    work: Work,
    created: Option<Timestamp>,
    manifests: Mutex<Option<Vec<Value>>>,
}

impl Item {
    fn decode(object: Value) -> Result<Self, String> {
        let created = object
            .pointer("/metadata/creationTimestamp")
            .and_then(|time| time.as_str()?.parse().ok());
        let mut work = Work::decode(object).map_err(|err| err.to_string())?;
        let manifests = Mutex::new(Some(std::mem::take(&mut work.manifests)));
        Ok(Self {
            work,
            created,
            manifests,
        })
    }
}

/// Processes Works.
pub(crate) struct Applier {
    namespace: String,
    hub: Writer,
    member: Member,
    mapper: Mapper,
    works: Arc<Index<Item>>,
    applied_works: Arc<Index<AppliedWork>>,
    queue: Queue<String>,
    work_states: Arc<WorkStates>,
    placed: Arc<Placed>,
    waiting: namespaces::Waiting,
    handovers: Arc<handover::Handovers>,
    pending: applied::Pending,
    activity: Activity,
    /// Whether the member has joined. Passes hold it for reading, so that leaving can wait for them.
    joined: RwLock<bool>,
    clock: Clock,
    settings: Settings,
    counters: Counters,
}

/// What the applier needs.
pub(crate) struct Parts {
    pub(crate) namespace: String,
    pub(crate) hub: Writer,
    pub(crate) member: Member,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
}

impl Applier {
    /// An applier whose indexes are still empty.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            namespace,
            hub,
            member,
            clock,
            settings,
            counters,
        } = parts;
        let queue: Queue<String> = match settings.priority {
            Some(_) => Queue::by_priority(RETRY),
            None => Queue::new(RETRY),
        };
        let aging = settings.priority;
        let work_states = Arc::new(WorkStates::default());
        let handovers = Arc::new(handover::Handovers::default());
        // What was remembered of a server that has gone back in time means nothing any more.
        let went_back = {
            let (queue, work_states) = (queue.clone(), Arc::clone(&work_states));
            move || {
                work_states
                    .need_pass_of_all()
                    .into_iter()
                    .for_each(|work| queue.add(work))
            }
        };
        let works = {
            let (queue, work_states, handovers) = (queue.clone(), Arc::clone(&work_states), Arc::clone(&handovers));
            let scope = Scope {
                namespace: Some(namespace.clone()),
                ..Scope::default()
            };
            let builder = Index::builder(kinds::WORK, |object| Item::decode(object).map(Some)).scope(scope);
            builder
                .on_change(move |change| {
                    for name in handovers.observe(change) {
                        work_states.need(&name, Need::Pass);
                        queue.add(name);
                    }
                    on_work(change, &queue, &work_states, aging, clock);
                })
                .on_went_back(went_back.clone())
                .build()
        };
        let applied_works = {
            let (queue, work_states) = (queue.clone(), Arc::clone(&work_states));
            let decode = |object| AppliedWork::decode(&object).map(Some).map_err(|err| err.to_string());
            let builder = Index::builder(kinds::APPLIED_WORK, decode);
            builder
                .on_change(move |change| on_applied_work(change, &queue, &work_states))
                .on_went_back(went_back)
                .build()
        };
        let placed = Placed::new(
            member.writer().client().clone(),
            queue.clone(),
            Arc::clone(&work_states),
        );
        Arc::new(Self {
            namespace,
            hub,
            mapper: Mapper::new(member.writer().client().clone()),
            member,
            works,
            applied_works,
            queue,
            work_states,
            placed,
            waiting: namespaces::Waiting::default(),
            handovers,
            pending: applied::Pending::default(),
            activity: Activity::default(),
            joined: RwLock::new(false),
            clock,
            settings,
            counters,
        })
    }

    pub(crate) fn works(&self) -> &Arc<Index<Item>> {
        &self.works
    }

    pub(crate) fn applied_works(&self) -> &Arc<Index<AppliedWork>> {
        &self.applied_works
    }

    pub(crate) fn queue(&self) -> &Queue<String> {
        &self.queue
    }

    pub(crate) fn placed(&self) -> &Arc<Placed> {
        &self.placed
    }

    /// Starts to process Works.
    pub(crate) async fn join(&self) {
        // Passes hold the lock for as long as they take: a heartbeat that finds all in order must not wait for them.
        if *self.joined.read().await {
            return;
        }
        let mut joined = self.joined.write().await;
        if !*joined {
            *joined = true;
            for key in self.works.entries().into_keys() {
                self.work_states.need(&key.name, Need::Pass);
                self.queue.add_with(key.name, priority::URGENT);
            }
        }
    }

    /// Stops to process Works, waits for those in hand, and takes our finalizer off all of them. Nothing is withdrawn.
    ///
    /// # Errors
    /// When a finalizer cannot be removed.
    pub(crate) async fn leave(&self) -> Result<(), Error> {
        let mut joined = self.joined.write().await;
        *joined = false;
        self.works.synced().await;
        for (key, item) in self.works.entries() {
            if item.work.has_finalizer() {
                // Whichever incarnation it is: none of them is answered for any more.
                self.remove_finalizer(&key, None).await?;
            }
        }
        Ok(())
    }

    /// Works on one Work, and counts that.
    pub(crate) async fn turn(self: Arc<Self>, name: String) -> Action {
        let begun = self.counters.begin(CONTROLLER, self.queue.len());
        let outcome = Arc::clone(&self).handle(name).await;
        self.counters.end(CONTROLLER, begun, self.queue.len(), outcome);
        outcome
    }

    /// Works on one Work until there is nothing to do for it at the moment.
    async fn handle(self: Arc<Self>, name: String) -> Action {
        // Before the lock is taken, because a member that cannot be read must still be able to leave.
        self.works.synced().await;
        self.applied_works.synced().await;
        let joined = self.joined.read().await;
        if !*joined {
            return Action::NotYet(NOT_JOINED);
        }
        let _working = self.activity.begin();
        let key = ObjectKey::namespaced(&self.namespace, &name);
        let Some(item) = self.works.get(&key) else {
            self.work_states.forget(&name);
            self.placed.forget(&name);
            self.waiting.set(&name, &BTreeSet::new());
            return Action::Done;
        };
        let now = tokio::time::Instant::now();
        if self.work_states.is_due(&name, now) && self.is_unchanged(&item.work) {
            self.work_states
                .postpone(&name, now + self.settings.requeue.max_fast_delay);
        }
        let ended = if item.work.is_deleting {
            self.clean_up(&key, &item.work).await
        } else if self.work_states.take_need(&name, now) == Need::Pass {
            self.pass(&key, &item).await
        } else {
            self.refresh(&key, &item).await
        };
        match ended {
            Ok(outcome) => outcome,
            Err(err) => {
                self.work_states.need(&name, Need::Pass);
                match err.class() {
                    Class::Expected | Class::User => tracing::debug!(work = name, error = %err, "Trying again."),
                    Class::ApiServer | Class::Unexpected => {
                        tracing::warn!(work = name, error = %err, "A pass failed; trying again.");
                    }
                }
                err.retry_after().map_or(Action::Retry, Action::RetryAfter)
            }
        }
    }

    /// Queues a Work again when its objects are not as its last turn left them.
    fn enqueue_changed(&self, work: &str, object_change: ObjectChange) {
        placed::enqueue_changed(work, object_change, &self.queue, &self.work_states);
    }

    /// The time in whole seconds, as statuses hold it.
    fn now(&self) -> api::Time {
        let now = self.clock.now();
        api::Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
    }

    /// Folds the hub's answer to a write; what cannot be read has been reported by the index.
    fn fold(&self, object: Value) {
        let _ = self.works.fold(object);
    }
}

/// New, changed and deleted Works get a pass; our own writes of status and finalizers do not.
fn on_work(change: &Change<Item>, queue: &Queue<String>, work_states: &WorkStates, aging: Option<Aging>, clock: Clock) {
    let facts = |item: &Item| (item.work.uid.clone(), item.work.generation, item.work.is_deleting);
    if change.old.as_deref().map(facts) == change.new.as_deref().map(facts) {
        return;
    }
    let priority = aging.map_or(queue::USUAL, |aging| {
        priority::of_change(change.old.as_deref(), change.new.as_deref(), aging, clock.now())
    });
    work_states.need(&change.key.name, Need::Pass);
    queue.add_with(change.key.name.clone(), priority);
}

/// An AppliedWork that goes or vanishes is what a deletion waits for; anything else is our own doing.
fn on_applied_work(change: &Change<AppliedWork>, queue: &Queue<String>, work_states: &WorkStates) {
    let going = |item: &AppliedWork| (item.uid.clone(), item.deleted);
    let (old, new) = (change.old.as_deref().map(going), change.new.as_deref().map(going));
    if old.is_some() && old != new {
        work_states.need(&change.key.name, Need::Pass);
        queue.add_with(change.key.name.clone(), priority::URGENT);
    }
}
