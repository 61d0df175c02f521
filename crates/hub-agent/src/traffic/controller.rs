//! TrafficManagerProfiles, each with all its TrafficManagerBackends: gather the slice, let the planner decide, make the
//! calls of the plan once its writes are done (networking 6 and 7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::effects::Event;
use fairway_core::traffic::{self, Facts, Plan, Service, Silence, Slice};
use jiff::Timestamp;
use kit::controller::{Controller, Executed, Series};

use super::TrafficMetrics;
use super::calls::Calls;
use super::hints::Hints;
use super::observations::Observations;
use super::store::{ProfileKey, TrafficStore, services_of};
use crate::presence::Presence;
use crate::services::Services;
use crate::store::Store;

/// Works on profiles and their backends.
pub(super) struct TrafficController {
    pub(super) store: Arc<TrafficStore>,
    pub(super) observations: Arc<Observations>,
    pub(super) calls: Arc<Calls>,
    pub(super) hints: Hints,
    /// Which members are silent.
    pub(super) presence: Arc<Presence>,
    /// How long a member without a session may be silent.
    pub(super) silence_limit: Duration,
    /// The records of exports.
    pub(super) services: Arc<Services>,
    /// The members.
    pub(super) fleet: Arc<Store>,
    /// Resource group of profiles that name none.
    pub(super) default_group: String,
    pub(super) metrics: TrafficMetrics,
    /// Counts passes, under the names of both controllers of fleet-networking.
    pub(super) series: Vec<Series>,
}

impl TrafficController {
    /// The services that backends name and that exist.
    fn services(&self, keys: BTreeMap<String, fairway_core::services::ExportKey>) -> BTreeMap<String, Service> {
        let exported = keys.into_iter().filter_map(|(name, key)| {
            let records = self.services.records_of(&key);
            let clusters: BTreeSet<&str> = records.iter().map(|record| record.cluster.as_str()).collect();
            let is_leaving = |cluster: &&str| {
                let member = self.fleet.member(cluster);
                member.is_some_and(|member| member.meta.is_deleting())
            };
            let leaving = clusters.into_iter().filter(is_leaving).map(str::to_owned).collect();
            let service = Service::of_records(records.iter().map(AsRef::as_ref), &leaving)?;
            Some((name, service))
        });
        exported.collect()
    }

    /// The clusters among the exporters that are silent.
    fn silent(&self, services: &BTreeMap<String, Service>) -> BTreeMap<String, Silence> {
        let exporters = services.values().flat_map(|service| &service.exporters);
        let silent = exporters.filter_map(|exporter| {
            let cluster = &exporter.cluster;
            let known = self.presence.silence(cluster)?;
            let silence = Silence {
                since: known.since,
                heartbeat: known.heartbeat,
                limit: self.silence_limit,
                heartbeat_period: self.fleet.heartbeat_period(cluster),
            };
            Some((cluster.clone(), silence))
        });
        silent.collect()
    }
}

impl Controller for TrafficController {
    type Key = ProfileKey;
    type Slice = Slice;
    type Facts = Facts;

    const NAME: &'static str = "TrafficManagerProfile";

    fn series(&self, _key: &ProfileKey) -> Vec<Series> {
        self.series.clone()
    }

    fn gather(&self, key: &ProfileKey, now: Timestamp) -> Option<Slice> {
        let profile = self.store.profiles.get(key);
        let backends = self.store.backends_of(key);
        if profile.is_none() {
            self.observations.forget(key);
            if backends.is_empty() {
                return None;
            }
        }
        let services = self.services(services_of(&backends));
        let known = self.observations.of(key, &services, now);
        Some(Slice {
            namespace: key.namespace.clone().unwrap_or_default(),
            name: key.name.clone(),
            profile,
            silent: self.silent(&services),
            services,
            backends,
            same_dns_name: self.store.same_dns_name(key),
            observed: known.observed,
            in_flight: known.in_flight,
            default_group: Some(self.default_group.clone()),
            collected: known.collected,
            takes_hints: self.hints.are_taken(),
            hints_in_flight: known.hints_in_flight,
        })
    }

    fn plan(&self, _key: &ProfileKey, slice: Slice, now: Timestamp) -> Plan {
        traffic::plan(&slice, now)
    }

    fn component(&self, event: &Event) -> &'static str {
        traffic::component(event)
    }

    fn executed(&self, key: &ProfileKey, done: &Executed<'_, Facts>) {
        let facts = &done.plan.facts;
        self.observations.differ(key, &facts.differing, done.now);
        if !done.steps_done {
            return;
        }
        facts
            .reported
            .iter()
            .for_each(|series| self.metrics.reported(series, done.now));
        facts.dropped.iter().for_each(|object| self.metrics.forget(object));
        self.hints.start(key, facts.hints.clone());
        self.calls.start(key, facts);
    }
}
