//! Executes writes: one request each, with a deadline, and the answered object to fold into an index.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use crate::error::Error;
use crate::resource::{ObjectKey, Resource};
use crate::rest::{Call, media, query_value};
use crate::trim::Trimmed;

/// Sends writes and single reads to one cluster.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    deadline: Duration,
    manager: Option<&'static str>,
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The object as it is stored now, without managed fields.
    Object(Value),
    /// The object is gone, with the uid that was deleted as far as the answer has it.
    Gone(Option<String>),
}

/// Which kind of patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch<'a> {
    /// RFC 7396.
    Merge,
    /// RFC 6902.
    Json,
    /// With the merge keys of built-in kinds.
    Strategic,
    /// Server-side apply by a field manager, with or without taking over fields of others.
    Apply {
        /// Who applies.
        manager: &'a str,
        /// Whether conflicts are taken over.
        force: bool,
    },
}

/// Preconditions and manner of a deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deletion<'a> {
    /// Delete only this incarnation.
    pub uid: Option<&'a str>,
    /// Delete only this version.
    pub resource_version: Option<&'a str>,
    /// `Foreground`, `Background` or `Orphan`.
    pub propagation: Option<&'a str>,
}

impl Writer {
    /// Writes through a client; each write must be answered within the deadline.
    pub fn new(client: Client, deadline: Duration) -> Self {
        Self {
            client,
            deadline,
            manager: None,
        }
    }

    /// The same writer under the name of another field manager than the agent's.
    #[must_use]
    pub fn managed_by(&self, manager: &'static str) -> Self {
        Self {
            manager: Some(manager),
            ..self.clone()
        }
    }

    /// The same writer with another deadline for each write.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads one object.
    ///
    /// # Errors
    /// When it does not exist or the request fails.
    pub async fn get(&self, resource: &Resource, key: &ObjectKey) -> Result<Value, Error> {
        let call = Call::new(Method::GET, resource.object(key, None), what("get", resource, key));
        Ok(call.deadline(self.deadline).json::<Trimmed>(&self.client).await?.0)
    }

    /// Creates an object. `namespace` matters for namespaced kinds only.
    ///
    /// # Errors
    /// When it exists already or the request fails.
    pub async fn create(&self, resource: &Resource, namespace: Option<&str>, object: &Value) -> Result<Value, Error> {
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let key = ObjectKey::new(namespace, name);
        let call = Call::new(
            Method::POST,
            self.managed(resource.collection(namespace)),
            what("create", resource, &key),
        );
        self.object(call.body(media::JSON, text(object))).await
    }

    /// Replaces an object (or its subresource). With a resourceVersion in it, only that version.
    ///
    /// # Errors
    /// When it does not exist, was changed in between, or the request fails.
    pub async fn replace(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        subresource: Option<&str>,
        object: &Value,
    ) -> Result<Value, Error> {
        let call = Call::new(
            Method::PUT,
            self.managed(resource.object(key, subresource)),
            what("update", resource, key),
        );
        self.object(call.body(media::JSON, text(object))).await
    }

    /// Patches an object (or its subresource).
    ///
    /// # Errors
    /// When it does not exist, a precondition fails, or the request fails.
    pub async fn patch(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        subresource: Option<&str>,
        patch: Patch<'_>,
        body: &Value,
    ) -> Result<Value, Error> {
        let path = resource.object(key, subresource);
        let (verb, media, path) = match patch {
            Patch::Merge => ("patch", media::MERGE_PATCH, self.managed(path)),
            Patch::Json => ("patch", media::JSON_PATCH, self.managed(path)),
            Patch::Strategic => ("patch", media::STRATEGIC_PATCH, self.managed(path)),
            Patch::Apply { manager, force } => {
                let path = format!("{path}?fieldManager={}&force={force}", query_value(manager));
                ("apply", media::APPLY_PATCH, path)
            }
        };
        let verb = if subresource.is_some() {
            format!("{verb} the status of")
        } else {
            verb.to_owned()
        };
        let call = Call::new(Method::PATCH, path, what(&verb, resource, key));
        self.object(call.body(media, text(body))).await
    }

    /// Deletes an object. That it is gone already is success.
    ///
    /// # Errors
    /// When a precondition fails or the request fails.
    pub async fn delete(&self, resource: &Resource, key: &ObjectKey, how: Deletion<'_>) -> Result<Answer, Error> {
        let mut call = Call::new(
            Method::DELETE,
            resource.object(key, None),
            what("delete", resource, key),
        );
        if how != Deletion::default() {
            let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
            if let Some(uid) = how.uid {
                options["preconditions"]["uid"] = uid.into();
            }
            if let Some(version) = how.resource_version {
                options["preconditions"]["resourceVersion"] = version.into();
            }
            if let Some(propagation) = how.propagation {
                options["propagationPolicy"] = propagation.into();
            }
            call = call.body(media::JSON, text(&options));
        }
        match self.object(call).await {
            Ok(answer) if answer.get("kind").is_some_and(|kind| kind == "Status") => Ok(Answer::Gone(
                answer
                    .pointer("/details/uid")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            )),
            // Some kinds answer with the object even though nothing keeps it any more.
            Ok(answer) if answer.pointer("/metadata/deletionTimestamp").is_none() => Ok(Answer::Gone(
                answer
                    .pointer("/metadata/uid")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            )),
            Ok(answer) => Ok(Answer::Object(answer)),
            Err(err) if err.is_not_found() => Ok(Answer::Gone(None)),
            Err(err) => Err(err),
        }
    }

    fn managed(&self, path: String) -> String {
        match self.manager {
            Some(manager) => format!("{path}?fieldManager={}", query_value(manager)),
            None => path,
        }
    }

    async fn object(&self, call: Call) -> Result<Value, Error> {
        Ok(call.deadline(self.deadline).json::<Trimmed>(&self.client).await?.0)
    }
}

fn what(verb: &str, resource: &Resource, key: &ObjectKey) -> String {
    format!("{verb} {} {key}", resource.kind)
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
