//! What is reported of exports for traffic: their public addresses, and whether their Services have endpoints that are
//! ready. Without the traffic manager feature nothing of it is looked up, watched or reported (networking 9.3, 13.2).

mod addresses;
mod cloud;

use std::sync::Arc;
use std::time::Duration;

use api::text::labels::SERVICE_NAME;
use fairway_core::exports::{Decision, ExportView, LinkStep, ServiceView, SliceView, readiness};
use fairway_core::services::ExportKey;
use jiff::Timestamp;
use kit::index::{Index, Scope};
use kit::queue::Queue;
use kit::{ObjectKey, Resource};
use kube::Client;
use tokio_util::sync::CancellationToken;

use addresses::Addresses;
pub use cloud::{Cloud, CloudConfigFile};

const SLICES: Resource = Resource::namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");

/// Label of slices of headless Services.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// The first reports wait so long for slices and cloud: without them they would take back what the hub knows of readiness,
/// or say of an address that it is not known yet.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// What is reported of exports for traffic.
#[derive(Clone)]
pub enum Traffic {
    /// Nothing.
    Off,
    /// Type, weight, readiness, and the public address as this cloud knows it.
    On(Arc<Cloud>),
}

/// Finds out what is reported for traffic.
pub(super) struct Facts {
    addresses: Arc<Addresses>,
    slices: Arc<Index<SliceView>>,
    exports: Arc<Index<ExportView>>,
    queue: Queue<ExportKey>,
}

impl Facts {
    /// What changes brings the export back into `queue`.
    pub(super) fn new(
        cloud: Arc<Cloud>,
        cluster: String,
        exports: Arc<Index<ExportView>>,
        queue: Queue<ExportKey>,
    ) -> Arc<Self> {
        let (known, revisit) = (Arc::clone(&exports), queue.clone());
        let scope = Scope {
            // Headless Services are never exported.
            labels: Some(format!("{SERVICE_NAME},!{HEADLESS}")),
            // A slice may hold a hundred endpoints, of which nothing is kept.
            page: Some(50),
            ..Scope::default()
        };
        let slices = Index::builder(SLICES, |value| Ok(SliceView::from_value(&value)))
            .scope(scope)
            .on_change(move |change| {
                if change.old == change.new {
                    return;
                }
                let namespace = change.key.namespace.clone().unwrap_or_default();
                for slice in change.old.iter().chain(&change.new) {
                    // Most Services are not exported.
                    if known.get(&ObjectKey::namespaced(&namespace, &slice.service)).is_some() {
                        revisit.add(ExportKey {
                            namespace: namespace.clone(),
                            name: slice.service.to_string(),
                        });
                    }
                }
            })
            .build();
        Arc::new(Self {
            addresses: Arc::new(Addresses::new(cloud, cluster, queue.clone())),
            slices,
            exports,
            queue,
        })
    }

    /// Watches slices and looks addresses up until `stop`.
    pub(super) async fn run(&self, client: Client, stop: CancellationToken) {
        // Most members of a large fleet export nothing and need no slices.
        let is_needed = async {
            let mut changes = self.exports.revision();
            while self.exports.is_empty() {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let watch = async {
            if stop.run_until_cancelled(is_needed).await.is_some() {
                self.slices.run(client, stop.clone()).await;
            }
        };
        let late = async {
            // A Service without slices has no event that says so.
            if !self.slices.is_synced() && stop.run_until_cancelled(self.slices.synced()).await.is_some() {
                self.exports
                    .all()
                    .iter()
                    .for_each(|export| self.queue.add(export.key.clone()));
            }
        };
        let look_up = Arc::clone(&self.addresses).run(stop.clone());
        tokio::join!(watch, look_up, late);
    }

    /// Waits until readiness and cloud are known, as far as they can be, for a while at most.
    pub(super) async fn prepared(&self) {
        if self.exports.is_empty() {
            return;
        }
        let mut statuses = self.slices.status_changes();
        let slices = async {
            tokio::select! {
                () = self.slices.synced() => {}
                _ = statuses.wait_for(|status| status.is_blind()) => {
                    tracing::warn!(
                        "It is not reported whether exported Services have ready endpoints: the member does not let \
                         EndpointSlices be watched. Grant get, list and watch of endpointslices (discovery.k8s.io)."
                    );
                }
            }
        };
        let both = async { tokio::join!(slices, self.addresses.cloud().found()) };
        let _ = tokio::time::timeout(KNOWN_WITHIN, both).await;
    }

    /// A decision with what is known for traffic. What is not known yet is looked up, and then the export comes again.
    pub(super) fn add_to(
        &self,
        decision: Decision,
        key: &ExportKey,
        service: Option<&ServiceView>,
        now: Timestamp,
    ) -> Decision {
        match (&decision.link, service) {
            (LinkStep::Report(_), Some(service)) => {
                let address = self.addresses.look_up(key, service, now);
                decision.with_traffic(address, self.readiness(key, service))
            }
            (LinkStep::Keep, _) => decision,
            (LinkStep::Report(_) | LinkStep::Withdraw(_), _) => {
                self.forget(key);
                decision
            }
        }
    }

    /// Nothing more is looked up for an export.
    pub(super) fn forget(&self, key: &ExportKey) {
        self.addresses.forget(key);
    }

    fn readiness(&self, key: &ExportKey, service: &ServiceView) -> Option<bool> {
        if !self.slices.is_synced() {
            return None;
        }
        let all = self.slices.in_namespace(&key.namespace);
        let own = all
            .iter()
            .map(AsRef::as_ref)
            .filter(|slice| *slice.service == *key.name);
        readiness(service, own)
    }
}
