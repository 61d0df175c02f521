//! Keeps the set of watched kinds equal to what the hub serves and the flags allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::select::ApiKey;
use kit::controller::Fold;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::discovery::{Discovered, ServedApi, discover};
use super::{Resources, Watched, crds};

/// Time between two discoveries; definitions of custom resources are known at once anyway.
const PERIOD: Duration = Duration::from_secs(30);

type Apis = BTreeMap<(String, String), ServedApi>;

/// What earlier rounds have found.
#[derive(Default)]
struct Known {
    discovered: Apis,
    /// Groups that definitions have ever served: discovery lags behind definitions and is not asked about them.
    custom: BTreeSet<String>,
}

impl Resources {
    /// Watches what is served until `stop`.
    pub async fn run(self: Arc<Self>, client: Client, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        let definitions = Arc::clone(&self.definitions);
        let (watch_client, watch_stop) = (client.clone(), stop.clone());
        tracker.spawn(async move { definitions.run(watch_client, watch_stop).await });
        stop.run_until_cancelled(self.follow(&client, &stop, &tracker)).await;
        tracker.close();
        tracker.wait().await;
    }

    async fn follow(self: &Arc<Self>, client: &Client, stop: &CancellationToken, tracker: &TaskTracker) {
        self.definitions.synced().await;
        let mut known = Known::default();
        loop {
            match discover(client).await {
                Ok(found) => known.take(found),
                Err(err) => tracing::warn!(error = %err, "Discovery failed; what was known before stays."),
            }
            let next = tokio::time::Instant::now() + PERIOD;
            loop {
                let wanted = known.merge(crds::served(&self.definitions));
                if !known.discovered.is_empty() {
                    self.adopt(&wanted, client, stop, tracker);
                }
                let changed = tokio::time::timeout_at(next, self.definitions_changed.notified()).await;
                // Definitions that change all the time do not keep the next discovery from its turn.
                if changed.is_err() || tokio::time::Instant::now() >= next {
                    break;
                }
            }
        }
    }

    /// Starts and stops watches.
    fn adopt(self: &Arc<Self>, wanted: &Apis, client: &Client, stop: &CancellationToken, tracker: &TaskTracker) {
        let enabled = wanted.iter().filter_map(|(name, served)| {
            let version = served.versions.first()?;
            (!self.lists.is_disabled(&name.0, version, &name.1)).then_some((name, served, version))
        });
        let enabled: BTreeMap<_, _> = enabled
            .map(|(name, served, version)| (name, (served, version)))
            .collect();
        let stale: Vec<_> = {
            let table = self.table.read();
            let is_stale = |name: &(String, String), watched: &Watched| {
                enabled.get(name).is_none_or(|(served, _)| **served != watched.served)
            };
            table
                .watched
                .iter()
                .filter(|(name, w)| is_stale(name, w))
                .map(|(name, _)| name.clone())
                .collect()
        };
        for name in &stale {
            self.drop_watch(name);
        }
        for (name, (served, version)) in enabled {
            if !self.table.read().watched.contains_key(name) {
                self.start_watch(name, served, version, client, stop, tracker);
            }
        }
        self.discovered.send_replace(true);
    }

    fn drop_watch(&self, name: &(String, String)) {
        let Some(watched) = self.table.write().watched.remove(name) else {
            return;
        };
        tracing::info!(resource = %watched.index.resource(), "No longer watched.");
        watched.stop.cancel();
        self.indexes.remove(&(Arc::clone(&watched.index) as Arc<dyn Fold>));
        for object in watched.index.all() {
            self.changed(Some(&object), None);
        }
        self.interest
            .naming(&name.0, &name.1)
            .into_iter()
            .for_each(|key| self.look_at(key));
    }

    fn start_watch(
        self: &Arc<Self>,
        name: &(String, String),
        served: &ServedApi,
        version: &str,
        client: &Client,
        stop: &CancellationToken,
        tracker: &TaskTracker,
    ) {
        let (group, kind) = name;
        let index = self.watch_of(group, kind, served, version);
        let key = ApiKey::new(group, version, kind);
        let stop = stop.child_token();
        tracing::debug!(resource = %index.resource(), "Watching.");
        let watched = Watched {
            served: served.clone(),
            key,
            index: Arc::clone(&index),
            stop: stop.clone(),
        };
        self.table.write().watched.insert(name.clone(), watched);
        self.indexes.add(Arc::clone(&index) as Arc<dyn Fold>);
        let (runner, client, until) = (Arc::clone(&index), client.clone(), stop.clone());
        tracker.spawn(async move { runner.run(client, until).await });
        // Placements that name the kind may have been refused for want of it.
        let (all, name) = (Arc::clone(self), name.clone());
        tracker.spawn(async move {
            if stop.run_until_cancelled(index.synced()).await.is_some() {
                all.interest
                    .naming(&name.0, &name.1)
                    .into_iter()
                    .for_each(|key| all.look_at(key));
            }
        });
    }
}

impl Known {
    /// Takes in an answer; groups about which it is incomplete stay as they were known.
    fn take(&mut self, found: Discovered) {
        let mut apis = found.apis;
        for (name, served) in &self.discovered {
            if found.unknown_groups.contains(&name.0) {
                apis.entry(name.clone()).or_insert_with(|| served.clone());
            }
        }
        self.discovered = apis;
    }

    /// What is served: by definitions where they exist, else as discovered.
    fn merge(&mut self, custom: Apis) -> Apis {
        self.custom.extend(custom.keys().map(|(group, _)| group.clone()));
        let built_in = self
            .discovered
            .iter()
            .filter(|((group, _), _)| !self.custom.contains(group));
        built_in
            .map(|(name, served)| (name.clone(), served.clone()))
            .chain(custom)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apis(names: &[(&str, &str)]) -> Apis {
        let served = ServedApi {
            plural: "x".into(),
            namespaced: true,
            versions: vec!["v1".into()],
        };
        names
            .iter()
            .map(|(group, kind)| (((*group).to_owned(), (*kind).to_owned()), served.clone()))
            .collect()
    }

    #[test]
    fn definitions_win_over_discovery_and_broken_groups_keep_what_was_known() {
        let mut known = Known::default();
        known.take(Discovered {
            apis: apis(&[("apps", "A"), ("down", "D"), ("x.io", "X")]),
            ..Discovered::default()
        });
        assert_eq!(known.merge(apis(&[("x.io", "X")])).len(), 3);
        let unknown_groups = BTreeSet::from(["down".to_owned()]);
        known.take(Discovered {
            apis: apis(&[("apps", "A"), ("x.io", "X")]),
            unknown_groups,
        });
        // The definition is gone already; discovery still tells of it.
        assert_eq!(known.merge(Apis::new()), apis(&[("apps", "A"), ("down", "D")]));
    }
}
