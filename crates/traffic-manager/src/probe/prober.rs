//! The tasks that probe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::plan::{EndpointKey, Plan, plans};
use super::run;
use crate::decide::{Observation, Operation};
use crate::engine::Handle;
use crate::health::Observed;
use crate::metrics::ProbeMetrics;
use crate::model::{Health, Profile, ResourceKey};
use crate::state::State;

/// Bounds of all probes together.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Probes at a time.
    pub at_once: usize,
    /// The first probe of an endpoint comes at random within this time, so that those that appear together are not probed
    /// together for ever.
    pub spread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            at_once: 512,
            spread: Duration::from_secs(1),
        }
    }
}

/// Keeps one task for each endpoint that is probed.
pub struct Prober {
    engine: Handle,
    limits: Limits,
    turns: Arc<Semaphore>,
    metrics: ProbeMetrics,
    running: BTreeMap<ResourceKey, Watched>,
}

/// The endpoints of a profile that are probed.
struct Watched {
    profile: Arc<Profile>,
    endpoints: BTreeMap<EndpointKey, (Plan, JoinSet<()>)>,
}

impl Prober {
    /// Nothing is probed yet.
    pub fn new(engine: Handle, limits: Limits, metrics: ProbeMetrics) -> Self {
        Self {
            engine,
            turns: Arc::new(Semaphore::new(limits.at_once.max(1))),
            limits,
            metrics,
            running: BTreeMap::new(),
        }
    }

    /// Follows the state until the engine is gone.
    pub async fn run(mut self) {
        let mut changes = self.engine.changes();
        let mut before = State::default();
        loop {
            let state = Arc::clone(&changes.borrow_and_update());
            self.follow(&before, &state);
            before = State::clone(&state);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Starts and ends tasks so that they are those that a state asks for.
    fn follow(&mut self, before: &State, state: &State) {
        self.running.retain(|key, _| state.profile(key).is_some());
        let moved = before.addresses().ne(state.addresses());
        for (key, profile) in state.profiles() {
            let mut earlier = match self.running.remove(key) {
                Some(watched) if !moved && Arc::ptr_eq(&watched.profile, profile) => {
                    self.running.insert(key.clone(), watched);
                    continue;
                }
                Some(watched) => watched.endpoints,
                None => BTreeMap::new(),
            };
            let mut endpoints = BTreeMap::new();
            for (endpoint, plan) in plans(state, profile) {
                // A task whose plan is another one ends here, when it is dropped.
                let kept = earlier.remove(&endpoint).filter(|(known, _)| *known == plan);
                let kept = kept.unwrap_or_else(|| {
                    let health = health(state, &endpoint).unwrap_or(Health::Checking);
                    let task = self.start(endpoint.clone(), plan.clone(), health);
                    (plan, task)
                });
                endpoints.insert(endpoint, kept);
            }
            let profile = Arc::clone(profile);
            self.running.insert(key.clone(), Watched { profile, endpoints });
        }
    }

    fn start(&self, endpoint: EndpointKey, plan: Plan, health: Health) -> JoinSet<()> {
        let task = Task {
            engine: self.engine.clone(),
            turns: Arc::clone(&self.turns),
            metrics: self.metrics.clone(),
            first: Instant::now() + self.limits.spread.mul_f64(rand::rng().random_range(0.0..=1.0)),
            endpoint,
            plan,
        };
        // A set of one, because it ends its task when it is dropped.
        let mut set = JoinSet::new();
        set.spawn(task.run(health));
        set
    }
}

/// Probes one endpoint again and again.
struct Task {
    engine: Handle,
    turns: Arc<Semaphore>,
    metrics: ProbeMetrics,
    first: Instant,
    endpoint: EndpointKey,
    plan: Plan,
}

impl Task {
    async fn run(self, health: Health) {
        let period = Duration::from_secs(u64::from(self.plan.interval.max(1)));
        let mut ticks = interval_at(self.first, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut observed = Observed::new(health);
        loop {
            ticks.tick().await;
            let Ok(_turn) = self.turns.acquire().await else { return };
            let start = Instant::now();
            let outcome = run::probe(&self.plan.probe).await;
            self.metrics.probed(outcome.is_ok(), start.elapsed());
            observed = observed.after(outcome.is_ok(), self.plan.tolerated_failures);
            self.report(observed.health(), outcome.err());
        }
    }

    /// Reports to the engine when it has another health. What it does not take now is reported after the next probe.
    fn report(&self, found: Health, problem: Option<String>) {
        if health(&self.engine.state(), &self.endpoint).is_none_or(|known| known == found) {
            return;
        }
        self.engine.submit(Operation::Observe(Observation {
            profile: self.endpoint.profile.clone(),
            kind: self.endpoint.kind,
            name: self.endpoint.name.clone(),
            destination: self.plan.probe.destination.clone(),
            health: found,
            problem,
        }));
    }
}

/// The health of an endpoint as it is stored.
fn health(state: &State, endpoint: &EndpointKey) -> Option<Health> {
    let profile = state.profile(&endpoint.profile)?;
    let at = profile.position(endpoint.kind, &endpoint.name)?;
    Some(profile.endpoints[at].health)
}
