//! What became of the Works of a binding, and why.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::group::{Found, Group, Groups};
use super::{Input, RenderResult, Rendered, works};
use crate::effects::Write;
use crate::objects::Manifest;
use crate::overrides::{Applicable, Cluster, RuleTrace};
use crate::trace::Bounded;

/// What became of the Works of one binding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The binding.
    pub binding: String,
    /// Its cluster.
    pub cluster: String,
    /// The master resource snapshot that it names.
    pub snapshot: String,
    /// Why not all Works are as they should be; `None` when they are.
    pub problem: Option<String>,
    /// Its Works: those that are written, and those that stay as they are.
    pub works: Bounded<WorkTrace>,
    /// The rules of overrides that change its objects.
    pub rules: Bounded<RuleTrace>,
}

/// What becomes of one Work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkTrace {
    /// Its name.
    pub work: String,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
}

/// What is done to a Work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// It is created.
    Create,
    /// It is changed.
    Update {
        /// The fields that differ, such as `spec.workload`.
        fields: Vec<String>,
    },
    /// Nothing is placed by it any more.
    Delete,
    /// It is as it should be.
    Keep,
    /// It stays as it is because of the binding's problem.
    Stop,
}

impl Trace {
    /// What rendering a binding came to.
    pub fn of(input: &Input<'_>, rendered: &Rendered, groups: &mut Groups<'_>) -> Self {
        let spec = &input.binding.spec;
        let (problem, kept) = match &rendered.result {
            RenderResult::NotOverridden(problem) | RenderResult::NotSynchronized(problem) => (Some(problem), &[][..]),
            RenderResult::Synchronized { works, .. } => (None, works.as_slice()),
            RenderResult::Idle => (None, &[][..]),
        };
        let mut trace = Self {
            binding: input.binding.meta.name.clone(),
            cluster: input.member.name().to_owned(),
            snapshot: spec.resource_snapshot_name.clone(),
            problem: problem.map(|problem| problem.message.clone()),
            works: rendered.writes.iter().map(WorkTrace::of).collect(),
            rules: Bounded::default(),
        };
        let written = |name: &str| rendered.writes.iter().any(|write| write.target().name == name);
        for work in works::live(input.key, input.binding, input.works) {
            let name = &work.meta.name;
            if !written(name) {
                trace.works.push(WorkTrace {
                    work: name.clone(),
                    action: if problem.is_none() || kept.contains(name) {
                        Action::Keep
                    } else {
                        Action::Stop
                    },
                });
            }
        }
        let overrides = Applicable::load(
            &spec.cluster_resource_override_snapshots,
            &spec.resource_override_snapshots,
            input.overrides,
        );
        if let (Ok(overrides), Found::Complete(group)) = (overrides, groups.find(&spec.resource_snapshot_name)) {
            let cluster = Cluster {
                name: input.member.name(),
                labels: &input.member.meta.labels,
            };
            for manifest in manifests(&group) {
                trace.rules.extend(overrides.rules(manifest, cluster));
            }
        }
        trace
    }
}

/// The objects of a group, those in envelopes included.
fn manifests(group: &Group) -> impl Iterator<Item = &Arc<Manifest>> {
    group.parts.iter().flat_map(|part| {
        let wrapped = part.envelopes.iter().flat_map(|(envelope, _)| &envelope.content);
        part.plain.iter().chain(wrapped)
    })
}

impl WorkTrace {
    fn of(write: &Write) -> Self {
        let action = match write {
            Write::Create { .. } => Action::Create,
            Write::MergePatch { body, .. } => Action::Update { fields: fields(body) },
            Write::ReplaceStatus { .. } => Action::Update {
                fields: vec!["status".to_owned()],
            },
            Write::Delete { .. } => Action::Delete,
        };
        Self {
            work: write.target().name.clone(),
            action,
        }
    }
}

/// The fields that a patch changes, two levels deep.
fn fields(body: &Value) -> Vec<String> {
    let top = body.as_object().into_iter().flatten();
    let all = top.flat_map(|(outer, below)| {
        let below = below.as_object().into_iter().flatten();
        below.map(move |(inner, _)| format!("{outer}.{inner}"))
    });
    all.collect()
}
