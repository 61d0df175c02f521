//! Executes steps of writes. It knows nothing of their meaning: it sends them and folds the answers into the indexes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::resource::Resource;
use fairway_core::effects::{Target, Write};
use fairway_core::objects::Digest;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kit::writer::{Answer, Deletion, Patch, Writer};
use kit::{Class, Error};
use serde_json::{Value, json};

use crate::resources::Resources;
use crate::store::{AnyIndex, Store};
use crate::wake::Wake;

/// Writes of one step that are on their way at the same time.
const AT_ONCE: usize = 64;

/// On whose behalf writes are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A placement's own pass, which has taken its writes into account already.
    Placement,
    /// Somebody else; placements whose Works it writes must look again.
    Other,
}

/// What came of the steps.
#[derive(Debug, Default)]
pub struct Execution {
    /// Writes that were sent.
    pub sent: usize,
    /// Writes that failed; no later step was begun.
    pub failures: Vec<Failure>,
    /// Whether steps were left out for that.
    pub cut_short: bool,
    /// Whether somebody else wrote one of the objects meanwhile, so that another pass is due.
    pub others_wrote: bool,
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

/// Sends writes to the hub.
pub struct Executor {
    writer: Writer,
    store: Arc<Store>,
    indexes: BTreeMap<Resource, Arc<dyn AnyIndex>>,
    /// Takes in answers about objects of users.
    resources: Option<Arc<Resources>>,
    wake: Arc<Wake>,
}

impl Execution {
    /// Adds what came of later steps.
    pub fn extend(&mut self, later: Self) {
        self.sent += later.sent;
        self.failures.extend(later.failures);
        self.cut_short |= later.cut_short;
        self.others_wrote |= later.others_wrote;
        self.written.extend(later.written);
    }

    /// The gravest class among the failures; `None` when all went well.
    pub fn class(&self) -> Option<Class> {
        self.failures.iter().map(|failure| failure.error.class()).max()
    }

    /// How long the server asks us to stay away.
    pub fn retry_after(&self) -> Duration {
        self.failures
            .iter()
            .filter_map(|failure| failure.error.retry_after())
            .max()
            .unwrap_or_default()
    }
}

impl Failure {
    /// Whether the server will give the same answer again: the write is wrong, too large or forbidden.
    pub fn is_final(&self) -> bool {
        is_final(&self.error)
    }
}

/// Whether the server will give the same answer to the same request again.
pub fn is_final(error: &Error) -> bool {
    match error {
        Error::Status { code, reason, .. } => {
            matches!(code, 400 | 413 | 422) || (*code == 403 && reason != "NamespaceTerminating")
        }
        _ => false,
    }
}

impl Executor {
    /// Writes through a writer into the API server, and through the store's indexes into what is known.
    pub fn new(writer: Writer, store: Arc<Store>, wake: Arc<Wake>) -> Self {
        Self {
            writer,
            indexes: store.indexes(),
            store,
            resources: None,
            wake,
        }
    }

    /// Takes in answers about objects of users too.
    #[must_use]
    pub fn with_resources(mut self, resources: Arc<Resources>) -> Self {
        self.resources = Some(resources);
        self
    }

    /// The same under the name of another field manager.
    pub fn managed_by(&self, manager: &'static str) -> Self {
        Self {
            writer: self.writer.managed_by(manager),
            store: Arc::clone(&self.store),
            indexes: self.indexes.clone(),
            resources: self.resources.clone(),
            wake: Arc::clone(&self.wake),
        }
    }

    /// Executes the steps in order, the writes of a step side by side. A step with a failure is the last one.
    pub async fn run(&self, steps: &[Vec<Write>], caller: Caller) -> Execution {
        let mut execution = Execution::default();
        for (position, step) in steps.iter().enumerate() {
            let mut waiting = step.iter();
            let mut running = FuturesUnordered::new();
            loop {
                while running.len() < AT_ONCE
                    && let Some(write) = waiting.next()
                {
                    running.push(self.one(write, caller));
                }
                let Some((write, result, others_wrote)) = running.next().await else {
                    break;
                };
                execution.sent += 1;
                execution.others_wrote |= others_wrote;
                let target = write.target().clone();
                match result {
                    Ok(()) => execution.written.push(target),
                    Err(error) => {
                        execution.failures.push(Failure {
                            target,
                            fingerprint: write.fingerprint(),
                            error,
                        });
                    }
                }
            }
            if !execution.failures.is_empty() {
                execution.cut_short = position + 1 < steps.len();
                break;
            }
        }
        execution
    }

    /// Executes one write that nothing else depends on.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn write(&self, write: &Write) -> Result<(), Error> {
        let (_, result, _) = self.one(write, Caller::Placement).await;
        result
    }

    async fn one<'w>(&self, write: &'w Write, caller: Caller) -> (&'w Write, Result<(), Error>, bool) {
        let target = write.target();
        self.wake.departs(target);
        let result = self.send(write).await;
        // Of an object that somebody else has deleted the watch tells, so nothing is folded, and its word is news.
        let version = result
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .map(|answer| match answer {
                Answer::Object(object) => text(object, "/metadata/resourceVersion").to_owned(),
                Answer::Gone(_) => String::new(),
            });
        let placement = (caller == Caller::Other && target.resource == kinds::WORK)
            .then(|| self.store.placement_of_work(target))
            .flatten();
        let result = result.map(|answer| answer.into_iter().for_each(|answer| self.fold(write, answer)));
        let others_wrote = self.wake.landed(target, version.as_deref());
        if let Some(key) = placement {
            self.wake.placements.add(key);
        }
        (write, result, others_wrote)
    }

    /// Sends a write. `None` when there is nothing to patch any more.
    async fn send(&self, write: &Write) -> Result<Option<Answer>, Error> {
        let target = write.target();
        let (api, key) = (&target.resource, target.key());
        let answer = match write {
            Write::Create { object, .. } => self
                .writer
                .create(api, target.namespace.as_deref(), object)
                .await
                .map(Answer::Object),
            Write::MergePatch {
                body,
                status,
                resource_version,
                ..
            } => {
                let bound = resource_version.as_ref().map(|version| bind(body, version));
                let subresource = status.then_some("status");
                let body = bound.as_ref().unwrap_or(body);
                let patched = self.writer.patch(api, &key, subresource, Patch::Merge, body).await;
                match patched {
                    Err(error) if resource_version.is_none() && is_gone(&error) => return Ok(None),
                    other => other.map(Answer::Object),
                }
            }
            Write::ReplaceStatus { status, .. } => {
                let body = json!([{"op": "add", "path": "/status", "value": status}]);
                match self.writer.patch(api, &key, Some("status"), Patch::Json, &body).await {
                    Err(error) if error.is_not_found() => return Ok(None),
                    other => other.map(Answer::Object),
                }
            }
            Write::Delete { uid, .. } => {
                self.writer
                    .delete(
                        api,
                        &key,
                        Deletion {
                            uid: uid.as_deref(),
                            ..Deletion::default()
                        },
                    )
                    .await
            }
        };
        answer.map(Some)
    }

    /// Takes the answer in, so that the next pass need not wait for the watch.
    fn fold(&self, write: &Write, answer: Answer) {
        let target = write.target();
        let Some(index) = self.indexes.get(&target.resource) else {
            if let (Some(resources), Answer::Object(object)) = (&self.resources, answer) {
                resources.fold(&target.resource, object);
            }
            return;
        };
        match answer {
            // What cannot be read has been reported by the index.
            Answer::Object(object) => drop(index.fold(object)),
            Answer::Gone(answered) => {
                let uid = match write {
                    Write::Delete { uid: Some(uid), .. } => Some(uid.clone()),
                    _ => answered,
                };
                index.fold_deleted(&target.key(), uid.as_deref());
            }
        }
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
    use http::{Request, Response};
    use kit::backoff::Backoff;
    use kit::clock::Clock;
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
        let wake = Arc::new(Wake::new(Backoff::new(
            Duration::from_millis(5),
            Duration::from_secs(1),
        )));
        let store = Arc::new(Store::new(&wake, false, Clock::System));
        let writer = Writer::new(kube::Client::new(service, "default"), Duration::from_secs(5));
        Executor::new(writer, store, wake)
    }

    fn patch(version: Option<&str>) -> Vec<Write> {
        vec![Write::MergePatch {
            target: Target::new(kinds::WORK, Some("fleet-member-m1"), "w"),
            body: json!({"spec": {}}),
            status: false,
            resource_version: version.map(str::to_owned),
        }]
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
            let execution = executor.run(&[patch(version), later.clone()], Caller::Other).await;
            let seen = (execution.failures.len(), execution.sent);
            assert_eq!(seen, (failures, sent), "{code} {answer} {version:?}");
        }
    }
}
