//! Exported services on the hub: the records of what each member exports (InternalServiceExports), and which exports of
//! one service are in conflict (networking 4 and 9.3).
//!
//! It does not matter how a record came about: the members' sessions write records through [`Services`], agents that
//! know no sessions write them themselves. The controller judges them all, so it runs on the leader whether or not
//! sessions are served.

mod controller;
mod observers;
mod records;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::Refusal;
use fairway_core::link::inbox::Version;
use fairway_core::services::{ExportChange, ExportKey};
use kit::backoff::Backoff;
use kit::controller::{Environment, Runner, Series, Triggers};
use kit::index::Index;
use kit::writer::Writer;
use tokio_util::sync::CancellationToken;

use crate::resources::crds::Definition;
use controller::ServiceController;
pub use observers::Observer;
pub(crate) use records::WRITE_DEADLINE;
pub use records::Written;
use records::{RECORDS, Records};

/// Services that are judged at a time.
const WORKERS: usize = 4;

/// The records of all members and the controller that judges them.
pub struct Services {
    records: Arc<Records>,
    triggers: Triggers<ExportKey>,
    runner: Arc<Runner<ServiceController>>,
    writer: Writer,
}

impl Services {
    /// The controller, whose indexes are empty until it runs. `traffic_manager` says whether type, weight and public address
    /// of exports are recorded.
    pub fn new(environment: &Environment, series: Series, traffic_manager: bool) -> Arc<Self> {
        let environment = Environment {
            writer: environment.writer.within(WRITE_DEADLINE),
            ..environment.clone()
        };
        let triggers = Triggers::new(Backoff::new(Duration::from_millis(50), Duration::from_secs(30)));
        let records = Records::new(environment.writer.clone(), traffic_manager, &triggers);
        environment.indexes.add(Arc::clone(&records) as _);
        series.announce(WORKERS);
        let controller = ServiceController {
            records: Arc::clone(&records),
            series,
        };
        Arc::new(Self {
            records,
            runner: Runner::new(controller, triggers.clone(), &environment),
            triggers,
            writer: environment.writer,
        })
    }

    /// Runs until `stop`. Where the records' kind is not installed it waits for that: `definitions` are those of the hub.
    pub(crate) async fn run_once_installed(&self, definitions: &Index<Definition>, stop: CancellationToken) {
        let mut changes = definitions.revision();
        let installed = async {
            loop {
                changes.borrow_and_update();
                let is_records = |definition: &Arc<Definition>| {
                    definition.established && definition.group == RECORDS.group && definition.kind == RECORDS.kind
                };
                if definitions.all().iter().any(is_records) {
                    return;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        if stop.run_until_cancelled(installed).await.is_some() {
            self.run(stop).await;
        }
    }

    /// Follows the records and judges them until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let index = Arc::clone(self.records.index());
        let watch = index.run(self.writer.client().clone(), stop.clone());
        let judge = async {
            self.triggers.queue().retry_after_outages_of(self.writer.client()).await;
            // A verdict compares all records of a service, so none is given before they are known.
            if stop.run_until_cancelled(self.synced()).await.is_some() {
                Arc::clone(&self.runner).run(WORKERS, stop.clone()).await;
            }
        };
        tokio::join!(watch, judge);
    }

    /// Notifies an observer from now on of what becomes of records, for as long as it lives.
    pub fn observe(&self, observer: &Arc<impl Observer + 'static>) {
        self.records.observers().add(observer);
    }

    /// Waits until the records are known.
    pub async fn synced(&self) {
        self.records.index().synced().await;
    }

    /// The version of a cluster's record of an export; none when there is no record or it is being deleted.
    pub fn version(&self, cluster: &str, key: &ExportKey) -> Option<Version> {
        self.records.version(cluster, key)
    }

    /// The exports of a cluster that the hub agent itself recorded.
    pub fn recorded(&self, cluster: &str) -> BTreeSet<ExportKey> {
        self.records.recorded(cluster)
    }

    /// Carries out one change of a cluster. Changes whose records could share a name
    /// ([`fairway_core::services::record_name`]) must not be carried out side by side. The record is judged again either
    /// way: a member that reports again may have missed the verdict.
    ///
    /// # Errors
    /// Why it is not carried out.
    pub async fn write(&self, cluster: &str, key: &ExportKey, change: &ExportChange) -> Result<Written, Refusal> {
        let written = self.records.write(cluster, key, change).await?;
        if !written.changed {
            self.triggers.add(key.clone());
        }
        Ok(written)
    }

    /// Deletes what the hub agent recorded of an export that a full sync no longer mentions.
    ///
    /// # Errors
    /// Why that is not done.
    pub async fn remove(&self, cluster: &str, key: &ExportKey) -> Result<(), Refusal> {
        self.records.remove(cluster, key).await
    }
}
