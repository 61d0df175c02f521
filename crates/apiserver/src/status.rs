//! Failures as Kubernetes `Status` objects: code, reason, message forms and details that clients match on.

use serde_json::{Value, json};

/// Result of a request's handling.
pub type ApiResult<T> = Result<T, ApiError>;

/// A failed request; becomes a `Status` object.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Machine readable reason; empty for errors that the real server leaves without one.
    pub reason: &'static str,
    /// Text for people.
    pub message: String,
    /// `status.details`, if any.
    pub details: Option<Value>,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u32>,
    /// Answer as plain text instead of a `Status` (unknown paths).
    pub plain: bool,
}

/// One field's fault in an `Invalid` error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Path as Kubernetes prints it: `spec.ports[0].port`.
    pub field: String,
    /// `FieldValueInvalid`, `FieldValueRequired`, ...
    pub reason: String,
    /// Message without the field.
    pub message: String,
}

impl Cause {
    fn new(field: impl Into<String>, reason: &str, message: String) -> Self {
        Cause {
            field: field.into(),
            reason: reason.into(),
            message,
        }
    }
    /// `Required value: detail` (or without detail when empty).
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".into()
        } else {
            format!("Required value: {detail}")
        };
        Cause::new(field, "FieldValueRequired", message)
    }
    /// `Invalid value: <value>: detail`; the value in JSON form.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Cause::new(field, "FieldValueInvalid", format!("Invalid value: {value}: {detail}"))
    }
    /// `Forbidden: detail`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Cause::new(field, "FieldValueForbidden", format!("Forbidden: {detail}"))
    }
    /// `Duplicate value: <value>`.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Cause::new(field, "FieldValueDuplicate", format!("Duplicate value: {value}"))
    }
    /// `Unsupported value: <value>: supported values: "a", "b"`.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list = supported
            .iter()
            .map(|s| format!("{s:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        Cause::new(
            field,
            "FieldValueNotSupported",
            format!("Unsupported value: {value}: supported values: {list}"),
        )
    }
}

/// `resource.group`, or `resource` in the core group.
pub fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

fn named_details(group: &str, resource: &str, name: &str) -> Value {
    let mut details = serde_json::Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", resource)] {
        if !value.is_empty() {
            details.insert(key.into(), value.into());
        }
    }
    Value::Object(details)
}

impl ApiError {
    /// An error of any code and reason, without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            code,
            reason,
            message: message.into(),
            details: None,
            retry_after: None,
            plain: false,
        }
    }

    fn named(code: u16, reason: &'static str, message: String, (group, resource): (&str, &str), name: &str) -> Self {
        ApiError {
            details: Some(named_details(group, resource, name)),
            ..ApiError::new(code, reason, message)
        }
    }

    /// 404: the object does not exist.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(group, resource));
        Self::named(404, "NotFound", message, (group, resource), name)
    }

    /// 404 as plain text: nothing is served at this path.
    pub fn no_such_path() -> Self {
        ApiError {
            plain: true,
            ..ApiError::new(404, "NotFound", "404 page not found\n")
        }
    }

    /// 404: the group serves nothing of that name.
    pub fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        ApiError {
            details: Some(json!({})),
            ..ApiError::new(404, "NotFound", message)
        }
    }

    /// 409: an object of that name exists.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(group, resource));
        Self::named(409, "AlreadyExists", message, (group, resource), name)
    }

    /// 409: a precondition does not hold.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(group, resource)
        );
        Self::named(409, "Conflict", message, (group, resource), name)
    }

    /// 409: the object has another resourceVersion than the request.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, resource, name, why)
    }

    /// 403 for an object or collection.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let object = if name.is_empty() {
            format!("{} is", qualified(group, resource))
        } else {
            format!("{} \"{name}\" is", qualified(group, resource))
        };
        Self::named(
            403,
            "Forbidden",
            format!("{object} forbidden: {why}"),
            (group, resource),
            name,
        )
    }

    /// 422 with the faults of fields.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let text = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {text}", qualified(group, kind));
        let mut error = Self::named(422, "Invalid", message, (group, kind), name);
        let list: Vec<Value> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        if let Some(details) = error.details.as_mut() {
            details["causes"] = Value::Array(list);
        }
        error
    }

    /// 400 with a message.
    pub fn bad_request(message: impl Into<String>) -> Self {
        ApiError::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        ApiError::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        ApiError {
            details: Some(json!({})),
            ..ApiError::new(405, "MethodNotAllowed", message)
        }
    }

    /// 410: the requested resourceVersion is no longer in the watch history.
    pub fn expired(message: impl Into<String>) -> Self {
        ApiError::new(410, "Expired", message)
    }

    /// 415, naming what is accepted.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        ApiError::new(415, "UnsupportedMediaType", message)
    }

    /// 500: the server itself failed.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let text = format!("Internal error occurred: {message}");
        ApiError {
            details: Some(json!({"causes": [{"message": message.to_string()}]})),
            ..ApiError::new(500, "InternalError", text)
        }
    }

    /// Adds a cause to the details.
    pub fn with_cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        let details = self.details.get_or_insert_with(|| json!({}));
        details["causes"] = json!([{"reason": reason, "message": message, "field": field}]);
        self
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        if let Some(seconds) = self.retry_after {
            let details = status
                .as_object_mut()
                .map(|s| s.entry("details").or_insert_with(|| json!({})));
            if let Some(details) = details {
                details["retryAfterSeconds"] = seconds.into();
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_forms_that_clients_match() {
        let crp = ("placement.kubernetes-fleet.io", "clusterresourceplacements");
        let cases = [
            (
                ApiError::not_found(crp.0, crp.1, "x"),
                r#"clusterresourceplacements.placement.kubernetes-fleet.io "x" not found"#,
            ),
            (ApiError::already_exists("", "pods", "p"), r#"pods "p" already exists"#),
            (
                ApiError::modified("apps", "deployments", "d"),
                r#"Operation cannot be fulfilled on deployments.apps "d": the object has been modified; please apply your changes to the latest version and try again"#,
            ),
            (
                ApiError::invalid("apps", "Deployment", "d", &[Cause::required("spec.selector", "")]),
                r#"Deployment.apps "d" is invalid: spec.selector: Required value"#,
            ),
            (
                ApiError::invalid(
                    "",
                    "Service",
                    "s",
                    &[
                        Cause::invalid(
                            "spec.ports[0].port",
                            &json!(0),
                            "must be between 1 and 65535, inclusive",
                        ),
                        Cause::unsupported("spec.type", &json!("Foo"), &["ClusterIP", "NodePort"]),
                    ],
                ),
                r#"Service "s" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "NodePort"]"#,
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.message, message);
            assert_eq!(error.to_status()["message"], message);
        }
        let status = ApiError::not_found("apps", "deployments", "d").to_status();
        assert_eq!(
            status["details"],
            json!({"name": "d", "group": "apps", "kind": "deployments"})
        );
    }
}
