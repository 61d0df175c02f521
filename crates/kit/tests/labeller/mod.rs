//! A whole controller: it labels ConfigMaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairway_core::effects::{Event, Plan, Target, Write};
use jiff::Timestamp;
use kit::controller::{Controller, Environment, Runner, Series, Triggers};
use kit::index::Index;
use kit::{ObjectKey, Resource};
use serde_json::{Value, json};

pub const CONFIG_MAPS: Resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");

pub struct Labeller {
    pub index: Arc<Index<Value>>,
    pub series: Series,
    pub passes: Arc<AtomicUsize>,
}

impl Controller for Labeller {
    type Key = ObjectKey;
    type Slice = Arc<Value>;
    type Facts = ();
    const NAME: &'static str = "labeller";

    fn series(&self, _: &ObjectKey) -> Vec<Series> {
        vec![self.series.clone()]
    }

    fn gather(&self, key: &ObjectKey, _: Timestamp) -> Option<Arc<Value>> {
        self.index.get(key)
    }

    fn plan(&self, key: &ObjectKey, object: Arc<Value>, _: Timestamp) -> Plan {
        let passes = self.passes.fetch_add(1, Ordering::SeqCst);
        assert!(object["data"]["panics"] != "yes" || passes > 1, "it cannot be planned yet");
        let mut plan = Plan::default();
        if object["metadata"]["labels"]["seen"] != "true" {
            let target = Target::new(CONFIG_MAPS, key.namespace.as_deref(), &key.name);
            let body = json!({"metadata": {"labels": {"seen": "true"}}});
            plan.events.push(Event::normal(target.clone(), &object, "Labelled", "The ConfigMap has a label."));
            plan.step([Write::MergePatch { target, body, status: false, resource_version: None }]);
        }
        plan
    }
}

pub fn watch(triggers: &Triggers<ObjectKey>) -> Arc<Index<Value>> {
    let triggers = triggers.clone();
    let is_of_a_user = |object: &Value| object["metadata"]["name"] != "kube-root-ca.crt";
    Index::builder(CONFIG_MAPS, move |object| Ok(Some(object).filter(is_of_a_user)))
        .on_change(move |change| triggers.changed(&CONFIG_MAPS, change, [change.key.clone()]))
        .build()
}

pub fn start(controller: Labeller, triggers: Triggers<ObjectKey>, shared: &Environment) -> Arc<Runner<Labeller>> {
    shared.indexes.add(Arc::clone(&controller.index) as _);
    Runner::new(controller, triggers, shared)
}
