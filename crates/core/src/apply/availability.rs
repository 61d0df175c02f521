//! Whether an applied object does its job (member-behaviour 5).
//!
//! Only the listed versions of the listed kinds have a rule; everything else is assumed to be available.

use serde_json::Value;

/// Whether one object is available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It does its job.
    Available,
    /// No rule for this kind: assumed to be available.
    NotTrackable,
    /// Its status does not say so yet.
    NotYet,
    /// The check itself failed.
    Failed(String),
    /// It was not checked, because it was not applied.
    Skipped,
}

impl Availability {
    /// Short word for digests and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::NotTrackable => "NotTrackable",
            Self::NotYet => "NotYetAvailable",
            Self::Failed(_) => "Failed",
            Self::Skipped => "Skipped",
        }
    }

    fn when(available: bool) -> Self {
        if available { Self::Available } else { Self::NotYet }
    }
}

/// Judges an object of the given resource by its current content.
pub fn availability(group: &str, version: &str, plural: &str, object: &Value) -> Availability {
    let object = Object(object);
    let found = match (group, version, plural) {
        ("apps", "v1", "deployments") => deployment(object),
        ("apps", "v1", "statefulsets") => stateful_set(object),
        ("apps", "v1", "daemonsets") => daemon_set(object),
        ("", "v1", "services") => service(object),
        ("apiextensions.k8s.io", "v1", "customresourcedefinitions") => crd(object),
        ("policy", "v1", "poddisruptionbudgets") => disruption_budget(object),
        _ if is_data(group, version, plural) => Ok(Availability::Available),
        _ => Ok(Availability::NotTrackable),
    };
    found.unwrap_or_else(Availability::Failed)
}

/// Whether the availability of this resource depends on the object's content, so that its changes matter.
pub fn depends_on_content(group: &str, version: &str, plural: &str) -> bool {
    matches!(
        (group, version, plural),
        ("apps", "v1", "deployments" | "statefulsets" | "daemonsets")
            | ("", "v1", "services")
            | ("apiextensions.k8s.io", "v1", "customresourcedefinitions")
            | ("policy", "v1", "poddisruptionbudgets")
    )
}

type AvailabilityResult = Result<Availability, String>;

fn deployment(object: Object<'_>) -> AvailabilityResult {
    let wanted = object.number_or("/spec/replicas", 1)?;
    let available = object.observed()?
        && object.number("/status/availableReplicas")? == wanted
        && object.number("/status/updatedReplicas")? == wanted
        && object.number("/status/unavailableReplicas")? == 0;
    Ok(Availability::when(available))
}

fn stateful_set(object: Object<'_>) -> AvailabilityResult {
    let wanted = object.number_or("/spec/replicas", 1)?;
    let available = object.observed()?
        && object.number("/status/availableReplicas")? == wanted
        && object.number("/status/currentReplicas")? == object.number("/status/updatedReplicas")?
        && object.text("/status/currentRevision")? == object.text("/status/updateRevision")?;
    Ok(Availability::when(available))
}

fn daemon_set(object: Object<'_>) -> AvailabilityResult {
    let available = object.observed()?
        && object.number("/status/numberAvailable")? == object.number("/status/desiredNumberScheduled")?
        && object.number("/status/currentNumberScheduled")? == object.number("/status/updatedNumberScheduled")?;
    Ok(Availability::when(available))
}

fn service(object: Object<'_>) -> AvailabilityResult {
    match object.text("/spec/type")? {
        "" | "ClusterIP" | "NodePort" => Ok(Availability::when(!object.text("/spec/clusterIPs/0")?.is_empty())),
        "LoadBalancer" => {
            let ip = object.text("/status/loadBalancer/ingress/0/ip")?;
            let host = object.text("/status/loadBalancer/ingress/0/hostname")?;
            Ok(Availability::when(!ip.is_empty() || !host.is_empty()))
        }
        _ => Ok(Availability::NotTrackable),
    }
}

fn crd(object: Object<'_>) -> AvailabilityResult {
    let mut available = true;
    for kind in ["Established", "NamesAccepted"] {
        available &= object
            .condition(kind)?
            .is_some_and(|c| c.get("status").and_then(Value::as_str) == Some("True"));
    }
    Ok(Availability::when(available))
}

fn disruption_budget(object: Object<'_>) -> AvailabilityResult {
    let Some(condition) = object.condition("DisruptionAllowed")? else {
        return Ok(Availability::NotYet);
    };
    let (status, reason) = match object.number("/status/disruptionsAllowed")? {
        allowed if allowed > 0 => ("True", "SufficientPods"),
        _ => ("False", "InsufficientPods"),
    };
    let says = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default();
    Ok(Availability::when(
        object.observed()? && says("status") == status && says("reason") == reason,
    ))
}

/// Kinds that are nothing but data: to exist is to be available.
///
/// A ServiceExport is one of ours and has nothing to wait for; the tutorials' status counts it as available.
fn is_data(group: &str, version: &str, plural: &str) -> bool {
    if group == api::text::groups::NETWORKING && plural == "serviceexports" {
        return true;
    }
    version == "v1"
        && match group {
            "" => matches!(
                plural,
                "namespaces" | "secrets" | "configmaps" | "serviceaccounts" | "limitranges" | "resourcequotas"
            ),
            "rbac.authorization.k8s.io" => {
                matches!(
                    plural,
                    "roles" | "clusterroles" | "rolebindings" | "clusterrolebindings"
                )
            }
            "networking.k8s.io" => matches!(plural, "networkpolicies" | "ingressclasses"),
            "storage.k8s.io" => {
                matches!(
                    plural,
                    "csidrivers" | "csinodes" | "storageclasses" | "csistoragecapacities"
                )
            }
            "apps" => plural == "controllerrevisions",
            "scheduling.k8s.io" => plural == "priorityclasses",
            _ => false,
        }
}

/// Typed access to a tree, where a value of the wrong type is an error and an absent one has a default.
#[derive(Clone, Copy)]
struct Object<'a>(&'a Value);

impl<'a> Object<'a> {
    fn number_or(self, path: &str, default: i64) -> Result<i64, String> {
        match self.0.pointer(path) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_i64()
                .ok_or_else(|| format!("the field {path} is not an integer")),
        }
    }

    fn number(self, path: &str) -> Result<i64, String> {
        self.number_or(path, 0)
    }

    fn text(self, path: &str) -> Result<&'a str, String> {
        match self.0.pointer(path) {
            None | Some(Value::Null) => Ok(""),
            Some(value) => value.as_str().ok_or_else(|| format!("the field {path} is not a text")),
        }
    }

    fn observed(self) -> Result<bool, String> {
        Ok(self.number("/status/observedGeneration")? == self.number("/metadata/generation")?)
    }

    fn condition(self, kind: &str) -> Result<Option<&'a Value>, String> {
        match self.0.pointer("/status/conditions") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => Ok(items
                .iter()
                .find(|c| c.get("type").and_then(Value::as_str) == Some(kind))),
            Some(_) => Err("the field /status/conditions is not a list".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Availability::*, *};
    use serde_json::json;

    fn check(group: &str, plural: &str, cases: Vec<(Value, Availability)>) {
        for (object, wanted) in cases {
            assert_eq!(availability(group, "v1", plural, &object), wanted, "{plural}: {object}");
        }
    }

    #[test]
    fn workloads() {
        let ready = json!({"observedGeneration": 2, "availableReplicas": 3, "updatedReplicas": 3});
        check(
            "apps",
            "deployments",
            vec![
                (
                    json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": ready}),
                    Available,
                ),
                (
                    json!({"metadata": {"generation": 3}, "spec": {"replicas": 3}, "status": ready}),
                    NotYet,
                ),
                (
                    json!({"metadata": {"generation": 2}, "spec": {}, "status": ready}),
                    NotYet,
                ),
                (
                    json!({"metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}),
                    Available,
                ),
                (json!({"metadata": {"generation": 1}, "spec": {"replicas": 1}}), NotYet),
                (
                    json!({"metadata": {"generation": 1}, "spec": {},
                        "status": {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1}}),
                    NotYet,
                ),
                (
                    json!({"metadata": {"generation": 1}, "spec": {"replicas": "x"}}),
                    Failed("the field /spec/replicas is not an integer".into()),
                ),
            ],
        );
        check(
            "apps",
            "statefulsets",
            vec![
                (
                    json!({"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1, "availableReplicas": 1,
                        "currentReplicas": 1, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "a"}}),
                    Available,
                ),
                (
                    json!({"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1, "availableReplicas": 1,
                        "currentReplicas": 1, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}}),
                    NotYet,
                ),
            ],
        );
        check(
            "apps",
            "daemonsets",
            vec![
                (
                    json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}),
                    Available,
                ),
                (
                    json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberAvailable": 1}}),
                    NotYet,
                ),
            ],
        );
    }

    #[test]
    fn services() {
        check(
            "",
            "services",
            vec![
                (json!({"spec": {"clusterIPs": ["10.0.0.1"]}}), Available),
                (json!({"spec": {"type": "NodePort"}}), NotYet),
                (
                    json!({"spec": {"type": "ClusterIP", "clusterIPs": ["None"]}}),
                    Available,
                ),
                (
                    json!({"spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]}}),
                    NotYet,
                ),
                (
                    json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"hostname": "h"}]}}}),
                    Available,
                ),
                (json!({"spec": {"type": "ExternalName"}}), NotTrackable),
            ],
        );
    }

    #[test]
    fn definitions_and_budgets() {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
        check(
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            vec![
                (json!({}), NotYet),
                (
                    json!({"status": {"conditions": [condition("Established", "True")]}}),
                    NotYet,
                ),
                (
                    json!({"status": {"conditions": [condition("NamesAccepted", "True"), condition("Established", "True")]}}),
                    Available,
                ),
            ],
        );
        let budget = |allowed: i64, status: &str, reason: &str| {
            json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "disruptionsAllowed": allowed,
                "conditions": [{"type": "DisruptionAllowed", "status": status, "reason": reason}]}})
        };
        check(
            "policy",
            "poddisruptionbudgets",
            vec![
                (budget(1, "True", "SufficientPods"), Available),
                (budget(0, "False", "InsufficientPods"), Available),
                (budget(0, "True", "SufficientPods"), NotYet),
                (
                    json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}),
                    NotYet,
                ),
            ],
        );
    }

    #[test]
    fn data_and_the_rest() {
        for (group, version, plural, wanted) in [
            ("", "v1", "configmaps", Available),
            ("", "v1", "namespaces", Available),
            ("storage.k8s.io", "v1", "storageclasses", Available),
            ("scheduling.k8s.io", "v1", "priorityclasses", Available),
            ("networking.fleet.azure.com", "v1alpha1", "serviceexports", Available),
            ("batch", "v1", "jobs", NotTrackable),
            ("apps", "v1beta2", "deployments", NotTrackable),
            ("example.com", "v1", "widgets", NotTrackable),
        ] {
            assert_eq!(
                availability(group, version, plural, &json!({})),
                wanted,
                "{group}/{version}/{plural}"
            );
        }
    }
}
