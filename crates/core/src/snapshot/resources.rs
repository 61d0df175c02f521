//! The resource snapshots that hold what is rolled out (hub-behaviour 3.3 to 3.7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::names;
use api::text::{annotations, labels};
use jiff::{SignedDuration, Timestamp};

use super::{SPLIT_LIMIT, annotate, content_hash, mark_latest, new_meta, split};
use crate::effects::Tracked;
use crate::objects::{Manifest, Meta, ResourceSnapshot};
use crate::problem::Problem;

/// What resource snapshots are made from.
#[derive(Clone, Copy)]
pub struct ResourcesInput<'a> {
    /// Metadata of the placement.
    pub placement: &'a Meta,
    /// The selection, in order.
    pub manifests: &'a [Arc<Manifest>],
    /// Number of envelopes in the selection.
    pub envelopes: usize,
    /// Groups to keep.
    pub limit: usize,
    /// How long changes are collected before a snapshot is made.
    pub collection: Duration,
    /// Least time between two snapshots.
    pub minimum_interval: Duration,
    /// The current time.
    pub now: Timestamp,
}

/// The state of the resource snapshots after the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcesResult {
    /// Index of the latest group.
    pub index: u64,
    /// How long the current content still waits for a snapshot of its own; `None` when the latest group holds it.
    pub wait: Option<Duration>,
}

/// Brings the resource snapshots in line with the selection.
///
/// # Errors
/// An unexpected problem when a snapshot has no index or the latest group has no master.
pub fn resources(
    snapshots: &mut Vec<Tracked<ResourceSnapshot>>,
    input: &ResourcesInput<'_>,
) -> Result<ResourcesResult, Problem> {
    let groups = groups(snapshots)?;
    let hash = content_hash(input.manifests);
    let Some((index, master)) = latest(snapshots, &groups)? else {
        create(snapshots, input, 0, &hash);
        return Ok(ResourcesResult { index: 0, wait: None });
    };
    if snapshots[master].get().and_then(|s| s.group_hash()) == Some(hash.as_str()) {
        keep(snapshots, input, &groups, index, master, &hash);
        return Ok(ResourcesResult { index, wait: None });
    }
    if snapshots[master].get().is_some_and(|s| s.is_latest()) {
        if let Some(wait) = delay(&mut snapshots[master], input) {
            return Ok(ResourcesResult {
                index,
                wait: Some(wait),
            });
        }
        mark_latest(&mut snapshots[master], false);
    }
    unmark_others(snapshots, master);
    trim(snapshots, &groups, input.limit);
    let next = groups.keys().next_back().map_or(0, |highest| highest + 1);
    create(snapshots, input, next, &hash);
    Ok(ResourcesResult {
        index: next,
        wait: None,
    })
}

type Groups = BTreeMap<u64, Vec<usize>>;

/// Positions in the list by group index.
fn groups(snapshots: &[Tracked<ResourceSnapshot>]) -> Result<Groups, Problem> {
    let mut groups = Groups::new();
    for (position, snapshot) in snapshots.iter().enumerate() {
        let Some(snapshot) = snapshot.get() else { continue };
        let index = snapshot.index().ok_or_else(|| {
            Problem::unexpected(format!(
                "The resource snapshot {} has no valid index label.",
                snapshot.meta.name
            ))
        })?;
        groups.entry(index).or_default().push(position);
    }
    Ok(groups)
}

/// The latest group and its master: the labelled one, or else the one with the highest index.
fn latest(snapshots: &[Tracked<ResourceSnapshot>], groups: &Groups) -> Result<Option<(u64, usize)>, Problem> {
    let master = |positions: &[usize]| {
        positions
            .iter()
            .copied()
            .find(|position| snapshots[*position].get().is_some_and(|s| s.is_master()))
    };
    let labelled = groups.iter().rev().find_map(|(index, positions)| {
        let master = master(positions)?;
        snapshots[master]
            .get()
            .is_some_and(|s| s.is_latest())
            .then_some((*index, master))
    });
    if labelled.is_some() {
        return Ok(labelled);
    }
    let Some((index, positions)) = groups.iter().next_back() else {
        return Ok(None);
    };
    match master(positions) {
        Some(master) => Ok(Some((*index, master))),
        None => Err(Problem::unexpected(format!(
            "The group of resource snapshots with index {index} has no master."
        ))),
    }
}

/// The latest group holds the content already: repairs what a crash may have left unfinished.
fn keep(
    snapshots: &mut Vec<Tracked<ResourceSnapshot>>,
    input: &ResourcesInput<'_>,
    groups: &Groups,
    index: u64,
    master: usize,
    hash: &str,
) {
    mark_latest(&mut snapshots[master], true);
    unmark_others(snapshots, master);
    let key = annotations::NEXT_SNAPSHOT_DETECTION_TIME;
    if snapshots[master]
        .get()
        .is_some_and(|s| s.meta.annotation(key).is_some())
    {
        // The content went back to what it was; the next change starts a collection window of its own.
        snapshots[master].edit(|s| drop(s.meta.annotations.remove(key)));
    }
    let present = groups.get(&index).map_or(0, Vec::len);
    let expected = snapshots[master].get().and_then(|s| s.group_size()).unwrap_or(1);
    if present < expected {
        create(snapshots, input, index, hash);
    }
}

fn unmark_others(snapshots: &mut [Tracked<ResourceSnapshot>], master: usize) {
    for (position, snapshot) in snapshots.iter_mut().enumerate() {
        if position != master && snapshot.get().is_some_and(|s| s.is_latest()) {
            mark_latest(snapshot, false);
        }
    }
}

/// How long new content has to wait (hub-behaviour 3.4); stamps the time at which it was first seen.
fn delay(master: &mut Tracked<ResourceSnapshot>, input: &ResourcesInput<'_>) -> Option<Duration> {
    if input.collection.is_zero() && input.minimum_interval.is_zero() {
        return None;
    }
    let seen = master.get().and_then(|s| s.detection_time());
    let created = master.get().and_then(|s| s.meta.created).unwrap_or(input.now);
    let now = Timestamp::from_second(input.now.as_second()).unwrap_or(input.now);
    let due = later(seen.unwrap_or(now), input.collection).max(later(created, input.minimum_interval));
    if due <= input.now {
        return None;
    }
    if seen.is_none() {
        annotate(master, annotations::NEXT_SNAPSHOT_DETECTION_TIME, &now.to_string());
    }
    Duration::try_from(input.now.duration_until(due)).ok()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Deletes old groups, so that with the one about to be made `limit` remain (hub-behaviour 3.6).
fn trim(snapshots: &mut [Tracked<ResourceSnapshot>], groups: &Groups, limit: usize) {
    if groups.values().map(Vec::len).sum::<usize>() < limit {
        return;
    }
    for positions in groups.values().rev().skip(limit.saturating_sub(1)) {
        for position in positions {
            snapshots[*position].delete();
        }
    }
}

/// Creates the snapshots of a group that are not there yet, wherever in the group they are missing; part 0 is the master.
fn create(snapshots: &mut Vec<Tracked<ResourceSnapshot>>, input: &ResourcesInput<'_>, index: u64, hash: &str) {
    let known: BTreeSet<String> = snapshots
        .iter()
        .filter_map(Tracked::get)
        .map(|s| s.meta.name.clone())
        .collect();
    let parts = split(input.manifests, SPLIT_LIMIT);
    let size = parts.len();
    for (number, manifests) in (0_u64..).zip(parts) {
        let mut meta = match number.checked_sub(1) {
            None => master_meta(input, index, hash, size),
            Some(sub) => {
                let mut meta = new_meta(input.placement, names::sub_snapshot(&input.placement.name, index, sub));
                meta.annotations
                    .insert(annotations::SNAPSHOT_SUBINDEX.to_owned(), sub.to_string());
                meta
            }
        };
        if known.contains(&meta.name) {
            continue;
        }
        meta.labels.insert(labels::RESOURCE_INDEX.to_owned(), index.to_string());
        snapshots.push(Tracked::created(ResourceSnapshot { meta, manifests }));
    }
}

fn master_meta(input: &ResourcesInput<'_>, index: u64, hash: &str, size: usize) -> Meta {
    let mut meta = new_meta(input.placement, names::master_snapshot(&input.placement.name, index));
    meta.labels
        .insert(labels::IS_LATEST_SNAPSHOT.to_owned(), labels::TRUE.to_owned());
    for (key, value) in [
        (annotations::RESOURCE_HASH, hash.to_owned()),
        (annotations::NUMBER_OF_SNAPSHOTS, size.to_string()),
        (annotations::NUMBER_OF_ENVELOPES, input.envelopes.to_string()),
    ] {
        meta.annotations.insert(key.to_owned(), value);
    }
    meta
}
