//! The member's API server: requests for objects of any kind, and which kinds it serves.

mod mapper;

use std::time::Duration;

use api::placement::v1beta1::WorkResourceIdentifier;
use api::text::managers;
use fairway_core::apply::{self, Answer, Failure, FailureKind, Identity, PatchFormat, Request};
use http::Method;
use kit::backoff::Backoff;
use kit::rest::{Call, media};
use kit::writer::{Deletion, Writer};
use kit::{Error, ObjectKey};
use kube::Client;
use serde_json::Value;

pub(crate) use mapper::{Mapper, NotServed};

/// Requests for one answer while the server is busy.
const TRIES: u32 = 4;

/// A server that wants to be left alone for longer has failed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Spreads requests that were given the same time to come back.
const JITTER: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

/// Sends requests for placed objects. Manifests travel as JSON, and all of it.
#[derive(Clone)]
pub(crate) struct Member {
    client: Client,
    writer: Writer,
}

/// Where an object is: its kind, namespace (empty for none) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectRef {
    pub(crate) resource: apply::Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectRef {
    /// Addresses a manifest's object.
    pub(crate) fn new(resource: &apply::Resource, identity: &Identity) -> Self {
        Self {
            resource: resource.clone(),
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
        }
    }

    /// Addresses a status entry's object. `None` where the entry does not say which resource that is.
    pub(crate) fn of(identifier: &WorkResourceIdentifier) -> Option<Self> {
        let identity = Identity::of(identifier).filter(|identity| !identity.name.is_empty())?;
        let resource = apply::Resource {
            group: identity.group.clone(),
            version: identity.version.clone(),
            kind: identity.kind.clone(),
            plural: Some(&identifier.resource).filter(|plural| !plural.is_empty())?.clone(),
            namespaced: !identity.namespace.is_empty(),
        };
        Some(Self::new(&resource, &identity))
    }

    /// Path of the collection. The namespace is taken verbatim from the manifest, even if it does not fit the kind: then the
    /// server says so.
    fn collection(&self) -> String {
        self.api().collection(self.key().namespace.as_deref())
    }

    fn object(&self) -> String {
        self.api().object(&self.key(), None)
    }

    fn api(&self) -> kit::Resource {
        kit::Resource {
            namespaced: true,
            ..kit_resource(&self.resource)
        }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::new(Some(&self.namespace), &self.name)
    }

    fn what(&self, verb: &str) -> String {
        format!("{verb} {} {}", self.resource.kind, self.key())
    }
}

/// The same API in the words of the runtime.
pub(crate) fn kit_resource(resource: &apply::Resource) -> kit::Resource {
    kit::Resource {
        group: resource.group.clone().into(),
        version: resource.version.clone().into(),
        kind: resource.kind.clone().into(),
        plural: resource.plural.clone().into(),
        namespaced: resource.namespaced,
    }
}

impl Member {
    pub(crate) fn new(client: Client, writer: Writer) -> Self {
        Self { client, writer }
    }

    /// Reads and writes of kinds known at compile time.
    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Sends a request of a manifest's pipeline. [`Request::Works`] concerns the hub and is refused here.
    pub(crate) async fn send(&self, object_ref: &ObjectRef, request: Request) -> Answer {
        let sent = match request {
            Request::Read => self.read(object_ref).await,
            Request::Replace(object) => self.replace(object_ref, &object).await,
            Request::DryRun(manifest) => {
                let query = "dryRun=All&force=true";
                self.patch(object_ref, query, media::APPLY_PATCH, &manifest).await
            }
            Request::Create(object) => self.create(object_ref, &object).await,
            Request::Patch {
                format: PatchFormat::Strategic,
                body,
            } => self.patch(object_ref, "", media::STRATEGIC_PATCH, &body).await,
            Request::Patch {
                format: PatchFormat::Merge,
                body,
            } => self.patch(object_ref, "", media::MERGE_PATCH, &body).await,
            Request::Apply { body, force } => {
                self.patch(object_ref, &format!("force={force}"), media::APPLY_PATCH, &body)
                    .await
            }
            Request::Works(_) => {
                let message = "Works are on the hub".to_owned();
                return Answer::Failed(Failure {
                    kind: FailureKind::Other,
                    message,
                });
            }
        };
        match sent {
            Ok(object) => Answer::Object(object),
            Err(err) => Answer::Failed(failure(&err)),
        }
    }

    /// Reads an object with everything in it.
    ///
    /// # Errors
    /// When it does not exist or the request fails.
    pub(crate) async fn read(&self, object_ref: &ObjectRef) -> Result<Value, Error> {
        self.exchange(|| Call::new(Method::GET, object_ref.object(), object_ref.what("get")))
            .await
    }

    /// Replaces an object; its resource version guards the write.
    ///
    /// # Errors
    /// When it was changed in between, is gone, or the request fails.
    pub(crate) async fn replace(&self, object_ref: &ObjectRef, object: &Value) -> Result<Value, Error> {
        let path = format!("{}?fieldManager={}", object_ref.object(), managers::WORK_AGENT);
        self.exchange(|| {
            let call = Call::new(Method::PUT, path.clone(), object_ref.what("update"));
            call.body(media::JSON, bytes(object))
        })
        .await
    }

    /// Deletes an incarnation of an object in the version that was seen and, in the background, what it owns. That it is
    /// gone already is success.
    ///
    /// # Errors
    /// A conflict when it was changed or replaced since; otherwise when the request fails.
    pub(crate) async fn delete(&self, object_ref: &ObjectRef, uid: &str, resource_version: &str) -> Result<(), Error> {
        let how = Deletion {
            uid: Some(uid),
            resource_version: Some(resource_version).filter(|version| !version.is_empty()),
            propagation: Some("Background"),
        };
        self.writer
            .delete(&object_ref.api(), &object_ref.key(), how)
            .await
            .map(|_| ())
    }

    async fn create(&self, object_ref: &ObjectRef, object: &Value) -> Result<Value, Error> {
        let path = format!("{}?fieldManager={}", object_ref.collection(), managers::WORK_AGENT);
        self.exchange(|| {
            let call = Call::new(Method::POST, path.clone(), object_ref.what("create"));
            call.body(media::JSON, bytes(object))
        })
        .await
    }

    async fn patch(
        &self,
        object_ref: &ObjectRef,
        query: &str,
        media: &'static str,
        body: &Value,
    ) -> Result<Value, Error> {
        let more = if query.is_empty() { "" } else { "&" };
        let path = format!(
            "{}?fieldManager={}{more}{query}",
            object_ref.object(),
            managers::WORK_AGENT
        );
        self.exchange(|| {
            let call = Call::new(Method::PATCH, path.clone(), object_ref.what("patch"));
            call.body(media, bytes(body))
        })
        .await
    }

    /// Sends a request, and again when the server is too busy for it and says when to come back: its object has no fault.
    async fn exchange(&self, call: impl Fn() -> Call) -> Result<Value, Error> {
        let mut tried = 0;
        loop {
            let err = match call().json(&self.client).await {
                Ok(answer) => return Ok(answer),
                Err(err) => err,
            };
            tried += 1;
            match asked_to_wait(&err) {
                Some(wait) if tried < TRIES => tokio::time::sleep(wait + JITTER.delay(tried)).await,
                _ => return Err(err),
            }
        }
    }
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// How long a busy server demands to wait, if that is short.
fn asked_to_wait(err: &Error) -> Option<Duration> {
    let is_busy = err.code().is_some_and(|code| code == 429 || code >= 500);
    err.retry_after().filter(|wait| is_busy && *wait <= LONGEST_WAIT)
}

/// A failed request in the words of decisions; the message is the server's own.
fn failure(err: &Error) -> Failure {
    let kind = match err.code() {
        Some(404) if err.is_namespace_not_found() => FailureKind::NamespaceNotFound,
        Some(404) => FailureKind::NotFound,
        Some(409) if err.is_already_exists() => FailureKind::AlreadyExists,
        Some(409) => FailureKind::Conflict,
        Some(422) => FailureKind::Invalid,
        _ => FailureKind::Other,
    };
    let message = match err {
        Error::Status { message, .. } => message.clone(),
        other => other.to_string(),
    };
    Failure { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_take_the_namespace_verbatim() {
        let object_ref = |group: &str, namespace: &str, namespaced| ObjectRef {
            resource: apply::Resource {
                group: group.into(),
                version: "v1".into(),
                kind: "Odd".into(),
                plural: "odds".into(),
                namespaced,
            },
            namespace: namespace.into(),
            name: "a".into(),
        };
        assert_eq!(object_ref("", "n", true).object(), "/api/v1/namespaces/n/odds/a");
        assert_eq!(object_ref("", "", true).object(), "/api/v1/odds/a");
        assert_eq!(
            object_ref("x.io", "n", false).object(),
            "/apis/x.io/v1/namespaces/n/odds/a"
        );
    }
}
