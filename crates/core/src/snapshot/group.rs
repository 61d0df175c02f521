//! Groups of resource snapshots: a master and the parts that did not fit into it (hub-behaviour 3.7).

use std::sync::Arc;

use crate::effects::Tracked;
use crate::objects::ResourceSnapshot;
use crate::problem::Problem;

/// The snapshots of a master's group: the master, then the others by their position (hub-behaviour 3.7).
///
/// # Errors
/// When the master's annotations cannot be read, or when the group is not complete, which is known to pass.
pub fn members<'a>(
    master: &'a ResourceSnapshot,
    all: &[&'a ResourceSnapshot],
) -> Result<(u64, Vec<&'a ResourceSnapshot>), Problem> {
    let name = &master.meta.name;
    let (Some(index), Some(size)) = (master.index(), master.group_size()) else {
        return Err(Problem::unexpected(format!(
            "The resource snapshot {name:?} has no readable index or group size."
        )));
    };
    let mut others: Vec<_> = all
        .iter()
        .copied()
        .filter(|s| s.meta.name != *name && s.index() == Some(index))
        .filter_map(|s| Some((s.sub_index()?, s)))
        .collect();
    others.sort_by_key(|(sub, _)| *sub);
    if others.len() + 1 < size {
        return Err(Problem::expected(format!(
            "The resource snapshot {name:?} is one of {size}, of which only {} are there yet.",
            others.len() + 1
        )));
    }
    Ok((
        index,
        [master].into_iter().chain(others.into_iter().map(|(_, s)| s)).collect(),
    ))
}

/// The group of an index in the order of its content: the master, then the other parts.
pub fn group(snapshots: &[Tracked<ResourceSnapshot>], index: u64) -> Vec<&Arc<ResourceSnapshot>> {
    let mut group: Vec<_> = snapshots
        .iter()
        .filter_map(Tracked::get)
        .filter(|s| s.index() == Some(index))
        .collect();
    group.sort_by_key(|s| (!s.is_master(), s.sub_index()));
    group
}

/// The latest master: the labelled one with the highest index.
pub fn latest_master(snapshots: &[Tracked<ResourceSnapshot>]) -> Option<&Arc<ResourceSnapshot>> {
    let masters = snapshots
        .iter()
        .filter_map(Tracked::get)
        .filter(|s| s.is_master() && s.is_latest());
    masters.max_by_key(|s| s.index())
}
