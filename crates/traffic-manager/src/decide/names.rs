//! Whether a relative DNS name is free.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Decision, Settings};
use crate::arm::{PROFILES, body, checks};
use crate::error::ArmError;
use crate::model::ResourceKey;
use crate::state::State;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Question {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Whether a profile may have a name: nobody else has it, and the zone does not need it for itself.
pub(super) fn is_free(state: &State, settings: &Settings, name: &str, by: &ResourceKey) -> bool {
    let reserved = settings.reserved.contains(&name.to_ascii_lowercase());
    !reserved && state.owner_of(name).is_none_or(|owner| owner == by)
}

pub(super) fn check(state: &State, settings: &Settings, body: Map<String, Value>) -> Result<Decision, ArmError> {
    let question: Question = body::shape(body)?;
    let kind = question.kind.unwrap_or_default();
    if !kind.eq_ignore_ascii_case(&format!("Microsoft.Network/{PROFILES}")) {
        return Err(ArmError::bad_request(format!(
            "The property 'type' must be 'Microsoft.Network/{PROFILES}', but is '{kind}'."
        )));
    }
    let name = question.name.unwrap_or_default();
    let (free, reason, message) = if !checks::is_label(&name) {
        (
            false,
            "Invalid",
            format!("The relative DNS name '{name}' is not valid."),
        )
    } else if state.owner_of(&name).is_some() || settings.reserved.contains(&name.to_ascii_lowercase()) {
        let message = format!("Domain name '{name}.{}' is already in use.", settings.origin);
        (false, "AlreadyExists", message)
    } else {
        (true, "", String::new())
    };
    let mut answer = json!({"name": name, "type": kind, "nameAvailable": free});
    if !free {
        answer["reason"] = json!(reason);
        answer["message"] = json!(message);
    }
    Ok(Decision::only(200, answer))
}
