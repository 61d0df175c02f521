//! Judges which exports of one service are in conflict: writes the condition on each record and notifies the observers.

use std::sync::Arc;

use fairway_core::services::{self, ExportKey, Judged, Plan, Record};
use jiff::Timestamp;
use kit::controller::{Controller, Executed, Series};

use super::records::Records;

/// Works on exported services.
pub(super) struct ServiceController {
    /// The records of all members.
    pub(super) records: Arc<Records>,
    /// Counts.
    pub(super) series: Series,
}

impl Controller for ServiceController {
    type Key = ExportKey;
    type Slice = Vec<Arc<Record>>;
    type Facts = Vec<Judged>;

    const NAME: &'static str = "exported service";
    const COMPONENT: &'static str = "internalserviceexport-controller";

    fn series(&self, _key: &ExportKey) -> Vec<Series> {
        vec![self.series.clone()]
    }

    /// Also of a service without records: who waits for its end is notified as well.
    fn gather(&self, key: &ExportKey, _now: Timestamp) -> Option<Vec<Arc<Record>>> {
        Some(self.records.of(key))
    }

    fn plan(&self, _key: &ExportKey, records: Vec<Arc<Record>>, now: Timestamp) -> Plan {
        services::plan(&records, now)
    }

    fn planned(&self, key: &ExportKey, _plan: &Plan) {
        self.records.notify_changed(key);
    }

    /// A verdict holds once its record says so.
    fn executed(&self, _key: &ExportKey, done: &Executed<'_, Vec<Judged>>) {
        let holds = |judged: &&Judged| !judged.is_written || done.execution.has_written(&judged.record);
        done.plan.facts.iter().filter(holds).for_each(|judged| {
            self.records.observers().each(|observer| {
                observer.judged(&judged.cluster, &judged.key, judged.verdict.clone());
            });
        });
    }
}
