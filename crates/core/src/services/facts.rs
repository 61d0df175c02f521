//! What a record says beside its spec, whose fields are those of the contract: annotations, which other agents ignore.

use std::fmt;

use api::text::annotations::{ENDPOINT_LOCATION, ENDPOINT_PRIORITY, EXPORT_LOOKUP_ERROR, EXPORT_READY};
use serde_json::{Map, Value, json};

use super::{EndpointSettings, ExportReport, PublicIpState};

/// Longest text of an error in characters: it comes from a member, and records are bounded.
const LONGEST: usize = 200;

/// Facts about an exported Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the Service has an endpoint that is ready; `None` where that is not known.
    pub is_ready: Option<bool>,
    /// Why the member could not look the public address up.
    pub lookup_error: Option<Box<str>>,
    /// What users choose of the endpoint.
    pub endpoint: EndpointSettings,
}

impl Facts {
    /// Reads them from a record. A value that is none is as good as absent.
    pub fn of_object(object: &Value) -> Self {
        let text = |key| object.get("metadata")?.get("annotations")?.get(key)?.as_str();
        let one = |only| EndpointSettings::of(|key| text(key).filter(|_| key == only)).unwrap_or_default();
        Self {
            endpoint: one(ENDPOINT_PRIORITY).or(&one(ENDPOINT_LOCATION)),
            is_ready: text(EXPORT_READY).and_then(|ready| ready.parse().ok()),
            lookup_error: text(EXPORT_LOOKUP_ERROR)
                .filter(|error| !error.is_empty())
                .map(Into::into),
        }
    }

    /// Those of a report. `before` are the recorded ones while they are about the same address: an error stays until the
    /// lookup that is under way is over.
    pub(super) fn of_report(report: &ExportReport, before: Option<&Self>) -> Self {
        let ip = &report.public_ip;
        let lookup_error = match ip.state {
            PublicIpState::LookupFailed => ip.error.as_ref().map(|error| bounded(&error.to_string())),
            PublicIpState::LookupPending => before.and_then(|before| before.lookup_error.clone()),
            PublicIpState::NotApplicable
            | PublicIpState::PendingIngress
            | PublicIpState::NotFound
            | PublicIpState::Found => None,
        };
        Self {
            is_ready: report.is_ready,
            lookup_error,
            endpoint: report.endpoint.clone(),
        }
    }

    /// Writes them into a record; what is not known leaves no trace.
    pub(super) fn write(&self, object: &mut Value) {
        let mut annotations = Map::new();
        if let Some(is_ready) = self.is_ready {
            annotations.insert(EXPORT_READY.to_owned(), json!(is_ready.to_string()));
        }
        if let Some(error) = &self.lookup_error {
            annotations.insert(EXPORT_LOOKUP_ERROR.to_owned(), json!(error));
        }
        if let Some(priority) = self.endpoint.priority {
            annotations.insert(ENDPOINT_PRIORITY.to_owned(), json!(priority.to_string()));
        }
        if let Some(location) = &self.endpoint.location {
            annotations.insert(ENDPOINT_LOCATION.to_owned(), json!(location));
        }
        if !annotations.is_empty() {
            object["metadata"]["annotations"] = Value::Object(annotations);
        }
    }

    /// The facts that an answer to an apply holds and that were not applied, as the annotations of a merge patch that
    /// removes them.
    pub(super) fn surplus(applied: &Value, answer: &Value) -> Map<String, Value> {
        let has = |object: &Value, key: &str| {
            let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
            annotations.is_some_and(|all| all.get(key).is_some())
        };
        [EXPORT_READY, EXPORT_LOOKUP_ERROR, ENDPOINT_PRIORITY, ENDPOINT_LOCATION]
            .into_iter()
            .filter(|key| has(answer, key) && !has(applied, key))
            .map(|key| (key.to_owned(), Value::Null))
            .collect()
    }
}

/// All of them as a text that differs where they do; empty when nothing is known.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(is_ready) = self.is_ready {
            write!(f, " ready={is_ready}")?;
        }
        if let Some(error) = &self.lookup_error {
            write!(f, " lookup-error={error:?}")?;
        }
        if let Some(priority) = self.endpoint.priority {
            write!(f, " priority={priority}")?;
        }
        match &self.endpoint.location {
            Some(location) => write!(f, " location={location:?}"),
            None => Ok(()),
        }
    }
}

fn bounded(text: &str) -> Box<str> {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST).collect::<String>().trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{LookupError, PublicIp, ServiceRef};

    fn report(state: PublicIpState, error: Option<LookupError>, is_ready: Option<bool>) -> ExportReport {
        ExportReport {
            service: ServiceRef::default(),
            exported_since: None,
            ports: Vec::new(),
            service_type: "LoadBalancer".into(),
            weight: None,
            internal_load_balancer: false,
            public_ip: PublicIp {
                state,
                error,
                ..PublicIp::default()
            },
            is_ready,
            endpoint: EndpointSettings::default(),
        }
    }

    fn forbidden() -> Option<LookupError> {
        Some(LookupError {
            status: Some(403),
            code: "AuthorizationFailed".into(),
            ..LookupError::default()
        })
    }

    #[test]
    fn each_state_of_a_lookup() {
        let recorded = Facts {
            lookup_error: Some("503".into()),
            ..Facts::default()
        };
        let table = [
            (PublicIpState::LookupFailed, Some("403 AuthorizationFailed")),
            (PublicIpState::LookupPending, Some("503")),
            (PublicIpState::Found, None),
            (PublicIpState::NotFound, None),
            (PublicIpState::PendingIngress, None),
            (PublicIpState::NotApplicable, None),
        ];
        for (state, expected) in table {
            let facts = Facts::of_report(&report(state, forbidden(), None), Some(&recorded));
            assert_eq!(facts.lookup_error.as_deref(), expected, "{state:?}");
        }
        let pending = report(PublicIpState::LookupPending, None, None);
        assert_eq!(Facts::of_report(&pending, None), Facts::default(), "of another address");
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_known_leaves_no_trace() {
        for is_ready in [None, Some(true), Some(false)] {
            for error in [None, forbidden()] {
                let facts = Facts::of_report(&report(PublicIpState::LookupFailed, error, is_ready), None);
                let mut object = json!({"metadata": {"name": "web"}});
                facts.write(&mut object);
                assert_eq!(Facts::of_object(&object), facts);
                let is_bare = facts == Facts::default();
                assert_eq!(object["metadata"].get("annotations").is_none(), is_bare, "{object}");
                assert_eq!(facts.to_string().is_empty(), is_bare);
            }
        }
        let odd = json!({"metadata": {"annotations": {EXPORT_READY: "yes", EXPORT_LOOKUP_ERROR: "", ENDPOINT_PRIORITY: "0"}}});
        assert_eq!(Facts::of_object(&odd), Facts::default());
    }

    #[test]
    fn what_users_choose_of_an_endpoint_is_written_and_taken_away() {
        let endpoint = EndpointSettings {
            priority: Some(3),
            location: Some("West Europe".to_owned()),
        };
        let chosen = ExportReport {
            endpoint: endpoint.clone(),
            ..report(PublicIpState::Found, None, None)
        };
        let facts = Facts::of_report(&chosen, None);
        let mut object = json!({"metadata": {"name": "web"}});
        facts.write(&mut object);
        assert_eq!(Facts::of_object(&object).endpoint, endpoint);
        assert_eq!(facts.to_string(), " priority=3 location=\"West Europe\"");
        let gone = Facts::surplus(&json!({"metadata": {}}), &object);
        assert_eq!(gone.keys().collect::<Vec<_>>(), [ENDPOINT_LOCATION, ENDPOINT_PRIORITY]);
        // A wrong value of one does not hide the other.
        object["metadata"]["annotations"][ENDPOINT_PRIORITY] = json!("0");
        let read = Facts::of_object(&object).endpoint;
        assert_eq!((read.priority, read.location.as_deref()), (None, Some("West Europe")));
    }

    #[test]
    fn a_text_of_a_member_is_bounded() {
        let long = LookupError {
            message: format!("a\nb{}", "é".repeat(1000)),
            ..LookupError::default()
        };
        let facts = Facts::of_report(&report(PublicIpState::LookupFailed, Some(long), None), None);
        let error = facts.lookup_error.unwrap();
        assert_eq!(error.chars().count(), LONGEST);
        assert!(error.starts_with("a bé"), "{error}");
    }
}
