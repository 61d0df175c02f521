//! Executes steps of writes. It does not depend on their meaning: it sends them and folds the answers into the indexes.

use std::sync::Arc;
use std::time::Duration;

use fairway_core::digest::Digest;
use fairway_core::effects::{Target, Write};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::{EchoFilter, Indexes};
use crate::error::{Class, Error};
use crate::writer::{Answer, Deletion, Patch, Writer};

/// Writes of one step that are on their way at the same time.
const AT_ONCE: usize = 64;

/// What came of the steps.
#[derive(Debug, Default)]
pub struct Execution {
    /// Writes that were sent.
    pub sent: usize,
    /// Writes that failed; no later step was begun.
    pub failures: Vec<Failure>,
    /// Whether steps were left out for that.
    pub cut_short: bool,
    /// Targets that were written successfully.
    pub written: Vec<Target>,
}

/// A write that failed.
#[derive(Debug)]
pub struct Failure {
    /// Which object.
    pub target: Target,
    /// Which write, to recognise it when it comes again.
    pub fingerprint: Digest,
    /// Why.
    pub error: Error,
}

/// Sends the writes of one controller.
pub struct Executor {
    writer: Writer,
    indexes: Arc<Indexes>,
    echoes: Arc<EchoFilter>,
}

impl Execution {
    /// Adds what came of other writes of the same pass.
    pub fn extend(&mut self, other: Self) {
        self.sent += other.sent;
        self.failures.extend(other.failures);
        self.cut_short |= other.cut_short;
        self.written.extend(other.written);
    }

    /// Whether every write went well.
    pub fn is_fine(&self) -> bool {
        self.failures.is_empty()
    }

    /// Whether an object was written, and no write of it failed.
    pub fn has_written(&self, target: &Target) -> bool {
        self.written.contains(target) && !self.failures.iter().any(|failure| failure.target == *target)
    }

    /// How long the server demands to wait.
    pub fn retry_after(&self) -> Duration {
        let waits = self.failures.iter().filter_map(|failure| failure.error.retry_after());
        waits.max().unwrap_or_default()
    }

    /// Logs failed writes: conflicts at debug level, the rest as warnings.
    pub(super) fn log(&self, controller: &str, key: &dyn std::fmt::Display) {
        if self.sent > 0 {
            let failed = self.failures.len();
            tracing::debug!(controller, %key, writes = self.sent, failed, "Executed.");
        }
        for Failure { error, .. } in &self.failures {
            let class = error.class().label();
            match error.class() {
                Class::Expected => tracing::debug!(controller, %key, %error, class, "A write did not fit."),
                Class::Unexpected => tracing::error!(controller, %key, %error, class, "A write was refused."),
                _ => tracing::warn!(controller, %key, %error, class, "A write failed."),
            }
        }
    }
}

impl Failure {
    /// Whether no answer came, so that nobody knows when to try again.
    pub fn is_unanswered(&self) -> bool {
        self.error.is_unanswered()
    }

    /// Whether the server will give the same answer again: the write is wrong, too large or forbidden.
    pub fn is_final(&self) -> bool {
        match &self.error {
            Error::Status { code, reason, .. } => {
                matches!(code, 400 | 413 | 422) || (*code == 403 && reason != "NamespaceTerminating")
            }
            _ => false,
        }
    }
}

impl Executor {
    /// Writes through a writer into the API server, and through the indexes into what is known. The filter is that of
    /// the controller on whose behalf the writes are made.
    pub fn new(writer: Writer, indexes: Arc<Indexes>, echoes: Arc<EchoFilter>) -> Self {
        Self {
            writer,
            indexes,
            echoes,
        }
    }

    /// Executes the steps in order, the writes of a step side by side. A step with a failure is the last one.
    pub async fn run(&self, steps: &[Vec<Write>]) -> Execution {
        let mut execution = Execution::default();
        for (position, step) in steps.iter().enumerate() {
            execution.extend(self.step(step).await);
            if !execution.is_fine() {
                execution.cut_short = position + 1 < steps.len();
                break;
            }
        }
        execution
    }

    /// Executes writes side by side.
    pub async fn step(&self, step: &[Write]) -> Execution {
        let mut execution = Execution::default();
        let mut waiting = step.iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(write) = waiting.next()
            {
                running.push(async move { (write, self.one(write).await) });
            }
            let Some((write, result)) = running.next().await else {
                return execution;
            };
            execution.sent += 1;
            let target = write.target().clone();
            match result {
                Ok(()) => execution.written.push(target),
                Err(error) => execution.failures.push(Failure {
                    target,
                    fingerprint: write.fingerprint(),
                    error,
                }),
            }
        }
    }

    async fn one(&self, write: &Write) -> Result<(), Error> {
        let in_flight = self.echoes.begin(write.target());
        if let Some(answer) = self.send(write).await? {
            match &answer {
                Answer::Object(object) => in_flight.answered(text(object, "/metadata/resourceVersion")),
                Answer::Gone(_) => in_flight.answered(""),
            }
            self.indexes.fold(write, answer);
        }
        Ok(())
    }

    /// Sends a write. `None` when there is nothing to patch any more: of an object that somebody else has deleted the
    /// watch delivers.
    async fn send(&self, write: &Write) -> Result<Option<Answer>, Error> {
        let Target {
            resource, namespace, ..
        } = write.target();
        let key = write.target().key();
        let answer = match write {
            Write::Create { object, .. } => self.writer.create(resource, namespace.as_deref(), object).await,
            Write::MergePatch {
                body,
                status,
                resource_version,
                ..
            } => {
                let bound = resource_version.as_ref().map(|version| bind(body, version));
                let subresource = status.then_some("status");
                let body = bound.as_ref().unwrap_or(body);
                match self.writer.patch(resource, &key, subresource, Patch::Merge, body).await {
                    Err(error) if resource_version.is_none() && is_gone(&error) => return Ok(None),
                    other => other,
                }
            }
            Write::ReplaceStatus { status, .. } => {
                let body = json!([{"op": "add", "path": "/status", "value": status}]);
                match self
                    .writer
                    .patch(resource, &key, Some("status"), Patch::Json, &body)
                    .await
                {
                    Err(error) if error.is_not_found() => return Ok(None),
                    other => other,
                }
            }
            Write::Delete { uid, .. } => {
                let how = Deletion {
                    uid: uid.as_deref(),
                    ..Deletion::default()
                };
                return self.writer.delete(resource, &key, how).await.map(Some);
            }
        };
        Ok(Some(Answer::Object(answer?)))
    }
}

/// Whether the object is gone. That its kind is not served is answered with the same code, but without this reason.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Status { code: 404, reason, .. } if reason == "NotFound")
}

/// A patch that applies to one version only.
fn bind(body: &Value, version: &str) -> Value {
    let mut bound = body.clone();
    bound["metadata"]["resourceVersion"] = json!(version);
    bound
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kinds;
    use http::{Request, Response};
    use kube::client::Body;
    use std::convert::Infallible;

    /// An executor whose server answers everything like this.
    fn executor(code: u16, answer: &'static str) -> Executor {
        let service = tower::service_fn(move |_: Request<Body>| {
            let response = Response::builder()
                .status(code)
                .body(Body::from(answer.as_bytes().to_vec()));
            async move { Ok::<_, Infallible>(response.unwrap()) }
        });
        let writer = Writer::new(kube::Client::new(service, "default"), Duration::from_secs(5));
        Executor::new(writer, Arc::default(), Arc::default())
    }

    fn patch(version: Option<&str>) -> Vec<Write> {
        vec![Write::MergePatch {
            target: Target::new(kinds::WORK, Some("fleet-member-m1"), "w"),
            body: json!({"spec": {}}),
            status: false,
            resource_version: version.map(str::to_owned),
        }]
    }

    #[tokio::test(start_paused = true)]
    async fn the_writes_of_a_step_are_sent_side_by_side_up_to_a_limit() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (running, highest) = (Arc::clone(&now), Arc::clone(&most));
        let service = tower::service_fn(move |_: Request<Body>| {
            let running = Arc::clone(&running);
            highest.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Response::new(Body::from(b"{}".to_vec())))
            }
        });
        let writer = Writer::new(kube::Client::new(service, "default"), Duration::from_secs(5));
        let executor = Executor::new(writer, Arc::default(), Arc::default());
        let writes: Vec<_> = std::iter::repeat_with(|| patch(None))
            .take(3 * AT_ONCE)
            .flatten()
            .collect();
        let execution = executor.step(&writes).await;
        assert_eq!((execution.sent, execution.written.len()), (3 * AT_ONCE, 3 * AT_ONCE));
        assert_eq!(most.load(Ordering::Relaxed), AT_ONCE);
    }

    #[tokio::test]
    async fn a_write_that_nothing_answers_is_unanswered_whatever_the_client_knows() {
        let broken = || {
            let service = tower::service_fn(|_: Request<Body>| async {
                Err::<Response<Body>, _>(std::io::Error::other("connection refused"))
            });
            kube::Client::new(service, "default")
        };
        for client in [broken(), crate::client::in_process(broken())] {
            let executor = Executor::new(
                Writer::new(client, Duration::from_secs(5)),
                Arc::default(),
                Arc::default(),
            );
            let execution = executor.run(&[patch(None)]).await;
            assert!(execution.failures[0].is_unanswered(), "{execution:?}");
        }
    }

    #[tokio::test]
    async fn a_patch_of_what_is_gone_fails_only_with_a_precondition() {
        let gone = r#"{"kind":"Status","code":404,"reason":"NotFound","message":"works \"w\" not found"}"#;
        let later = vec![Write::Delete {
            target: Target::new(kinds::WORK, Some("fleet-member-m1"), "other"),
            uid: None,
        }];
        for (code, answer, version, failures, sent) in [
            (404, gone, None, 0, 2),
            (404, gone, Some("7"), 1, 1),
            (404, "404 page not found", None, 1, 1),
            (500, "", None, 1, 1),
        ] {
            let executor = executor(code, answer);
            let execution = executor.run(&[patch(version), later.clone()]).await;
            let seen = (execution.failures.len(), execution.sent);
            assert_eq!(seen, (failures, sent), "{code} {answer} {version:?}");
        }
    }
}
