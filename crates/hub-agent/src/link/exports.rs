//! Carries out the changes of exports: each is recorded as an InternalServiceExport.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_core::link::Refusal;
use fairway_core::link::inbox::{Inbox, Version};
use fairway_core::services::{ExportChange, ExportKey, Exports, record_name};

use super::session::changes::Handler;
use super::states::TopicStates;
use crate::services::{Services, Written};

/// The handler of exports.
pub(super) struct ExportHandler {
    services: Arc<Services>,
}

impl ExportHandler {
    pub(super) fn new(services: Arc<Services>) -> Arc<Self> {
        Arc::new(Self { services })
    }
}

impl Handler for ExportHandler {
    type Topic = Exports;

    fn inbox(states: &mut TopicStates) -> &mut Inbox<Exports> {
        &mut states.exports
    }

    /// Two exports may share the plain name of their records.
    fn serial_key(&self, key: &ExportKey) -> String {
        record_name(key, false)
    }

    fn version(&self, cluster: &str, key: &ExportKey) -> Option<Version> {
        self.services.version(cluster, key)
    }

    fn recorded(&self, cluster: &str) -> BTreeSet<ExportKey> {
        self.services.recorded(cluster)
    }

    async fn write(&self, cluster: &str, key: &ExportKey, change: &ExportChange) -> Result<Written, Refusal> {
        self.services.write(cluster, key, change).await
    }

    async fn remove(&self, cluster: &str, key: &ExportKey) -> Result<(), Refusal> {
        self.services.remove(cluster, key).await
    }
}
