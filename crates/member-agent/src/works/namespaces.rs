//! Works whose objects wait for a namespace that another Work brings.
//!
//! An envelope is a Work of its own, so its objects may be tried before their namespace is there. The pass that brings
//! the namespace enqueues those Works; none has to wait for a periodic pass.

use std::collections::{BTreeMap, BTreeSet};

use api::kinds;
use fairway_core::apply::Entry;
use parking_lot::Mutex;

/// Who waits for which namespace.
#[derive(Default)]
pub(super) struct Waiting {
    works: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Waiting {
    /// Notes that a Work waits for these namespaces, and for no others.
    pub(super) fn set(&self, work: &str, namespaces: &BTreeSet<String>) {
        let mut works = self.works.lock();
        works.retain(|_, waiting| {
            waiting.remove(work);
            !waiting.is_empty()
        });
        for namespace in namespaces {
            works.entry(namespace.clone()).or_default().insert(work.to_owned());
        }
    }

    /// The Works that waited for these namespaces; they wait no longer.
    pub(super) fn take(&self, namespaces: &BTreeSet<String>) -> BTreeSet<String> {
        let mut works = self.works.lock();
        namespaces
            .iter()
            .filter_map(|namespace| works.remove(namespace))
            .flatten()
            .collect()
    }
}

/// The namespaces whose absence made objects of a pass fail.
pub(super) fn missing(entries: &[Entry]) -> BTreeSet<String> {
    let failed = entries.iter().filter(|entry| entry.outcome.lacks_namespace);
    failed.map(|entry| entry.identifier.namespace.clone()).collect()
}

/// The namespaces that a pass brought.
pub(super) fn brought(entries: &[Entry]) -> BTreeSet<String> {
    let applied = entries.iter().filter(|entry| entry.outcome.result.is_applied());
    applied
        .filter(|entry| entry.identifier.group.is_empty() && entry.identifier.kind == kinds::NAMESPACE.kind)
        .map(|entry| entry.identifier.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn those_who_wait_are_woken_once() {
        let waiting = Waiting::default();
        waiting.set("envelope", &names(&["app", "db"]));
        waiting.set("other", &names(&["app"]));
        assert_eq!(waiting.take(&names(&["app"])), names(&["envelope", "other"]));
        assert_eq!(waiting.take(&names(&["app"])), names(&[]));
        waiting.set("envelope", &names(&[]));
        assert_eq!(
            waiting.take(&names(&["db"])),
            names(&[]),
            "a pass that misses nothing waits for nothing"
        );
    }
}
