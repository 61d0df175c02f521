//! Looks the public addresses of exported Services up, one list for each resource group, in the background: a list that is
//! late or fails holds up nothing but itself (networking 9.3).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use azure::Class;
use fairway_core::exports::{Listing, PublicAddress, ServiceView, address};
use fairway_core::services::{ExportKey, LookupError, PublicIp, PublicIpState, address_of};
use jiff::Timestamp;
use kit::backoff::Backoff;
use kit::queue::{Action, Queue, work};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cloud::{Cloud, State};

/// Resource groups that are listed at a time.
const LISTS: usize = 2;

/// Time for all pages of a list.
const LIST_WITHIN: Duration = Duration::from_secs(120);

/// Public addresses of exported Services.
pub(super) struct Addresses {
    cloud: Arc<Cloud>,
    cluster: String,
    /// Resource groups to list.
    lists: Queue<String>,
    known: Mutex<Known>,
    /// Exports for which there is something new come back here.
    revisit: Queue<ExportKey>,
}

#[derive(Default)]
struct Known {
    /// The newest list of each resource group that an export needs.
    groups: BTreeMap<String, Listed>,
    lookups: BTreeMap<ExportKey, Lookup>,
}

/// A list of the addresses of a resource group.
struct Listed {
    at: Instant,
    result: Result<Vec<PublicAddress>, LookupError>,
    /// How long the cloud wants no more calls.
    stay_away: Duration,
}

/// What is looked up for one export.
struct Lookup {
    /// Uid and version of the Service.
    service: (String, String),
    /// The resource group; none as long as the cloud is not found.
    group: Option<String>,
    /// Only a list that came later says something of this version of the Service.
    since: Instant,
    /// The address whose facts were reported last.
    address: Option<String>,
    /// The list that `next` was decided by.
    judged: Option<Instant>,
    /// When the group is listed again.
    next: Option<Instant>,
    /// What is in the way, as it was logged last.
    remark: Option<String>,
}

impl Addresses {
    pub(super) fn new(cloud: Arc<Cloud>, cluster: String, revisit: Queue<ExportKey>) -> Self {
        Self {
            cloud,
            cluster,
            // A list that fails is repeated when the export is due, not by this queue.
            lists: Queue::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60))),
            known: Mutex::default(),
            revisit,
        }
    }

    pub(super) fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Finds the cloud and lists what is to be listed until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut states = self.cloud.states();
        let follow = async {
            while states.changed().await.is_ok() {
                let all: Vec<ExportKey> = self.known.lock().lookups.keys().cloned().collect();
                all.into_iter().for_each(|key| self.revisit.add(key));
            }
        };
        let found = stop.run_until_cancelled(async { tokio::join!(self.cloud.find(), follow) });
        tokio::join!(found, Arc::clone(&self).list_all(stop.clone()));
    }

    async fn list_all(self: Arc<Self>, stop: CancellationToken) {
        work(&self.lists, LISTS, &stop, |group| {
            let this = Arc::clone(&self);
            async move {
                this.list(group).await;
                Action::Done
            }
        })
        .await;
    }

    /// What is reported of the address now.
    pub(super) fn look_up(&self, key: &ExportKey, service: &ServiceView, now: Timestamp) -> PublicIp {
        let state = self.cloud.state();
        if matches!(state, State::None) {
            self.forget(key);
            let cluster = &self.cluster;
            return address(service, Listing::NoCloud { cluster }, None, now).facts;
        }
        let without_list = address(service, Listing::Pending, None, now).facts;
        if without_list.state != PublicIpState::LookupPending {
            self.forget(key);
            return without_list;
        }
        let group = match &state {
            State::Found { group, .. } => Some(service.resource_group.as_ref().unwrap_or(group).clone()),
            State::Unknown | State::None | State::Failed(_) => None,
        };
        let unusable = match state {
            State::Failed(reason) => Some(LookupError {
                message: format!(
                    "the cloud of the member cannot be used: {}",
                    reason.trim_end_matches('.')
                ),
                ..LookupError::default()
            }),
            State::Unknown | State::None | State::Found { .. } => None,
        };
        let mut known = self.known.lock();
        let Known { groups, lookups } = &mut *known;
        let at = Instant::now();
        let is_due = lookups
            .get_mut(key)
            .is_none_or(|lookup| !lookup.continues(service, group.as_ref(), at));
        if is_due && let Some(group) = &group {
            self.lists.add(group.clone());
        }
        let lookup = lookups
            .entry(key.clone())
            .or_insert_with(|| Lookup::begin(service, group.clone(), at, None));
        let listed = group.as_ref().and_then(|group| groups.get(group));
        let listed = listed.filter(|listed| listed.at > lookup.since);
        let listing = match (&unusable, listed.map(|listed| &listed.result)) {
            (Some(error), _) | (None, Some(Err(error))) => Listing::Failed(error),
            (None, Some(Ok(all))) => Listing::Known(all),
            (None, None) => Listing::Pending,
        };
        let found = address(service, listing, lookup.address.as_deref(), now);
        lookup.address = address_of(&found.facts, lookup.address.take());
        if let Some(listed) = listed
            && lookup.judged != Some(listed.at)
        {
            lookup.judged = Some(listed.at);
            lookup.next = found.look_again.map(|wait| at + wait.max(listed.stay_away));
        }
        if lookup.remark != found.remark {
            if let Some(remark) = &found.remark {
                tracing::info!(export = %key, remark, "The public address of an exported Service is not known.");
            }
            lookup.remark = found.remark;
        }
        if let Some(next) = lookup.next {
            self.revisit.add_after(key.clone(), next.saturating_duration_since(at));
        }
        found.facts
    }

    /// Nothing more is looked up for an export, and nothing is kept for it.
    pub(super) fn forget(&self, key: &ExportKey) {
        let mut known = self.known.lock();
        let Known { groups, lookups } = &mut *known;
        if let Some(group) = lookups.remove(key).and_then(|lookup| lookup.group)
            && !lookups.values().any(|other| other.group.as_ref() == Some(&group))
        {
            groups.remove(&group);
        }
    }

    /// Lists a resource group. Every export of it is looked at again: what was listed for one is new for all.
    async fn list(&self, group: String) {
        let State::Found { addresses, .. } = self.cloud.state() else {
            return;
        };
        let (result, stay_away) = match tokio::time::timeout(LIST_WITHIN, addresses.list(&group)).await {
            Ok(Ok(all)) => (Ok(all.iter().map(public_address).collect()), Duration::ZERO),
            Ok(Err(error)) => {
                tracing::warn!(group, %error, "The public IP addresses of a resource group cannot be listed.");
                (Err(lookup_error(&error)), error.retry_after().unwrap_or_default())
            }
            Err(_) => {
                let error = LookupError {
                    message: format!("no complete list within {LIST_WITHIN:?}"),
                    ..LookupError::default()
                };
                (Err(error), Duration::ZERO)
            }
        };
        let mut known = self.known.lock();
        let Known { groups, lookups } = &mut *known;
        let listed = Listed {
            at: Instant::now(),
            result,
            stay_away,
        };
        groups.insert(group.clone(), listed);
        groups.retain(|group, _| lookups.values().any(|lookup| lookup.group.as_ref() == Some(group)));
        let of_group = lookups
            .iter()
            .filter(|(_, lookup)| lookup.group.as_ref() == Some(&group));
        let keys: Vec<ExportKey> = of_group.map(|(key, _)| key.clone()).collect();
        drop(known);
        keys.into_iter().for_each(|key| self.revisit.add(key));
    }
}

impl Lookup {
    fn begin(service: &ServiceView, group: Option<String>, since: Instant, address: Option<String>) -> Self {
        Self {
            service: version(service),
            group,
            since,
            address,
            judged: None,
            next: None,
            remark: None,
        }
    }

    /// Whether what was listed, or is being listed, is still good. Otherwise it is to be listed, and this begins anew where
    /// it is about another version of the Service.
    fn continues(&mut self, service: &ServiceView, group: Option<&String>, now: Instant) -> bool {
        if self.group.as_ref() != group || self.service != version(service) {
            let is_same_service = self.service.0 == service.uid;
            let address = self.address.take().filter(|_| is_same_service);
            let remark = self.remark.take();
            *self = Self {
                remark,
                ..Self::begin(service, group.cloned(), now, address)
            };
            return false;
        }
        let is_over = self.next.is_some_and(|next| next <= now);
        if is_over {
            self.next = None;
        }
        !is_over
    }
}

fn version(service: &ServiceView) -> (String, String) {
    (service.uid.clone(), service.resource_version.clone())
}

fn public_address(of: &azure::PublicIp) -> PublicAddress {
    PublicAddress {
        id: of.id.clone(),
        ip: of.address.clone().unwrap_or_default(),
        dns_label: of.dns_label.clone().unwrap_or_default(),
        fqdn: String::new(),
    }
}

/// Messages of Azure name ids, so that only its status and its code are passed on; the log has all of it.
fn lookup_error(error: &azure::Error) -> LookupError {
    LookupError {
        status: error.status(),
        code: error.code().to_owned(),
        message: match error.class() {
            Class::Credentials => "no token could be had".to_owned(),
            _ if error.status().is_none() => error.message().to_owned(),
            _ => String::new(),
        },
    }
}

#[cfg(test)]
mod tests;
