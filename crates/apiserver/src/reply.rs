//! Responses: bodies, content negotiation and the writing of statuses.

use crate::status::{ApiError, ApiResult};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::Value;

/// The body of every response. An error in it means that the connection breaks on purpose (faults).
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What the client wants objects to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As they are.
    Object,
    /// As rows for people.
    Table,
    /// Metadata alone.
    Metadata,
}

impl View {
    /// The first representation of the `Accept` header that the server can give.
    pub fn negotiate(headers: &HeaderMap) -> ApiResult<View> {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("*/*");
        let offers = accept.split(',').find_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "*/*" | "application/*" | "") {
                return None;
            }
            let parameters: Vec<&str> = parts.collect();
            match parameters.iter().find_map(|p| p.strip_prefix("as=")) {
                None => Some(View::Object),
                Some("Table") => Some(View::Table),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(View::Metadata),
                Some(_) => None,
            }
        });
        offers.ok_or_else(|| {
            let message =
                "406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch";
            ApiError {
                details: Some(serde_json::json!({})),
                ..ApiError::new(406, "NotAcceptable", message)
            }
        })
    }
}

/// A complete response of JSON bytes.
pub fn json_bytes(code: u16, bytes: impl Into<Bytes>) -> Response<Body> {
    with_type(code, "application/json", bytes)
}

/// A complete response of a JSON value.
pub fn json(code: u16, value: &Value) -> Response<Body> {
    json_bytes(code, serde_json::to_vec(value).unwrap_or_default())
}

/// A complete response of plain text.
pub fn plain(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    with_type(code, "text/plain; charset=utf-8", text)
}

/// A complete response of some content type.
pub fn with_type(code: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// The response of a failure.
pub fn error(error: &ApiError) -> Response<Body> {
    if error.plain {
        return plain(error.code, error.message.clone());
    }
    let mut response = json(error.code, &error.to_status());
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if error.code == 401 {
        let challenge = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Adds a warning that kubectl prints.
pub fn warn(response: &mut Response<Body>, text: &str) {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    if let Ok(value) = header::HeaderValue::from_str(&format!("299 - \"{escaped}\"")) {
        response.headers_mut().append(header::WARNING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_acceptable_representation_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let cases = [
            (kubectl, Some(View::Table)),
            ("application/vnd.kubernetes.protobuf, */*", Some(View::Object)),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some(View::Metadata),
            ),
            ("text/html", None),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(View::negotiate(&headers).ok(), expected, "{accept}");
        }
    }
}
