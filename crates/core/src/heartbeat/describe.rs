//! What the status says about the cluster: properties, resources, namespaces, and the conditions about their collection
//! (member-behaviour 3.3, 3.5 to 3.7).

use std::borrow::Cow;

use api::cluster::v1beta1::PropertyValue;
use api::condition;
use api::text::conditions::member as types;
use api::text::reasons::member as reasons;
use api::{Condition, ConditionStatus, Time};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::costs::Costs;
use super::{ConditionValues, Findings, Membership, Namespaces, Notice, put, tree};

/// A fact about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: String,
    /// When it was found out; `None` means just now.
    pub observed: Option<Time>,
}

impl Property {
    /// A fact that was found out just now.
    pub fn new(name: impl Into<Cow<'static, str>>, value: String) -> Self {
        Self {
            name: name.into(),
            value,
            observed: None,
        }
    }
}

/// What became of a property provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// Whether it runs; if not, the built-in facts are reported.
    pub started: Result<(), NotStarted>,
    /// Whether this is the first time, so that an event reports it.
    pub is_new: bool,
    /// The costs, or why there are none; `None` when they are switched off.
    pub costs: Option<Result<Costs, String>>,
}

/// Why a property provider does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// What it needs is not there.
    Failed(String),
    /// It does not know the cluster yet.
    TimedOut,
}

/// Fills in what describes the cluster. What could not be collected stays as it was.
pub(super) fn describe(
    status: &mut Value,
    membership: &Membership,
    findings: &Findings,
    notices: &mut Vec<Notice>,
    now: &Time,
) {
    let Some(status) = status.as_object_mut() else { return };
    if let Some(properties) = &findings.properties {
        status.insert("properties".to_owned(), Value::Object(values(properties, now)));
    }
    if let Some(usage) = &findings.usage {
        status.insert("resourceUsage".to_owned(), tree(usage));
    }
    // Facts that an earlier process collected and this one does not would mislead the scheduler.
    let collected = findings.properties.is_some();
    match &findings.namespaces {
        Some(namespaces) => status.insert("namespaces".to_owned(), tree(&namespaces.owners)),
        None if collected => status.remove("namespaces"),
        None => None,
    };
    let old = status.get("conditions").cloned().unwrap_or_default();
    let old = Vec::<Condition>::deserialize(old).unwrap_or_default();
    let mut conditions = Vec::new();
    for (kind, values) in condition_values(findings) {
        let before = condition::find(&old, kind).cloned();
        let Some(values) = values else {
            conditions.extend(before.filter(|_| !collected));
            continue;
        };
        conditions.extend(before);
        if kind == types::CLUSTER_PROPERTY_PROVIDER_STARTED
            && findings.provider.as_ref().is_some_and(|provider| provider.is_new)
        {
            notices.push(Notice {
                reason: values.1,
                message: values.2.clone(),
                warning: values.0 != ConditionStatus::True,
            });
        }
        put(&mut conditions, membership, kind, values, now);
    }
    if conditions.is_empty() {
        status.remove("conditions");
    } else {
        status.insert("conditions".to_owned(), tree(&conditions));
    }
}

fn values(properties: &[Property], now: &Time) -> Map<String, Value> {
    let value = |property: &Property| PropertyValue {
        value: property.value.clone(),
        observation_time: property.observed.clone().unwrap_or_else(|| now.clone()),
    };
    let entries = properties
        .iter()
        .map(|property| (property.name.to_string(), tree(&value(property))));
    entries.collect()
}

/// All conditions about the collection, in the order in which users see them.
fn condition_values(findings: &Findings) -> [(&'static str, Option<ConditionValues>); 4] {
    let provider = findings.provider.as_ref();
    let running = provider.filter(|provider| provider.started.is_ok());
    let costs = running.and_then(|provider| provider.costs.as_ref());
    [
        (
            types::CLUSTER_PROPERTY_PROVIDER_STARTED,
            provider.map(|provider| started(&provider.started)),
        ),
        (
            types::CLUSTER_PROPERTY_COLLECTION_SUCCEEDED,
            running.filter(|_| findings.properties.is_some()).map(|_| collected()),
        ),
        (
            types::AKS_CLUSTER_COST_PROPERTIES_COLLECTION_SUCCEEDED,
            costs.map(calculated),
        ),
        (
            types::NAMESPACE_COLLECTION_SUCCEEDED,
            findings.namespaces.as_ref().map(listed),
        ),
    ]
}

fn started(outcome: &Result<(), NotStarted>) -> ConditionValues {
    match outcome {
        Ok(()) => yes(reasons::STARTED, "The property provider has started successfully"),
        Err(NotStarted::Failed(why)) => no(
            reasons::FAILED_TO_START,
            format!("Failed to start the property provider: {why}"),
        ),
        Err(NotStarted::TimedOut) => no(
            reasons::TIMED_OUT,
            "The property provider does not start up in time".to_owned(),
        ),
    }
}

fn collected() -> ConditionValues {
    yes(
        reasons::PROPERTIES_COLLECTED,
        "The property provider has returned the latest cluster properties",
    )
}

fn calculated(costs: &Result<Costs, String>) -> ConditionValues {
    match costs {
        Ok(Costs { warning: None, .. }) => yes(
            reasons::COSTS_CALCULATED,
            "All cost properties have been collected successfully",
        ),
        Ok(Costs {
            warning: Some(warning), ..
        }) => (
            ConditionStatus::True,
            reasons::COSTS_CALCULATION_DEGRADED,
            format!("Cost properties are collected in a degraded mode with the following warning(s): [{warning}]"),
        ),
        Err(why) => no(
            reasons::COSTS_CALCULATION_FAILED,
            format!("An error has occurred when collecting cost properties: {why}"),
        ),
    }
}

fn listed(namespaces: &Namespaces) -> ConditionValues {
    if namespaces.is_incomplete {
        let message =
            "Namespaces are collected in a degraded mode since the number of namespaces reaches the track limit";
        return no(reasons::DEGRADED, message.to_owned());
    }
    yes(reasons::SUCCEEDED, "All namespaces have been collected successfully")
}

fn yes(reason: &'static str, message: &str) -> ConditionValues {
    (ConditionStatus::True, reason, message.to_owned())
}

fn no(reason: &'static str, message: String) -> ConditionValues {
    (ConditionStatus::False, reason, message)
}
