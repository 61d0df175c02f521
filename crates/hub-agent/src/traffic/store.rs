//! The TrafficManagerProfiles and TrafficManagerBackends of the hub, what belongs to what, and which profile a change
//! concerns (networking 7.1). Both served versions are read alike: the watch delivers the stored one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::kinds;
use api::networking::traffic_names;
use api::resource::ObjectKey;
use api::text::finalizers;
use fairway_core::link::inbox::Version;
use fairway_core::objects::{TrafficBackend, TrafficProfile};
use fairway_core::services::{ExportKey, Verdict};
use fairway_core::traffic::{Measured, MeasuredKind};
use kit::controller::Triggers;
use kit::index::{Change, Index};

use super::TrafficMetrics;
use crate::services::Observer;
use crate::store::Groups;

/// Namespace and name of a profile, whether it exists or not.
pub(super) type ProfileKey = ObjectKey;

/// The objects, kept up to date by their watches.
pub(super) struct TrafficStore {
    pub(super) profiles: Arc<Index<TrafficProfile>>,
    pub(super) backends: Arc<Index<TrafficBackend>>,
    groups: Arc<ByWhatTheyName>,
    triggers: Triggers<ProfileKey>,
}

/// Objects by what they name.
#[derive(Default)]
struct ByWhatTheyName {
    /// Profiles by the first label of their domain name.
    profiles: Groups<String, TrafficProfile>,
    /// Backends by their profile.
    of_profile: Groups<ProfileKey, TrafficBackend>,
    /// Backends by the exported service.
    of_service: Groups<ExportKey, TrafficBackend>,
}

impl TrafficStore {
    /// Empty indexes, whose changes put the keys of profiles into the queue.
    pub(super) fn new(triggers: &Triggers<ProfileKey>, metrics: &TrafficMetrics) -> Arc<Self> {
        let groups = Arc::<ByWhatTheyName>::default();
        Arc::new(Self {
            profiles: profiles(&groups, triggers, metrics.clone()),
            backends: backends(&groups, triggers, metrics.clone()),
            groups,
            triggers: triggers.clone(),
        })
    }

    /// Waits until all objects are known.
    pub(super) async fn synced(&self) {
        self.profiles.synced().await;
        self.backends.synced().await;
    }

    /// The backends of a profile.
    pub(super) fn backends_of(&self, key: &ProfileKey) -> Vec<Arc<TrafficBackend>> {
        self.groups.of_profile.of(key)
    }

    /// Other profiles with the domain name that a profile would have.
    pub(super) fn same_dns_name(&self, key: &ProfileKey) -> Vec<Arc<TrafficProfile>> {
        let Some(name) = dns_name(key) else { return Vec::new() };
        let mut all = self.groups.profiles.of(&name);
        all.retain(|profile| key_of(profile) != *key);
        all
    }

    /// Exports of this service have changed.
    pub(super) fn service_changed(&self, service: &ExportKey) {
        let keys: BTreeSet<ProfileKey> = self
            .groups
            .of_service
            .of(service)
            .iter()
            .map(|b| profile_of(b))
            .collect();
        keys.into_iter().for_each(|key| self.triggers.add(key));
    }

    /// Everything may have changed.
    pub(super) fn all_changed(&self) {
        let profiles = self.profiles.all();
        let backends = self.backends.all();
        let keys: BTreeSet<ProfileKey> = profiles
            .iter()
            .map(|profile| key_of(profile))
            .chain(backends.iter().map(|backend| profile_of(backend)))
            .collect();
        keys.into_iter().for_each(|key| self.triggers.add(key));
    }
}

/// Records of exports change, and with them endpoints.
impl Observer for TrafficStore {
    fn judged(&self, _cluster: &str, key: &ExportKey, _verdict: Verdict) {
        self.service_changed(key);
    }

    fn changed(&self, _cluster: &str, key: &ExportKey, _version: Option<&Version>) {
        self.service_changed(key);
    }
}

fn profiles(
    groups: &Arc<ByWhatTheyName>,
    triggers: &Triggers<ProfileKey>,
    metrics: TrafficMetrics,
) -> Arc<Index<TrafficProfile>> {
    let (groups, triggers) = (Arc::clone(groups), triggers.clone());
    Index::builder(kinds::TRAFFIC_MANAGER_PROFILE, |value| {
        TrafficProfile::from_value(value)
            .map(Some)
            .map_err(|err| err.to_string())
    })
    .on_change(move |change: &Change<TrafficProfile>| {
        let name = dns_name(&change.key);
        groups.profiles.apply(change, |_| name.clone());
        forget_gone(&metrics, MeasuredKind::Profile, change);
        triggers.changed(&kinds::TRAFFIC_MANAGER_PROFILE, change, [change.key.clone()]);
        // A profile that waits for the domain name of another one may have it when that one goes.
        let claim = |profile: &Option<Arc<TrafficProfile>>| {
            let meta = &profile.as_ref()?.meta;
            Some((
                meta.is_deleting(),
                meta.has_finalizer(finalizers::TRAFFIC_MANAGER_PROFILE),
            ))
        };
        if let Some(name) = name.filter(|_| claim(&change.old) != claim(&change.new)) {
            let others = groups.profiles.of(&name);
            let keys = others
                .iter()
                .map(|other| key_of(other))
                .filter(|key| *key != change.key);
            keys.for_each(|key| triggers.add(key));
        }
    })
    .build()
}

fn backends(
    groups: &Arc<ByWhatTheyName>,
    triggers: &Triggers<ProfileKey>,
    metrics: TrafficMetrics,
) -> Arc<Index<TrafficBackend>> {
    let (groups, triggers) = (Arc::clone(groups), triggers.clone());
    Index::builder(kinds::TRAFFIC_MANAGER_BACKEND, |value| {
        TrafficBackend::from_value(value)
            .map(Some)
            .map_err(|err| err.to_string())
    })
    .on_change(move |change: &Change<TrafficBackend>| {
        groups.of_profile.apply(change, |backend| Some(profile_of(backend)));
        groups.of_service.apply(change, |backend| Some(service_of(backend)));
        forget_gone(&metrics, MeasuredKind::Backend, change);
        let sides = change.old.iter().chain(&change.new);
        let keys = sides.map(|backend| profile_of(backend));
        triggers.changed(&kinds::TRAFFIC_MANAGER_BACKEND, change, keys);
    })
    .build()
}

/// Drops the series of an object that is gone, whoever has taken its finalizers away.
fn forget_gone<T>(metrics: &TrafficMetrics, kind: MeasuredKind, change: &Change<T>) {
    if change.new.is_none() {
        metrics.forget(&Measured {
            kind,
            namespace: change.key.namespace.clone().unwrap_or_default(),
            name: change.key.name.clone(),
        });
    }
}

fn dns_name(key: &ProfileKey) -> Option<String> {
    let namespace = key.namespace.as_deref().unwrap_or_default();
    traffic_names::relative_dns_name(namespace, &key.name).ok()
}

fn key_of(profile: &TrafficProfile) -> ProfileKey {
    ObjectKey::namespaced(profile.namespace(), &profile.meta.name)
}

/// The profile that a backend names.
fn profile_of(backend: &TrafficBackend) -> ProfileKey {
    ObjectKey::namespaced(backend.namespace(), &backend.spec.profile.name)
}

/// The exported service that a backend names.
pub(super) fn service_of(backend: &TrafficBackend) -> ExportKey {
    ExportKey {
        namespace: backend.namespace().to_owned(),
        name: backend.spec.backend.name.clone(),
    }
}

/// The services that backends name, by name.
pub(super) fn services_of(backends: &[Arc<TrafficBackend>]) -> BTreeMap<String, ExportKey> {
    let services = backends.iter().map(|backend| service_of(backend));
    services.map(|key| (key.name.clone(), key)).collect()
}
