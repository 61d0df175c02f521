//! Hints about endpoints: an addition of Fairway's own traffic manager, which Azure does not have.

use async_trait::async_trait;
use azure_core::Method;
use serde_json::{Value, json};

use super::{Arm, call, unreadable};
use crate::error::Error;
use crate::model::EndpointHint;
use crate::port::EndpointHints;

const PATH: &str = "/fairway/v1/hints";
const WHAT: &str = "take hints about endpoints";

#[async_trait]
impl EndpointHints for Arm {
    async fn hint(&self, hints: &[EndpointHint]) -> Result<Vec<Option<String>>, Error> {
        let mut url = self.base.clone();
        url.set_path(PATH);
        let body = json!({ "hints": hints.iter().map(body).collect::<Vec<_>>() });
        let json = azure_core::to_json(&body).map_err(|err| unreadable(WHAT, &err.to_string()))?;
        let answer = call(&self.pipeline, Method::Post, url, Some(json), WHAT).await?;
        results(&answer, hints.len()).map_err(|cause| unreadable(WHAT, &cause))
    }
}

fn body(hint: &EndpointHint) -> Value {
    let mut body = json!({"endpoint": hint.endpoint});
    match &hint.degraded {
        Some(degraded) => {
            body["state"] = json!("Degraded");
            body["expiresInSeconds"] = json!(degraded.lasts.as_secs());
            body["reason"] = json!(degraded.reason);
        }
        None => body["state"] = json!("Online"),
    }
    body
}

/// Why each hint was refused; nothing for one that was applied.
fn results(body: &[u8], sent: usize) -> Result<Vec<Option<String>>, String> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    let results = body.get("results").and_then(Value::as_array);
    let results = results.ok_or("the answer has no list \"results\"")?;
    if results.len() != sent {
        return Err(format!("the answer has {} results for {sent} hints", results.len()));
    }
    let refusal = |result: &Value| match result.get("result").and_then(Value::as_str) {
        Some("Applied") => None,
        _ => {
            let message = result.get("message").and_then(Value::as_str);
            Some(message.unwrap_or("no reason was given").to_owned())
        }
    };
    Ok(results.iter().map(refusal).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hint_has_a_result() {
        let answer = json!({"results": [
            {"endpoint": "/a", "result": "Applied"},
            {"endpoint": "/b", "result": "Refused", "message": "The endpoint 'b' does not exist."},
            {"endpoint": "/c", "result": "Later"},
        ]});
        let read = |sent| results(answer.to_string().as_bytes(), sent);
        let refused = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(3).unwrap(),
            [
                None,
                refused("The endpoint 'b' does not exist."),
                refused("no reason was given")
            ]
        );
        assert!(read(2).unwrap_err().contains("3 results for 2 hints"));
        for wrong in [&b"{}"[..], b"[", b"{\"results\": 1}"] {
            assert!(results(wrong, 0).is_err());
        }
    }
}
