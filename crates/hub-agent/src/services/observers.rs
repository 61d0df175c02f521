//! Observers of what becomes of records.

use std::sync::{Arc, Weak};

use fairway_core::link::inbox::Version;
use fairway_core::services::{ExportKey, Verdict};
use parking_lot::Mutex;

/// Is notified of what becomes of records.
pub trait Observer: Send + Sync {
    /// The record of an export of a cluster was judged.
    fn judged(&self, cluster: &str, key: &ExportKey, verdict: Verdict);
    /// The record of an export of a cluster may have changed; `version` is that of the record as it is now, none when
    /// there is no record or it is being deleted.
    fn changed(&self, cluster: &str, key: &ExportKey, version: Option<&Version>);
}

/// The observers. They are not kept alive.
#[derive(Default)]
pub(super) struct Observers(Mutex<Vec<Weak<dyn Observer>>>);

impl Observers {
    pub(super) fn add(&self, observer: &Arc<impl Observer + 'static>) {
        let weak = Arc::downgrade(observer);
        self.0.lock().push(weak);
    }

    pub(super) fn each(&self, notify: impl Fn(&dyn Observer)) {
        let mut observers = Vec::new();
        self.0.lock().retain(|observer| {
            let alive = observer.upgrade();
            let keep = alive.is_some();
            observers.extend(alive);
            keep
        });
        observers.iter().for_each(|observer| notify(observer.as_ref()));
    }
}
