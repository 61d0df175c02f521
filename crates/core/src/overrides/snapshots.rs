//! How the snapshots of an override are kept (hub-behaviour 6.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::kinds;
use api::resource::Resource;
use api::text::{finalizers as fin, labels};
use api::{ByteString, hash, names};
use serde_json::{Value, json};

use super::reading::Reading as _;
use crate::effects::{Plan, Target, Write};
use crate::objects::{Meta, OverrideKind, OverrideSnapshot};
use crate::problem::Problem;

/// Snapshots kept per override.
const HISTORY: usize = 10;

/// An override of either kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Metadata.
    pub meta: Meta,
    /// What it says.
    pub kind: OverrideKind,
    /// The same as it is stored, to be copied into snapshots as it is.
    pub spec: Value,
}

/// Plans the next pass over one override.
///
/// `snapshots` are all snapshots of it; `in_use` are the names of snapshots (in the override's own namespace) that
/// bindings name. Those are never trimmed. Feeding the outcome of a pass back in yields no writes. A snapshot without a
/// readable index is a problem, and then nothing is written.
pub fn plan(over: &Override, snapshots: &[Arc<OverrideSnapshot>], in_use: &BTreeSet<String>) -> Plan {
    let mut plan = Plan::default();
    let steps = if over.meta.is_deleting() {
        Ok(clean_up(over, snapshots))
    } else if names::check_override(&over.meta.name).is_err() {
        // No snapshot can be made; see `references`, which says so.
        Ok(Vec::new())
    } else {
        keep(over, snapshots, in_use)
    };
    match steps {
        Ok(steps) => steps.into_iter().for_each(|step| plan.step(step)),
        Err(problem) => plan.problems.push(problem),
    }
    plan
}

/// The snapshots go first, because nobody else would remove them.
fn clean_up(over: &Override, snapshots: &[Arc<OverrideSnapshot>]) -> Vec<Vec<Write>> {
    if !over.meta.has_finalizer(fin::OVERRIDE) {
        return Vec::new();
    }
    let deletes = snapshots
        .iter()
        .filter(|s| !s.meta.is_deleting())
        .map(|s| delete(over, s))
        .collect();
    let rest: Vec<_> = over.meta.finalizers.iter().filter(|f| *f != fin::OVERRIDE).collect();
    vec![deletes, vec![patch_finalizers(over, json!(rest))]]
}

fn keep(
    over: &Override,
    snapshots: &[Arc<OverrideSnapshot>],
    in_use: &BTreeSet<String>,
) -> Result<Vec<Vec<Write>>, Problem> {
    let mut indexed = snapshots
        .iter()
        .filter(|s| !s.meta.is_deleting())
        .map(|s| Ok((s.index().ok_or_else(|| no_index(s))?, &**s)))
        .collect::<Result<Vec<_>, Problem>>()?;
    indexed.sort_by_key(|(index, _)| *index);

    let mut steps = Vec::new();
    if !over.meta.has_finalizer(fin::OVERRIDE) {
        let all: Vec<_> = over
            .meta
            .finalizers
            .iter()
            .map(String::as_str)
            .chain([fin::OVERRIDE])
            .collect();
        steps.push(vec![patch_finalizers(over, json!(all))]);
    }
    let hash = stored_hash(over)?;
    let newest = indexed.last().copied();
    let unchanged = newest.filter(|(_, snapshot)| snapshot.hash == hash);
    let (latest, mut tidy) = match unchanged {
        Some((index, snapshot)) => (index, relabel(over, snapshot, true).into_iter().collect::<Vec<_>>()),
        None => {
            let index = newest.map_or(0, |(index, _)| index + 1);
            // The new snapshot comes before the old one loses its label, so that the override is never without one.
            steps.push(vec![create(over, index, &hash)]);
            (index, trim(over, &indexed, in_use))
        }
    };
    let trimmed: BTreeSet<&str> = tidy.iter().map(|write| write.target().name.as_str()).collect();
    let older: Vec<_> = indexed
        .iter()
        .filter(|(index, snapshot)| *index != latest && !trimmed.contains(snapshot.meta.name.as_str()))
        .filter_map(|(_, snapshot)| relabel(over, snapshot, false))
        .collect();
    tidy.extend(older);
    steps.push(tidy);
    Ok(steps)
}

/// Deletes the oldest, so that with the new one the history is at its limit again.
fn trim(over: &Override, indexed: &[(u64, &OverrideSnapshot)], in_use: &BTreeSet<String>) -> Vec<Write> {
    let surplus = (indexed.len() + 1).saturating_sub(HISTORY);
    indexed
        .iter()
        .filter(|(_, snapshot)| !in_use.contains(&snapshot.meta.name))
        .take(surplus)
        .map(|(_, snapshot)| delete(over, snapshot))
        .collect()
}

fn create(over: &Override, index: u64, hash: &str) -> Write {
    let name = names::override_snapshot(&over.meta.name, index);
    let kind = pick(
        over,
        kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT,
        kinds::RESOURCE_OVERRIDE_SNAPSHOT,
    );
    let owner = pick(over, kinds::CLUSTER_RESOURCE_OVERRIDE, kinds::RESOURCE_OVERRIDE);
    let mut metadata = json!({
        "name": name,
        "labels": {
            labels::PARENT_OVERRIDE: over.meta.name,
            labels::OVERRIDE_INDEX: index.to_string(),
            labels::IS_LATEST_SNAPSHOT: labels::TRUE,
        },
        "ownerReferences": [{
            "apiVersion": owner.api_version(),
            "kind": owner.kind,
            "name": over.meta.name,
            "uid": over.meta.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    });
    if let Some(namespace) = &over.meta.namespace {
        metadata["namespace"] = json!(namespace);
    }
    let object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "metadata": metadata,
        "spec": { "overrideSpec": over.spec, "overrideHash": hash },
    });
    Write::Create {
        target: Target::new(kind, over.meta.namespace.as_deref(), &name),
        object,
    }
}

fn relabel(over: &Override, snapshot: &OverrideSnapshot, latest: bool) -> Option<Write> {
    if snapshot.is_latest() == latest {
        return None;
    }
    let value = if latest { labels::TRUE } else { labels::FALSE };
    Some(Write::MergePatch {
        target: target(over, snapshot),
        body: json!({ "metadata": { "labels": { labels::IS_LATEST_SNAPSHOT: value } } }),
        status: false,
        resource_version: None,
    })
}

fn delete(over: &Override, snapshot: &OverrideSnapshot) -> Write {
    Write::Delete {
        target: target(over, snapshot),
        uid: Some(snapshot.meta.uid.clone()),
    }
}

fn target(over: &Override, snapshot: &OverrideSnapshot) -> Target {
    let kind = pick(
        over,
        kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT,
        kinds::RESOURCE_OVERRIDE_SNAPSHOT,
    );
    Target::new(kind, over.meta.namespace.as_deref(), &snapshot.meta.name)
}

fn patch_finalizers(over: &Override, finalizers: Value) -> Write {
    let kind = pick(over, kinds::CLUSTER_RESOURCE_OVERRIDE, kinds::RESOURCE_OVERRIDE);
    Write::MergePatch {
        target: Target::new(kind, over.meta.namespace.as_deref(), &over.meta.name),
        body: json!({ "metadata": { "finalizers": finalizers } }),
        status: false,
        // The patch replaces the whole list.
        resource_version: Some(over.meta.resource_version.clone()),
    }
}

fn pick(over: &Override, cluster: Resource, namespaced: Resource) -> Resource {
    match over.kind {
        OverrideKind::Cluster(_) => cluster,
        OverrideKind::Namespaced(_) => namespaced,
    }
}

/// The hash as it is stored: base64 of its hexadecimal text (hub-behaviour 0.6).
fn stored_hash(over: &Override) -> Result<String, Problem> {
    let hash = match &over.kind {
        OverrideKind::Cluster(spec) => hash::cluster_override(spec),
        OverrideKind::Namespaced(spec) => hash::resource_override(spec),
    };
    hash.and_then(|hex| serde_json::from_value(json!(ByteString(hex.into_bytes()))))
        .map_err(|err| Problem::unexpected(format!("The override {:?} cannot be hashed: {err}.", over.meta.name)))
}

fn no_index(snapshot: &OverrideSnapshot) -> Problem {
    Problem::unexpected(format!(
        "The {} {:?} has no readable index.",
        snapshot.kind_name(),
        snapshot.full_name()
    ))
}
