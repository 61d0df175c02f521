//! Stage 2: policy snapshots and resource snapshots (hub-behaviour 3.3 to 3.7, 4.1).

mod group;
mod policy;
mod resources;
mod split;
mod stage;
mod trace;

use std::collections::BTreeMap;

use api::text::labels;

pub use group::{group, latest_master, members};
pub use policy::{PolicyInput, current_policy, policy};
pub use resources::{ResourcesInput, ResourcesResult, resources};
pub use split::{SPLIT_LIMIT, content_hash, split};
pub use stage::{Held, Settings, take};
pub use trace::Trace;

use crate::effects::{Tracked, Versioned};
use crate::objects::Meta;

/// Metadata of a new snapshot.
fn new_meta(parent: &Meta, name: String) -> Meta {
    let labels = [(labels::PARENT_PLACEMENT.to_owned(), parent.name.clone())];
    Meta {
        name,
        namespace: parent.namespace.clone(),
        labels: BTreeMap::from(labels),
        ..Meta::default()
    }
}

/// Sets the label that marks the latest snapshot, unless it says so already.
fn mark_latest<T: Versioned>(snapshot: &mut Tracked<T>, latest: bool) {
    let value = if latest { labels::TRUE } else { labels::FALSE };
    if snapshot
        .get()
        .is_some_and(|s| s.meta().label(labels::IS_LATEST_SNAPSHOT) != Some(value))
    {
        snapshot.edit(|s| {
            s.meta_mut()
                .labels
                .insert(labels::IS_LATEST_SNAPSHOT.to_owned(), value.to_owned());
        });
    }
}

/// Sets an annotation, unless it has the value already.
fn annotate<T: Versioned>(snapshot: &mut Tracked<T>, key: &str, value: &str) {
    if snapshot.get().is_some_and(|s| s.meta().annotation(key) != Some(value)) {
        snapshot.edit(|s| {
            s.meta_mut().annotations.insert(key.to_owned(), value.to_owned());
        });
    }
}

#[cfg(test)]
mod tests;
