//! The endpoints of one backend: which are wanted, and how they compare with those that the traffic manager holds
//! (networking 7.3 to 7.5).

use std::collections::BTreeMap;

use api::networking::v1beta1::{FromCluster, TrafficManagerEndpointStatus};
use api::networking::{traffic_names, weights};
use serde_json::Value;

use super::arm::{Call, ProfileId};
use super::exporters::{Export, Service};
use super::held::{self, Endpoint};
use super::observed::write_endpoint_call;
use super::trace::ExportTrace;
use crate::objects::TrafficBackend;
use crate::services::EndpointSettings;
use crate::trace::Recorder;

/// An endpoint that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WantedEndpoint {
    /// Its name.
    pub(super) name: String,
    /// The exporting cluster.
    pub(super) cluster: String,
    /// Id of the public address that it points to.
    target: String,
    /// Its weight.
    weight: i64,
    /// Weight of the export.
    export_weight: i64,
    /// What users choose of it: of the export, else of the backend.
    pub(super) settings: EndpointSettings,
    /// The traffic manager serves it, with another weight perhaps.
    pub(super) is_served: bool,
}

/// What is wanted of a service.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The endpoints, by cluster.
    pub(super) endpoints: Vec<WantedEndpoint>,
    /// Clusters whose export cannot be an endpoint, and why, by cluster.
    pub(super) invalid: Vec<(String, String)>,
}

/// How what is wanted compares with what is there.
#[derive(Debug, Default)]
pub(super) struct Comparison<'a> {
    /// Endpoints of the backend that are not wanted, as the traffic manager spells them.
    pub(super) stale: Vec<&'a str>,
    /// Wanted endpoints that are missing or differ.
    pub(super) missing: Vec<WantedEndpoint>,
    /// Wanted endpoints that are there.
    pub(super) accepted: Vec<TrafficManagerEndpointStatus>,
}

impl Wanted {
    /// The endpoints of a service. A cluster without a record takes no part; see the checks before.
    pub(super) fn of(backend: &TrafficBackend, defaults: &EndpointSettings, service: &Service) -> Self {
        let mut wanted = Self::default();
        let mut valid: BTreeMap<&str, &Export> = BTreeMap::new();
        let mut invalid = BTreeMap::new();
        for exporter in &service.exporters {
            let Some(export) = exporter.export.as_ref().filter(|export| export.weight > 0) else {
                continue;
            };
            match export.check() {
                Ok(()) => drop(valid.insert(&exporter.cluster, export)),
                Err(why) => drop(invalid.insert(exporter.cluster.clone(), why)),
            }
        }
        let exports: Vec<i64> = valid.values().map(|export| export.weight).collect();
        let shares = weights::spread(backend.weight(), &exports);
        wanted.endpoints = valid
            .into_iter()
            .zip(shares)
            .map(|((cluster, export), weight)| WantedEndpoint {
                name: traffic_names::endpoint(&backend.meta.uid, &backend.spec.backend.name, cluster),
                cluster: cluster.to_owned(),
                target: export.public_ip.clone(),
                weight,
                export_weight: export.weight,
                settings: export.endpoint.or(defaults),
                is_served: false,
            })
            .collect();
        wanted.invalid = invalid.into_iter().collect();
        wanted
    }
}

impl WantedEndpoint {
    /// The call that writes it.
    pub(super) fn call(&self, id: &ProfileId) -> Call {
        write_endpoint_call(id, &self.name, &self.target, self.weight, &self.settings)
    }
}

/// Compares what is wanted of a backend with the profile that the traffic manager holds.
pub(super) fn compare<'a>(
    backend: &TrafficBackend,
    wanted: &Wanted,
    held: &'a Value,
    trace: &mut Recorder<'_, super::trace::BackendTrace>,
) -> Comparison<'a> {
    let mut comparison = Comparison::default();
    let owned: Vec<Endpoint<'_>> = owned(backend, held).collect();
    let is_wanted = |endpoint: &Endpoint<'_>| wanted.endpoints.iter().any(|want| endpoint.is_named(&want.name));
    comparison.stale = owned.iter().filter(|e| !is_wanted(e)).map(|e| e.name()).collect();
    for want in &wanted.endpoints {
        let known = owned.iter().find(|endpoint| endpoint.is_named(&want.name));
        let differences = known.map_or(vec!["name"], |known| {
            known.differences(&want.target, want.weight, &want.settings)
        });
        match known.filter(|_| differences.is_empty()) {
            Some(known) => {
                let export = Some(want.export_weight);
                comparison.accepted.push(status(*known, &want.cluster, export));
            }
            None => comparison.missing.push(WantedEndpoint {
                is_served: differences == ["weight"],
                ..want.clone()
            }),
        }
        trace.record(|trace| {
            trace.exports.push(ExportTrace {
                cluster: want.cluster.clone(),
                weight: want.export_weight,
                endpoint_weight: Some(want.weight),
                rejected: None,
                differences,
            });
        });
    }
    for (cluster, why) in &wanted.invalid {
        trace.record(|trace| {
            trace.exports.push(ExportTrace {
                cluster: cluster.clone(),
                rejected: Some(why.clone()),
                ..ExportTrace::default()
            });
        });
    }
    trace.record(|trace| {
        trace
            .stale
            .extend(comparison.stale.iter().map(|name| (*name).to_owned()))
    });
    comparison
}

/// The endpoints that belong to a backend.
pub(super) fn owned<'a>(backend: &TrafficBackend, held: &'a Value) -> impl Iterator<Item = Endpoint<'a>> {
    let uid = backend.meta.uid.clone();
    held::endpoints(Some(held)).filter(move |endpoint| traffic_names::is_owned(endpoint.name(), &uid))
}

/// All endpoints of a backend that the traffic manager serves, wanted or not, by cluster.
pub(super) fn served(
    backend: &TrafficBackend,
    held: &Value,
    wanted: Option<&Wanted>,
) -> Vec<TrafficManagerEndpointStatus> {
    let all = wanted.map_or(&[][..], |wanted| &wanted.endpoints);
    let mut served: Vec<TrafficManagerEndpointStatus> = owned(backend, held)
        .map(|endpoint| {
            if let Some(want) = all.iter().find(|want| endpoint.is_named(&want.name)) {
                return status(endpoint, &want.cluster, Some(want.export_weight));
            }
            let known = backend
                .status
                .endpoints
                .iter()
                .find(|known| endpoint.is_named(&known.name));
            if let Some(from) = known.and_then(|known| known.from.as_ref()) {
                return status(endpoint, &from.cluster, from.weight);
            }
            let name = traffic_names::EndpointName::parse(endpoint.name());
            status(endpoint, &name.map(|name| name.cluster).unwrap_or_default(), None)
        })
        .collect();
    sort(&mut served);
    served
}

/// Sorts endpoints by cluster.
pub(super) fn sort(endpoints: &mut [TrafficManagerEndpointStatus]) {
    let cluster = |e: &TrafficManagerEndpointStatus| e.from.as_ref().map(|from| from.cluster.clone());
    endpoints.sort_by(|a, b| (cluster(a), &a.name).cmp(&(cluster(b), &b.name)));
}

fn status(endpoint: Endpoint<'_>, cluster: &str, export_weight: Option<i64>) -> TrafficManagerEndpointStatus {
    TrafficManagerEndpointStatus {
        name: endpoint.name().to_ascii_lowercase(),
        resource_id: endpoint.id().to_owned(),
        target: endpoint.target().map(str::to_owned),
        weight: endpoint.weight(),
        from: Some(FromCluster {
            cluster: cluster.to_owned(),
            weight: export_weight,
        }),
    }
}
