//! Exported services on the hub: the records of what each member exports (InternalServiceExports), and which exports of
//! one service are in conflict (networking 4 and 9.3).
//!
//! It does not matter how a record came about: the members' sessions write records through [`Services`], agents that
//! know no sessions write them themselves. So this runs on the leader whether or not sessions are served.

mod observers;
mod records;
mod resolver;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::Refusal;
use fairway_core::link::inbox::Version;
use fairway_core::services::{ExportChange, ExportKey};
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::index::Index;
use kit::queue::Queue;
use kit::writer::Writer;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::resources::crds::Definition;
pub use observers::Observer;
pub(crate) use records::WRITE_DEADLINE;
pub use records::Written;
use records::{RECORDS, Records};
use resolver::Resolver;

/// The records of all members and the controller that judges them.
pub struct Services {
    records: Arc<Records>,
    queue: Queue<ExportKey>,
    writer: Writer,
    clock: Clock,
}

impl Services {
    /// The controller, which knows nothing until it runs. `traffic_manager` says whether type, weight and public address
    /// of exports are recorded.
    pub fn new(client: Client, traffic_manager: bool, clock: Clock) -> Arc<Self> {
        let queue = Queue::new(Backoff::new(Duration::from_millis(50), Duration::from_secs(30)));
        let writer = Writer::new(client, WRITE_DEADLINE);
        let records = Records::new(writer.clone(), traffic_manager, queue.clone());
        Arc::new(Self {
            records,
            queue,
            writer,
            clock,
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
        self.queue.retry_after_outages_of(self.writer.client()).await;
        let resolver = Resolver::new(Arc::clone(&self.records), self.clock);
        tokio::join!(watch, resolver.run(&self.queue, stop));
    }

    /// Tells somebody from now on what becomes of records, for as long as it lives.
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
            self.queue.add(key.clone());
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
