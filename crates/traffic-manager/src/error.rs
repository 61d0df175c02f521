//! Errors as Azure Resource Manager answers them.

use serde_json::{Value, json};

/// A refused request: HTTP status, ARM error code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ArmError {
    /// HTTP status.
    pub status: u16,
    /// ARM error code, such as `ResourceNotFound`.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub message: String,
    /// After how many seconds the client may try again.
    pub retry_after: Option<u64>,
}

impl ArmError {
    /// An error without `Retry-After`.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The request says something that cannot be: 400 `BadRequest`.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The body is not what the operation takes: 400 `InvalidRequestContent`.
    pub fn content(cause: impl std::fmt::Display) -> Self {
        let message = format!("The request content was invalid and could not be deserialized: '{cause}'.");
        Self::new(400, "InvalidRequestContent", message)
    }

    /// A resource does not exist: 404 `ResourceNotFound`.
    pub fn not_found(kind: &str, group: &str, name: &str) -> Self {
        let message =
            format!("The Resource 'Microsoft.Network/{kind}/{name}' under resource group '{group}' was not found.");
        Self::new(404, "ResourceNotFound", message)
    }

    /// The resource that an endpoint belongs to does not exist: 404 `ParentResourceNotFound`.
    pub fn no_parent(profile: &str) -> Self {
        let message = format!(
            "Failed to perform 'write' on resource(s) of type 'trafficManagerProfiles/endpoints', because the parent \
             resource 'trafficManagerProfiles/{profile}' could not be found."
        );
        Self::new(404, "ParentResourceNotFound", message)
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }
}
