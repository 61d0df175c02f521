//! The one place where the state changes: operations are decided one after the other, stored in batches and answered once
//! they are stored. Reads come from the published state and wait for nobody.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kit::clock::{Clock, until};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::decide::{Answer, Operation, Settings, decide, next_expiry};
use crate::error::ArmError;
use crate::recovery::Recovery;
use crate::state::State;
use crate::store::{Batch, StoreError, Writer};
use crate::transitions::{self, Transition};

/// Operations that wait to be decided.
const QUEUE: usize = 1024;
/// Operations that are stored in one transaction.
const BATCH: usize = 256;

/// The way to the engine.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    operations: mpsc::Sender<Request>,
}

struct Shared {
    settings: Settings,
    clock: Clock,
    state: ArcSwap<State>,
    changed: watch::Sender<Arc<State>>,
    recovery: Recovery,
    /// Why the last batch was not stored; `None` once one is stored again.
    failure: ArcSwap<Option<StoreError>>,
}

struct Request {
    operation: Operation,
    done: Done,
}

/// Whom to answer; nobody where nobody waits.
type Done = Option<oneshot::Sender<Result<Answer, ArmError>>>;

/// Decides and stores. [`Engine::run`] must run for anything to change.
pub struct Engine {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Request>,
    writer: Writer,
    view: Box<dyn View>,
}

/// Shows what is stored, before it is answered.
pub trait View: Send + Sync {
    /// The status of an endpoint has changed.
    fn changed(&self, transition: &Transition);

    /// This is the state now. While it is `recovering`, what a lost store held is missing.
    fn show(&self, state: &State, recovering: bool);
}

/// An engine that starts at a state, and the way to it.
pub fn new(
    settings: Settings,
    clock: Clock,
    state: State,
    recovery: Recovery,
    writer: Writer,
    view: impl View + 'static,
) -> (Engine, Handle) {
    let (operations, queue) = mpsc::channel(QUEUE);
    let state = Arc::new(state);
    let shared = Arc::new(Shared {
        settings,
        clock,
        changed: watch::Sender::new(Arc::clone(&state)),
        state: ArcSwap::new(state),
        recovery,
        failure: ArcSwap::default(),
    });
    let engine = Engine {
        shared: Arc::clone(&shared),
        queue,
        writer,
        view: Box::new(view),
    };
    (engine, Handle { shared, operations })
}

impl Handle {
    /// What the operator has settled.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The state as it is stored.
    pub fn state(&self) -> Arc<State> {
        self.shared.state.load_full()
    }

    /// Publishes each new state.
    pub fn changes(&self) -> watch::Receiver<Arc<State>> {
        self.shared.changed.subscribe()
    }

    /// Answers from the published state.
    ///
    /// # Errors
    /// What ARM answers instead.
    pub fn read(&self, operation: Operation) -> Result<Answer, ArmError> {
        let decision = decide(&self.state(), &self.shared.settings, operation, self.now())?;
        Ok(decision.answer)
    }

    /// Decides, stores, and answers.
    ///
    /// # Errors
    /// What ARM answers instead; 503 when it cannot be stored or too much waits.
    pub async fn write(&self, operation: Operation) -> Result<Answer, ArmError> {
        let (done, answer) = oneshot::channel();
        let request = Request {
            operation,
            done: Some(done),
        };
        if self.operations.try_send(request).is_err() {
            return Err(unavailable("Too many requests wait for the store. Try again later."));
        }
        answer.await.map_err(|_| unavailable("The server ends."))?
    }

    /// Hands over what nobody waits for. False when too much waits; whoever calls does it again later.
    pub fn submit(&self, operation: Operation) -> bool {
        self.operations.try_send(Request { operation, done: None }).is_ok()
    }

    /// Whether answers can be relied on.
    ///
    /// # Errors
    /// A sentence that says why not and what happens next.
    pub fn ready(&self) -> Result<(), String> {
        if let Some(failure) = self.shared.failure.load().as_ref() {
            return Err(failure.to_string());
        }
        self.shared.recovery.ready(Instant::now())
    }

    /// Whether the zone may be served: not while what a damaged store held is missing.
    pub fn recovery(&self) -> &Recovery {
        &self.shared.recovery
    }
}

fn unavailable(message: &str) -> ArmError {
    ArmError {
        retry_after: Some(1),
        ..ArmError::new(503, "ServiceUnavailable", message)
    }
}

impl Engine {
    /// Runs until the last [`Handle`] is dropped.
    ///
    /// # Errors
    /// None at present; the signature is that of a vital task.
    pub async fn run(mut self) -> Result<(), String> {
        loop {
            let state = self.shared.state.load_full();
            let mut requests = Vec::new();
            let expiry = self.instant(next_expiry(&state));
            let received = tokio::select! {
                received = self.queue.recv_many(&mut requests, BATCH) => received,
                () = until(expiry) => {
                    requests.push(Request { operation: Operation::ExpireHints, done: None });
                    1
                }
                () = until(self.shared.recovery.settles()) => {
                    self.finish_recovery().await;
                    continue;
                }
            };
            if received == 0 {
                return Ok(());
            }
            self.batch(state, requests).await;
        }
    }

    /// The point of tokio's clock at a time of day.
    fn instant(&self, at: Option<Timestamp>) -> Option<Instant> {
        let wait = at?.duration_since(self.shared.clock.now());
        Some(Instant::now() + std::time::Duration::try_from(wait).unwrap_or_default())
    }

    async fn batch(&self, before: Arc<State>, requests: Vec<Request>) {
        let now = self.shared.clock.now();
        let mut after = State::clone(&before);
        let mut changes = Vec::new();
        let mut by_clients = false;
        let mut answers = Vec::with_capacity(requests.len());
        for Request { operation, done } in requests {
            let decided = decide(&after, &self.shared.settings, operation, now);
            let answer = decided.map(|decision| {
                by_clients |= done.is_some() && !decision.changes.is_empty();
                for change in &decision.changes {
                    after.apply(change.clone());
                }
                changes.extend(decision.changes);
                decision.answer
            });
            answers.push((done, answer));
        }
        if !changes.is_empty() {
            let stored = self.store(changes).await;
            if let Err(failure) = stored {
                return refuse(answers, &failure);
            }
            for transition in transitions::between(&before, &after) {
                self.view.changed(&transition);
            }
            self.publish(after);
        }
        if by_clients {
            self.shared.recovery.written(Instant::now());
        }
        for (done, answer) in answers {
            if let Some(done) = done {
                // A client that has gone does not matter.
                let _ = done.send(answer);
            }
        }
    }

    async fn store(&self, changes: Vec<crate::state::Change>) -> Result<(), StoreError> {
        let batch = Batch {
            changes,
            recovered: false,
        };
        let stored = self.writer.write(batch).await;
        if let Err(failure) = &stored {
            tracing::error!(error = %failure, "A batch of changes was refused.");
        }
        self.shared.failure.store(Arc::new(stored.as_ref().err().cloned()));
        stored
    }

    fn publish(&self, state: State) {
        let state = Arc::new(state);
        self.shared.state.store(Arc::clone(&state));
        self.view.show(&state, self.shared.recovery.is_on());
        self.shared.changed.send_replace(state);
    }

    async fn finish_recovery(&self) {
        let batch = Batch {
            changes: Vec::new(),
            recovered: true,
        };
        match self.writer.write(batch).await {
            Ok(()) => {
                self.shared.recovery.finish();
                tracing::info!("The hub agent has written everything again; names are answered from now on.");
                self.publish(State::clone(&self.shared.state.load()));
            }
            Err(failure) => {
                tracing::error!(error = %failure, "The end of the recovery cannot be stored.");
                self.shared.recovery.again(Instant::now());
            }
        }
    }
}

/// Answers a batch of which nothing is stored.
fn refuse(answers: Vec<(Done, Result<Answer, ArmError>)>, failure: &StoreError) {
    for (done, _) in answers {
        if let Some(done) = done {
            let _ = done.send(Err(unavailable(&failure.to_string())));
        }
    }
}
