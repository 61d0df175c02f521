//! Plain requests to an API server: one call, one answer, one kind of error.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::{Body, Client};
use serde::Deserialize;

use crate::error::{Error, NAMESPACE_NOT_FOUND, TOO_LARGE_VERSION, chain};
use crate::reachability::Slot;

/// Media types of patches.
pub mod media {
    /// Plain JSON.
    pub const JSON: &str = "application/json";
    /// RFC 7396.
    pub const MERGE_PATCH: &str = "application/merge-patch+json";
    /// RFC 6902.
    pub const JSON_PATCH: &str = "application/json-patch+json";
    /// Strategic merge patch.
    pub const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
    /// Server-side apply.
    pub const APPLY_PATCH: &str = "application/apply-patch+yaml";
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    what: String,
    accept: &'static str,
    content: Option<(&'static str, Vec<u8>)>,
    deadline: Duration,
    /// Filled by the client with what knows whether its server can be reached.
    slot: Slot,
}

impl Call {
    /// A request without body. `what` says what it is for, as in "list ConfigMap".
    pub fn new(method: Method, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            what: what.into(),
            accept: media::JSON,
            content: None,
            deadline: Duration::from_secs(30),
            slot: Slot::default(),
        }
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, media: &'static str, body: Vec<u8>) -> Self {
        self.content = Some((media, body));
        self
    }

    /// Requests other media types than plain JSON.
    #[must_use]
    pub fn accept(mut self, media: &'static str) -> Self {
        self.accept = media;
        self
    }

    /// Time for the whole exchange, headers and body; 30 s unless set.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends it and returns the body of a successful answer.
    ///
    /// # Errors
    /// When the deadline passes, no answer arrives, or the server answers with a failure.
    pub async fn send(self, client: &Client) -> Result<Bytes, Error> {
        let (what, deadline, slot) = (self.what.clone(), self.deadline, self.slot.clone());
        // On the heap while it lasts: the tasks that make requests are many, and at rest hardly any makes one.
        match tokio::time::timeout(deadline, Box::pin(self.exchange(client))).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered(what, format!("no answer within {deadline:?}"), &slot)),
        }
    }

    /// Sends it and reads the answer as JSON.
    ///
    /// # Errors
    /// As [`Self::send`], and when the answer has another shape.
    pub async fn json<T: for<'de> Deserialize<'de>>(self, client: &Client) -> Result<T, Error> {
        let what = self.what.clone();
        let body = self.send(client).await?;
        serde_json::from_slice(&body).map_err(|err| Error::Answer {
            what,
            cause: err.to_string(),
        })
    }

    /// Sends it and returns the answer as soon as its head is there; for watches. Failures are errors already.
    ///
    /// # Errors
    /// As [`Self::send`]; the deadline covers the head only.
    pub async fn open(self, client: &Client) -> Result<Response<Body>, Error> {
        let (what, deadline, slot) = (self.what.clone(), self.deadline, self.slot.clone());
        let within = is_within_namespace(&self.path);
        let head = async {
            let response = self.head(client).await?;
            if response.status().is_success() {
                Ok(response)
            } else {
                Err(refused(&what, within, response, &slot).await)
            }
        };
        match tokio::time::timeout(deadline, Box::pin(head)).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered(
                what.clone(),
                format!("no answer within {deadline:?}"),
                &slot,
            )),
        }
    }

    async fn exchange(self, client: &Client) -> Result<Bytes, Error> {
        let (what, slot) = (self.what.clone(), self.slot.clone());
        let within = is_within_namespace(&self.path);
        let response = self.head(client).await?;
        if !response.status().is_success() {
            return Err(refused(&what, within, response, &slot).await);
        }
        match response.into_body().collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(err) => Err(unanswered(what, chain(&err), &slot)),
        }
    }

    async fn head(self, client: &Client) -> Result<Response<Body>, Error> {
        let Self {
            method,
            path,
            what,
            accept,
            content,
            slot,
            ..
        } = self;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, accept);
        let body = match content {
            Some((media, body)) => {
                request = request.header(header::CONTENT_TYPE, media);
                Body::from(body)
            }
            None => Body::empty(),
        };
        let mut request = request.body(body).map_err(|err| Error::Request {
            what: what.clone(),
            cause: err.to_string(),
        })?;
        request.extensions_mut().insert(slot.clone());
        let sent = client.send(request).await;
        sent.map_err(|err| unanswered(what, chain(&err), &slot))
    }
}

/// The parts of a Status object that we read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    message: Option<String>,
    reason: Option<String>,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    kind: Option<String>,
    retry_after_seconds: Option<u64>,
    causes: Option<Vec<Cause>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: Option<String>,
}

/// Causes that take the place of the reason.
const TELLING_CAUSES: [&str; 2] = ["NamespaceTerminating", TOO_LARGE_VERSION];

/// The error of a request that was not answered.
fn unanswered(what: String, cause: String, slot: &Slot) -> Error {
    match slot.get() {
        Some(reachability) => Error::Unreachable {
            what,
            cause,
            reachability,
        },
        None => Error::Transport { what, cause },
    }
}

/// Turns a failure answer into an error.
async fn refused(what: &str, within: bool, response: Response<Body>, slot: &Slot) -> Error {
    let code = response.status();
    let after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|v| v.to_str().ok()?.parse().ok());
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(err) => return unanswered(what.to_owned(), chain(&err), slot),
    };
    status_error(what, within, code, &body, after)
}

/// Whether a request is for something in a namespace, rather than for a namespace itself or something outside of any.
fn is_within_namespace(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let mut rest = path.split('/').skip_while(|part| *part != "namespaces").skip(2);
    rest.next().is_some_and(|part| !matches!(part, "status" | "finalize"))
}

/// `within` says whether the request was for something in a namespace, see [`is_within_namespace`].
fn status_error(what: &str, within: bool, code: StatusCode, body: &[u8], after: Option<u64>) -> Error {
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    let details = status.details.unwrap_or_default();
    // The cause says more than the reason that it comes with.
    let causes = details.causes.unwrap_or_default();
    let telling = causes
        .into_iter()
        .filter_map(|cause| cause.reason)
        .find(|reason| TELLING_CAUSES.contains(&reason.as_str()));
    let is_namespace = within && code == StatusCode::NOT_FOUND && details.kind.as_deref() == Some("namespaces");
    let telling = telling.or_else(|| is_namespace.then(|| NAMESPACE_NOT_FOUND.to_owned()));
    let reason = telling.or(status.reason).unwrap_or_default();
    let message = status.message.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        text.trim().chars().take(300).collect()
    });
    Error::Status {
        what: what.to_owned(),
        code: code.as_u16(),
        reason,
        message,
        retry_after: details.retry_after_seconds.or(after).map(Duration::from_secs),
    }
}

/// Encodes a value for use in a query string.
pub fn query_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_a_namespace_are_not_within_it() {
        for (path, within) in [
            ("/api/v1/namespaces/app", false),
            ("/api/v1/namespaces/app/status?dryRun=All", false),
            ("/api/v1/namespaces?limit=1", false),
            ("/api/v1/nodes/a", false),
            ("/api/v1/namespaces/app/configmaps/a", true),
            ("/apis/apps/v1/namespaces/app/deployments?fieldManager=f", true),
        ] {
            assert_eq!(is_within_namespace(path), within, "{path}");
        }
    }

    #[test]
    fn status_objects_become_errors() {
        let body = br#"{"kind":"Status","reason":"Forbidden","message":"it is being terminated",
            "details":{"retryAfterSeconds":3,"causes":[{"reason":"NamespaceTerminating"}]}}"#;
        let err = status_error("create Work a/b", true, StatusCode::FORBIDDEN, body, None);
        assert_eq!(err.class(), crate::Class::Expected);
        assert_eq!(err.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(
            err.to_string(),
            "The API server refused to create Work a/b: it is being terminated (403 NamespaceTerminating)."
        );
        let body =
            br#"{"kind":"Status","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}"#;
        let ahead = status_error("watch Work", true, StatusCode::GATEWAY_TIMEOUT, body, None);
        assert!(ahead.is_version_too_large() && ahead.class() == crate::Class::ApiServer);
        let body = br#"{"kind":"Status","reason":"NotFound","details":{"name":"app","kind":"namespaces"}}"#;
        let missing = status_error("create ConfigMap app/a", true, StatusCode::NOT_FOUND, body, None);
        assert!(missing.is_namespace_not_found() && missing.is_not_found());
        let itself = status_error("get Namespace app", false, StatusCode::NOT_FOUND, body, None);
        assert!(itself.is_not_found() && !itself.is_namespace_not_found());
        let body = br#"{"kind":"Status","reason":"NotFound","details":{"name":"a","kind":"configmaps"}}"#;
        assert!(!status_error("get ConfigMap app/a", true, StatusCode::NOT_FOUND, body, None).is_namespace_not_found());
        let plain = status_error("x", true, StatusCode::BAD_GATEWAY, b"upstream is gone\n", Some(1));
        assert_eq!(plain.class(), crate::Class::ApiServer);
        assert_eq!(plain.retry_after(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(query_value("a=b,c!=d"), "a%3Db%2Cc%21%3Dd");
    }
}
