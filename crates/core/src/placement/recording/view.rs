//! Notes which selectable resources a pass reads.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::select::{Api, ApiKey, ResourceTable, ResourceView, Selectable};

/// Answers like another view, and keeps the answers.
pub(super) struct RecordingView<'a> {
    view: &'a dyn ResourceView,
    table: RefCell<ResourceTable>,
}

impl<'a> RecordingView<'a> {
    pub(super) fn new(view: &'a dyn ResourceView) -> Self {
        Self {
            view,
            table: RefCell::default(),
        }
    }

    /// What was read.
    pub(super) fn into_table(self) -> ResourceTable {
        self.table.into_inner()
    }
}

impl ResourceView for RecordingView<'_> {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api> {
        let api = self.view.resolve(group, version, kind)?;
        self.table.borrow_mut().serve(api.clone(), version);
        Some(api)
    }

    fn get(&self, api: &ApiKey, namespace: Option<&str>, name: &str) -> Option<Arc<Selectable>> {
        let object = self.view.get(api, namespace, name)?;
        self.table.borrow_mut().add(Arc::clone(&object));
        Some(object)
    }

    fn list(&self, api: &ApiKey, namespace: Option<&str>) -> Vec<Arc<Selectable>> {
        let objects = self.view.list(api, namespace);
        let mut table = self.table.borrow_mut();
        objects.iter().for_each(|object| table.add(Arc::clone(object)));
        objects
    }

    fn namespaced(&self) -> Vec<Api> {
        let apis = self.view.namespaced();
        let mut table = self.table.borrow_mut();
        apis.iter().for_each(|api| table.watch(api.clone()));
        apis
    }

    fn unknown_groups(&self) -> BTreeSet<String> {
        let groups = self.view.unknown_groups();
        self.table.borrow_mut().add_unknown_groups(groups.clone());
        groups
    }
}
