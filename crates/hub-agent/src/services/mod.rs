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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_core::link::Refusal;
use fairway_core::link::inbox::Version;
use fairway_core::services::{ExportChange, ExportKey, Record};
use kit::backoff::Backoff;
use kit::controller::{Environment, Runner, Series, Triggers};
use kit::index::Index;
use kit::writer::Writer;
use tokio_util::sync::CancellationToken;

use crate::resources::crds::{self, Definition};
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
    /// Whether the records' kind is waited for.
    is_kind_missing: AtomicBool,
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
            is_kind_missing: AtomicBool::new(false),
        })
    }

    /// Runs until `stop`. Where the records' kind is not installed it waits for that: `definitions` are those of the hub.
    pub(crate) async fn run_once_installed(&self, definitions: &Index<Definition>, stop: CancellationToken) {
        let kinds = [RECORDS];
        let installed = crds::until_served(definitions, &kinds, |missing| {
            self.is_kind_missing.store(!missing.is_empty(), Ordering::Relaxed);
        });
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

    /// Why the records are not known, and what to do, as a sentence. `None` once they are.
    pub fn trouble(&self) -> Option<String> {
        let index = self.records.index();
        if index.is_synced() {
            return None;
        }
        if self.is_kind_missing.load(Ordering::Relaxed) {
            return Some(format!(
                "The kind {} ({}) is not installed on the hub; apply the networking definitions under deploy/crds, or \
                 set --member-link-bind-address=0 where no services are exported.",
                RECORDS.kind, RECORDS.group
            ));
        }
        index.trouble()
    }

    /// The version of a cluster's record of an export; none when there is no record or it is being deleted.
    pub fn version(&self, cluster: &str, key: &ExportKey) -> Option<Version> {
        self.records.version(cluster, key)
    }

    /// The records of one export, of all clusters.
    pub fn records_of(&self, key: &ExportKey) -> Vec<Arc<Record>> {
        self.records.of(key)
    }

    /// The exports of which there is a record of a cluster, whoever wrote it.
    pub fn exports_of(&self, cluster: &str) -> BTreeSet<ExportKey> {
        self.records.exports_of(cluster)
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

#[cfg(test)]
mod tests {
    use super::*;
    use kit::client::RateLimit;
    use kit::clock::Clock;
    use kit::controller::Reconciles;
    use kit::events;

    use kube::Client;
    use serde_json::json;

    #[tokio::test]
    async fn a_missing_kind_is_named_until_it_is_installed() {
        let never = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>().await
        });
        let writer = Writer::new(Client::new(never, "default"), WRITE_DEADLINE);
        let (recorder, _events) = events::channel(writer.clone(), Clock::System);
        let environment = Environment {
            writer,
            indexes: Arc::default(),
            recorder,
            clock: Clock::System,
            longest_wait: WRITE_DEADLINE,
            repetitions: RateLimit { qps: 1.0, burst: 1 },
        };
        let metrics = Reconciles::register(&kit::metrics::Metrics::new().unwrap(), "test").unwrap();
        let services = Services::new(&environment, metrics.of("export"), false);
        let definitions = crate::resources::crds::index(&Arc::default());
        let mut running = Box::pin(services.run_once_installed(&definitions, CancellationToken::new()));
        assert!(futures::poll!(&mut running).is_pending());
        let trouble = services.trouble().unwrap();
        assert!(
            trouble.contains("InternalServiceExport (networking.fleet.azure.com) is not installed"),
            "{trouble}"
        );
        assert!(trouble.contains("deploy/crds"), "{trouble}");
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "internalserviceexports.networking.fleet.azure.com", "uid": "u", "resourceVersion": "1"},
            "spec": {"group": RECORDS.group, "scope": "Namespaced", "versions": [{"name": "v1alpha1", "served": true}],
                     "names": {"kind": RECORDS.kind, "plural": RECORDS.plural}},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        });
        definitions.fold(definition).unwrap();
        assert!(futures::poll!(&mut running).is_pending());
        let trouble = services.trouble().unwrap();
        assert!(trouble.contains("is not complete yet"), "{trouble}");
    }
}
