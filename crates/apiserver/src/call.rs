//! One authenticated and authorized request for a resource.

use crate::clock::Clock;
use crate::protobuf;
use crate::registry::{Resource, Version};
use crate::reply::View;
use crate::routes::{Query, Target, Verb};
use crate::status::{ApiError, ApiResult, Cause};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The user that sends the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// User name, such as `system:serviceaccount:ns:name`.
    pub name: String,
    /// uid, if the credential carries one.
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Further facts of the credential.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user with groups; `system:authenticated` is added.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        if !groups.iter().any(|g| g == "system:authenticated") {
            groups.push("system:authenticated".into());
        }
        User {
            name: name.to_owned(),
            groups,
            ..User::default()
        }
    }

    /// The administrator: member of `system:masters`, who may do everything.
    pub fn admin() -> Self {
        User::new("kubernetes-admin", &["system:masters"])
    }

    /// The user of a service account.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let namespace_group = format!("system:serviceaccounts:{namespace}");
        let mut user = User::new(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &["system:serviceaccounts", &namespace_group],
        );
        user.uid = uid.to_owned();
        user
    }

    /// Somebody without credentials.
    pub fn anonymous() -> Self {
        User {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            ..User::default()
        }
    }

    /// Whether every request is allowed.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|g| g == "system:masters")
    }
}

/// A request for a resource, ready to be executed.
#[derive(Debug, Clone)]
pub struct Call {
    /// The user that sends the request.
    pub user: User,
    /// `User-Agent`.
    pub agent: String,
    /// What is requested.
    pub target: Target,
    /// What is to be done.
    pub verb: Verb,
    /// The resource.
    pub resource: Arc<Resource>,
    /// The version of the request.
    pub version: Arc<Version>,
    /// Query parameters.
    pub query: Query,
    /// Representation of the answer.
    pub view: View,
    /// `Content-Type` without parameters.
    pub content_type: String,
    /// Body.
    pub body: Bytes,
    /// The server's clock, for ages in tables.
    pub clock: Clock,
    /// Reads answer with the state at this version (a fault).
    pub stale: Option<u64>,
}

impl Call {
    /// The namespace in which the object is stored; empty for cluster-scoped resources.
    pub fn namespace(&self) -> &str {
        if self.resource.namespaced {
            &self.target.namespace
        } else {
            ""
        }
    }

    /// apiVersion of the request.
    pub fn api_version(&self) -> String {
        self.resource.api_version(&self.version.name)
    }

    /// Whether nothing may be stored.
    pub fn dry_run(&self) -> ApiResult<bool> {
        match self.query.all("dryRun") {
            [] => Ok(false),
            all if all.iter().all(|v| v == "All") => Ok(true),
            other => {
                let cause = Cause::unsupported("dryRun", &other.into(), &["All"]);
                let kind = match self.verb {
                    Verb::Create => "CreateOptions",
                    Verb::Update => "UpdateOptions",
                    Verb::Patch => "PatchOptions",
                    _ => "DeleteOptions",
                };
                Err(ApiError::invalid("meta.k8s.io", kind, "", &[cause]))
            }
        }
    }

    /// The field manager: the parameter, or the first part of the user agent.
    pub fn manager(&self) -> String {
        let given = self.query.get("fieldManager");
        let manager = if given.is_empty() {
            self.agent.split('/').next().unwrap_or_default()
        } else {
            given
        };
        if manager.is_empty() {
            "unknown".into()
        } else {
            manager.chars().take(128).collect()
        }
    }

    /// The body as JSON.
    pub fn json_body(&self) -> ApiResult<Value> {
        if self.body.is_empty() {
            return Err(self.unrecognized("unexpected end of JSON input"));
        }
        match self.content_type.as_str() {
            "" | "application/json" | "text/json" => {
                serde_json::from_slice(&self.body).map_err(|e| self.unrecognized(&e.to_string()))
            }
            "application/yaml" => serde_yaml::from_slice(&self.body)
                .map_err(|e| ApiError::bad_request(format!("error converting YAML to JSON: {e}"))),
            protobuf::MEDIA_TYPE => protobuf::decode(&self.body).map_err(ApiError::bad_request),
            _ => Err(ApiError::unsupported_media_type(&[
                "application/json",
                "application/yaml",
                protobuf::MEDIA_TYPE,
            ])),
        }
    }

    fn unrecognized(&self, why: &str) -> ApiError {
        let body = String::from_utf8_lossy(&self.body);
        let shown = if body.is_empty() { "<empty>" } else { &body };
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({shown})",
            self.resource.kind
        ))
    }

    /// 404 for an object of this resource.
    pub fn not_found(&self, name: &str) -> ApiError {
        ApiError::not_found(&self.resource.group, &self.resource.plural, name)
    }

    /// The key of an object in a real server's storage, as it appears in messages.
    pub fn storage_key(&self, name: &str) -> String {
        let group = if self.resource.crd.is_some() {
            format!("{}/", self.resource.group)
        } else {
            String::new()
        };
        let namespace = if self.resource.namespaced {
            format!("{}/", self.namespace())
        } else {
            String::new()
        };
        format!("/registry/{group}{}/{namespace}{name}", self.resource.plural)
    }

    /// 409 because the object changed.
    pub fn modified(&self, name: &str) -> ApiError {
        ApiError::modified(&self.resource.group, &self.resource.plural, name)
    }

    /// 409 for another reason.
    pub fn conflict(&self, name: &str, why: &str) -> ApiError {
        ApiError::conflict(&self.resource.group, &self.resource.plural, name, why)
    }

    /// 403 for an object of this resource.
    pub fn forbidden(&self, name: &str, why: &str) -> ApiError {
        ApiError::forbidden(&self.resource.group, &self.resource.plural, name, why)
    }

    /// 422 with faults of fields.
    pub fn invalid(&self, name: &str, causes: &[crate::status::Cause]) -> ApiError {
        ApiError::invalid(&self.resource.group, &self.resource.kind, name, causes)
    }

    /// A collection or object of this resource is served with other verbs than this.
    pub fn not_allowed(&self) -> ApiError {
        ApiError::method_not_allowed()
    }
}
