//! Makes the calls of plans: those of one plan side by side, one plan of a profile at a time. Writes of endpoints wait here
//! for their turn, so that later plans replace them until they are sent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azure::{Class, Endpoint, Error, Profile, ProfileRef, TrafficManager, Turn};
use fairway_core::traffic::Facts;
use fairway_core::traffic::arm::{Action, Call, Failure};
use futures::FutureExt as _;
use kit::clock::Clock;
use kit::controller::Triggers;
use serde_json::{Map, Value};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::TrafficMetrics;
use super::background::Background;
use super::observations::{Answered, Observations};
use super::store::ProfileKey;

/// Calls that are made or wait for their turn at the same time.
const AT_ONCE: usize = 64;
/// How long calls that are on their way may take once the agent ends: their answers are worth nothing any more, but a new
/// leader should find a profile that nobody else writes.
const GRACE: Duration = Duration::from_secs(10);

/// The calls that are on their way. Dropping it breaks them off.
pub(super) struct Calls {
    caller: Arc<Caller>,
    observations: Arc<Observations>,
    background: Background,
    clock: Clock,
    /// Writes of endpoints may wait for their turn.
    changed: Notify,
}

/// A write of an endpoint that may be sent: its place among the calls that are made, and its turn, or why there is none.
type Admitted = (OwnedSemaphorePermit, Result<Turn, Error>);

/// Makes single calls.
struct Caller {
    port: Arc<dyn TrafficManager>,
    places: Arc<Semaphore>,
    metrics: TrafficMetrics,
}

impl Calls {
    pub(super) fn new(
        port: Arc<dyn TrafficManager>,
        observations: Arc<Observations>,
        triggers: Triggers<ProfileKey>,
        metrics: TrafficMetrics,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            caller: Arc::new(Caller {
                port,
                places: Arc::new(Semaphore::new(AT_ONCE)),
                metrics,
            }),
            observations,
            background: Background::new(triggers),
            clock,
            changed: Notify::new(),
        })
    }

    /// Makes the calls of a plan. While others about this profile are on their way, it replaces those that were not sent.
    /// Once all are answered, the profile is looked at again.
    pub(super) fn start(&self, key: &ProfileKey, facts: &Facts) {
        if self.observations.revise(key, &facts.revised) {
            self.background.look_again(key);
        }
        for call in self.observations.begin(key, facts.calls.clone()) {
            self.spawn(key, call, None);
        }
        self.changed.notify_one();
    }

    /// Sends the writes of endpoints, each in its turn.
    pub(super) async fn send_in_turns(&self) {
        let mut unused = None;
        loop {
            while !self.observations.is_waiting() {
                self.changed.notified().await;
            }
            // It is never closed.
            let Ok(place) = Arc::clone(&self.caller.places).acquire_owned().await else {
                return;
            };
            let turn = match unused.take() {
                Some(turn) => Ok(turn),
                None => self.caller.turn().await,
            };
            // What is written is decided now.
            match (self.observations.next(), turn) {
                (Some((key, call)), turn) => self.spawn(&key, call, Some((place, turn))),
                (None, turn) => unused = turn.ok(),
            }
        }
    }

    fn spawn(&self, key: &ProfileKey, call: Call, admitted: Option<Admitted>) {
        let (caller, observations) = (Arc::clone(&self.caller), Arc::clone(&self.observations));
        let (clock, about) = (self.clock, key.clone());
        self.background.spawn(key, async move {
            let answered = caller.answered(call, admitted).await;
            observations.answered(&about, answered, clock.now())
        });
    }

    /// Waits until nothing is on its way any more, or long enough.
    pub(super) async fn finish(&self) {
        let _ = tokio::time::timeout(GRACE, self.background.finish()).await;
    }
}

impl Caller {
    /// The turn of a write of an endpoint.
    async fn turn(&self) -> Result<Turn, Error> {
        self.port.turn().await
    }

    /// Makes a call. A panic becomes an answer, too.
    async fn answered(&self, call: Call, admitted: Option<Admitted>) -> Answered {
        let answer = AssertUnwindSafe(self.make(&call, admitted)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_panic| {
            tracing::error!(call = name(&call.action), "A call to the traffic manager panicked.");
            Err(Failure {
                message: "the call broke off".to_owned(),
                ..Failure::default()
            })
        });
        (call, answer)
    }

    async fn make(&self, call: &Call, admitted: Option<Admitted>) -> Result<Value, Failure> {
        let (_place, turn) = match admitted {
            Some((place, turn)) => (Some(place), Some(turn)),
            // It is never closed.
            None => (Arc::clone(&self.places).acquire_owned().await.ok(), None),
        };
        let began = Instant::now();
        let answer = self.send(call, turn).await;
        let result = answer.as_ref().err().map_or("success", |error| error.class().label());
        self.metrics.called(name(&call.action), result, began.elapsed());
        answer.map_err(|error| {
            tracing::debug!(%error, "A call to the traffic manager failed.");
            failure(&error)
        })
    }

    async fn send(&self, call: &Call, turn: Option<Result<Turn, Error>>) -> Result<Value, Error> {
        let at = ProfileRef {
            resource_group: call.profile.resource_group.clone(),
            name: call.profile.name.clone(),
        };
        match &call.action {
            Action::ReadProfile => self.port.profile(&at).await.map(profile),
            Action::WriteProfile { body } => {
                let body = Profile::from(object(body));
                self.port.put_profile(&at, &body).await.map(profile)
            }
            Action::DeleteProfile => self.port.delete_profile(&at).await.map(|()| Value::Null),
            Action::WriteEndpoint { name, body } => {
                let turn = match turn {
                    Some(turn) => turn?,
                    None => self.turn().await?,
                };
                let body = Endpoint::from(object(body));
                let answer = self.port.put_endpoint(turn, &at, name, &body).await?;
                Ok(Value::Object(answer.into_json()))
            }
            Action::DeleteEndpoint { name } => self.port.delete_endpoint(&at, name).await.map(|()| Value::Null),
        }
    }
}

fn profile(answer: Profile) -> Value {
    Value::Object(answer.into_json())
}

fn object(body: &Value) -> Map<String, Value> {
    body.as_object().cloned().unwrap_or_default()
}

/// The label of a call in metrics.
fn name(action: &Action) -> &'static str {
    match action {
        Action::ReadProfile => "read_profile",
        Action::WriteProfile { .. } => "write_profile",
        Action::DeleteProfile => "delete_profile",
        Action::WriteEndpoint { .. } => "write_endpoint",
        Action::DeleteEndpoint { .. } => "delete_endpoint",
    }
}

/// The failure as decisions see it. What was refused before it was sent counts as a wrong request.
fn failure(error: &Error) -> Failure {
    let wrong = (error.class() == Class::Refused).then_some(400);
    Failure {
        status: error.status().or(wrong),
        code: error.code().to_owned(),
        message: error.message().to_owned(),
        retry_after: error.retry_after(),
    }
}
