//! A profile as the traffic manager holds it, read from its JSON. What is missing in an answer is no error: the value
//! that was sent stands for it (networking 7.5).

use serde_json::{Value, json};

use crate::services::EndpointSettings;

/// Type of all endpoints that are written.
pub(super) const ENDPOINT_TYPE: &str = "Microsoft.Network/trafficManagerProfiles/AzureEndpoints";

/// An endpoint of a profile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint<'a>(&'a Value);

/// The id of a profile.
pub(super) fn id(profile: &Value) -> &str {
    text(profile, "/id")
}

/// The full domain name of a profile.
pub(super) fn fqdn(profile: &Value) -> &str {
    text(profile, "/properties/dnsConfig/fqdn")
}

/// The endpoints of a profile; those without a name are left out.
pub(super) fn endpoints(profile: Option<&Value>) -> impl Iterator<Item = Endpoint<'_>> {
    let list = profile.and_then(|profile| profile.pointer("/properties/endpoints")?.as_array());
    let all = list.into_iter().flatten().map(Endpoint);
    all.filter(|endpoint| !endpoint.name().is_empty())
}

impl<'a> Endpoint<'a> {
    /// Its name as the traffic manager spells it.
    pub(super) fn name(self) -> &'a str {
        text(self.0, "/name")
    }

    /// Whether it has this name, whatever the case.
    pub(super) fn is_named(self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Its id, empty when the traffic manager has not named it.
    pub(super) fn id(self) -> &'a str {
        text(self.0, "/id")
    }

    /// Where it points to.
    pub(super) fn target(self) -> Option<&'a str> {
        self.0.pointer("/properties/target")?.as_str()
    }

    /// Its weight.
    pub(super) fn weight(self) -> Option<i64> {
        self.0.pointer("/properties/weight")?.as_i64()
    }

    /// Its rank.
    pub(super) fn priority(self) -> Option<i64> {
        self.0.pointer("/properties/priority")?.as_i64()
    }

    /// The properties in which it differs from what is wanted; what is missing differs, and what nobody has chosen does not.
    pub(super) fn differences(self, target: &str, weight: i64, settings: &EndpointSettings) -> Vec<&'static str> {
        let same = |pointer, wanted: &str| text(self.0, pointer).eq_ignore_ascii_case(wanted);
        let is_chosen = |location: &String| same_location(location, text(self.0, "/properties/endpointLocation"));
        let properties = [
            ("type", same("/type", ENDPOINT_TYPE)),
            ("targetResourceId", same("/properties/targetResourceId", target)),
            ("weight", self.weight() == Some(weight)),
            (
                "endpointStatus",
                text(self.0, "/properties/endpointStatus") == "Enabled",
            ),
            (
                "priority",
                settings.priority.is_none() || settings.priority.map(i64::from) == self.priority(),
            ),
            ("endpointLocation", settings.location.as_ref().is_none_or(is_chosen)),
        ];
        let different = properties.into_iter().filter(|(_, same)| !same);
        different.map(|(name, _)| name).collect()
    }
}

/// Whether two names mean one region: `West Europe` is `westeurope`.
fn same_location(one: &str, other: &str) -> bool {
    let letters = |name: &str| {
        let compact = name.chars().filter(|c| !c.is_whitespace());
        compact.map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    letters(one) == letters(other)
}

/// A profile after it was written: what was sent, with the ids, names and endpoints of the answer.
pub(super) fn written(sent: &Value, answer: &Value) -> Value {
    let mut profile = sent.clone();
    let known = [
        ("/id", &["id"][..]),
        ("/properties/dnsConfig/fqdn", &["properties", "dnsConfig", "fqdn"]),
        ("/properties/endpoints", &["properties", "endpoints"]),
    ];
    for (pointer, path) in known {
        match answer.pointer(pointer).filter(|value| !value.is_null()) {
            Some(value) => put(&mut profile, path, value.clone()),
            // Neither an id nor a name that was read before counts when the answer leaves it out.
            None if !pointer.ends_with("endpoints") => remove(&mut profile, path),
            None => {}
        }
    }
    profile
}

/// The profile with an endpoint that was written: what was sent, with what only the traffic manager knows.
pub(super) fn put_endpoint(profile: &mut Option<Value>, name: &str, sent: &Value, answer: &Value) {
    let Some(profile) = profile else { return };
    remove_from(profile, name);
    let mut endpoint = sent.clone();
    let known = [
        ("/id", &["id"][..]),
        ("/name", &["name"]),
        ("/properties/target", &["properties", "target"]),
    ];
    for (pointer, path) in known {
        if let Some(value) = answer.pointer(pointer).filter(|value| value.is_string()) {
            put(&mut endpoint, path, value.clone());
        }
    }
    if let Some(priority) = answer.pointer("/properties/priority").filter(|value| value.is_i64()) {
        put(&mut endpoint, &["properties", "priority"], priority.clone());
    }
    match profile.pointer_mut("/properties/endpoints") {
        Some(Value::Array(list)) => list.push(endpoint),
        _ => put(profile, &["properties", "endpoints"], json!([endpoint])),
    }
}

/// The profile without an endpoint.
pub(super) fn remove_endpoint(profile: &mut Option<Value>, name: &str) {
    if let Some(profile) = profile {
        remove_from(profile, name);
    }
}

fn remove_from(profile: &mut Value, name: &str) {
    if let Some(Value::Array(list)) = profile.pointer_mut("/properties/endpoints") {
        list.retain(|endpoint| !Endpoint(endpoint).is_named(name));
    }
}

/// Sets a value below a tree; what lies on the way becomes an object.
pub(super) fn put(tree: &mut Value, path: &[&str], value: Value) {
    let mut here = tree;
    for key in path {
        if !here.is_object() {
            *here = json!({});
        }
        here = &mut here[*key];
    }
    *here = value;
}

/// Removes a value below a tree.
pub(super) fn remove(tree: &mut Value, path: &[&str]) {
    let Some((last, way)) = path.split_last() else { return };
    let mut here = tree;
    for key in way {
        let Some(next) = here.get_mut(*key) else { return };
        here = next;
    }
    if let Some(object) = here.as_object_mut() {
        object.remove(*last);
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
