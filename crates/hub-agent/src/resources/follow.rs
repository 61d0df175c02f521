//! Keeps the set of watched kinds equal to what the hub serves and the flags allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::select::{ApiKey, Selectable};
use kit::backoff::{Backoff, Retry};
use kit::controller::Fold;
use kit::index::Index;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::discovery::{Discovered, ServedApi, discover};
use super::{Resources, Watched, crds};

/// Time between two discoveries; definitions of custom resources are known at once anyway.
const PERIOD: Duration = Duration::from_secs(30);

/// How soon to ask again while placements wait for an answer: discovery failed, or a group has not answered since the start, as
/// happens for seconds after an API server's own start.
const INCOMPLETE: Backoff = Backoff::new(Duration::from_secs(1), PERIOD);

type Apis = BTreeMap<(String, String), ServedApi>;

/// What earlier rounds have found.
#[derive(Default)]
struct Known {
    discovered: Apis,
    /// Groups and kinds that definitions serve, or did when discovery last listed them: it lags behind definitions and is
    /// not asked about them.
    custom: BTreeSet<(String, String)>,
    /// Groups of which nothing complete is known since the start.
    unknown_groups: BTreeSet<String>,
    has_answered: bool,
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
        let mut incomplete = Retry::new(INCOMPLETE);
        loop {
            let is_complete = match discover(client).await {
                Ok(found) => {
                    known.take_and_tell(found);
                    known.unknown_groups.is_empty()
                }
                Err(err) => {
                    tracing::warn!(error = %err, "Discovery failed; what was known before stays.");
                    false
                }
            };
            let wait = match is_complete {
                true => {
                    incomplete.reset();
                    PERIOD
                }
                false => incomplete.failed(),
            };
            let next = tokio::time::Instant::now() + wait;
            loop {
                let wanted = known.merge(crds::served(&self.definitions));
                if !known.discovered.is_empty() {
                    self.adopt(&wanted, &known.unknown_groups, client, stop, tracker);
                }
                let changed = tokio::time::timeout_at(next, self.definitions_changed.notified()).await;
                // Definitions that change all the time do not keep the next discovery from its turn.
                if changed.is_err() || tokio::time::Instant::now() >= next {
                    break;
                }
            }
        }
    }

    /// Starts, replaces and stops watches. Whoever reads meanwhile finds a kind as it was or as it will be, never without
    /// it: a selection that missed a kind would take its objects away from the members.
    fn adopt(
        self: &Arc<Self>,
        wanted: &Apis,
        unknown_groups: &BTreeSet<String>,
        client: &Client,
        stop: &CancellationToken,
        tracker: &TaskTracker,
    ) {
        let enabled: Apis = wanted
            .iter()
            .filter(|((group, kind), served)| {
                let version = served.versions.first();
                version.is_some_and(|version| !self.lists.is_disabled(group, version, kind))
            })
            .map(|(name, served)| (name.clone(), served.clone()))
            .collect();
        let changes = {
            let mut table = self.table.write();
            table.unknown_groups.clone_from(unknown_groups);
            let gone: Vec<_> = table
                .watched
                .extract_if(.., |name, _| !enabled.contains_key(name))
                .collect();
            let changed: Vec<_> = enabled
                .into_iter()
                .filter(|(name, served)| table.watched.get(name).is_none_or(|watched| watched.served != *served))
                .collect();
            let started: Vec<_> = changed
                .into_iter()
                .map(|(name, served)| {
                    let watched = self.watched(&name, served, table.watched.get(&name), stop);
                    let replaced = table.watched.insert(name.clone(), watched.clone());
                    (name, watched, replaced)
                })
                .collect();
            (gone, started)
        };
        self.discovered.send_replace(true);
        let (gone, started) = changes;
        for (name, watched) in gone {
            self.retire(&watched);
            for object in watched.index.all() {
                self.changed(Some(&object), None);
            }
            self.look_at_naming(&name);
        }
        for (name, watched, replaced) in started {
            self.indexes.add(Arc::clone(&watched.index) as Arc<dyn Fold>);
            if let Some(replaced) = replaced {
                self.retire(&replaced);
            }
            self.follow_kind(name, watched, client, tracker);
        }
    }

    /// What is to be watched in the place of `before`, whose objects stay readable until the new list is complete.
    fn watched(
        self: &Arc<Self>,
        (group, kind): &(String, String),
        served: ServedApi,
        before: Option<&Watched>,
        stop: &CancellationToken,
    ) -> Watched {
        let version = served.versions.first().cloned().unwrap_or_default();
        let before = before.map(|before| Arc::clone(before.readable()));
        Watched {
            key: ApiKey::new(group, &version, kind),
            index: self.watch_of(group, kind, &served, &version, before.as_ref()),
            served,
            before,
            stop: stop.child_token(),
        }
    }

    /// Ends a watch that is no longer in the table.
    fn retire(&self, watched: &Watched) {
        tracing::info!(resource = %watched.index.resource(), "No longer watched.");
        watched.stop.cancel();
        self.indexes.remove(&(Arc::clone(&watched.index) as Arc<dyn Fold>));
    }

    /// Runs a watch that is in the table.
    fn follow_kind(self: &Arc<Self>, name: (String, String), watched: Watched, client: &Client, tracker: &TaskTracker) {
        tracing::debug!(resource = %watched.index.resource(), "Watching.");
        let (runner, client, until) = (Arc::clone(&watched.index), client.clone(), watched.stop.clone());
        tracker.spawn(async move { runner.run(client, until).await });
        let all = Arc::clone(self);
        tracker.spawn(async move {
            if watched.stop.run_until_cancelled(watched.index.synced()).await.is_none() {
                return;
            }
            if let Some(before) = &watched.before {
                all.forget_before(&name, &watched.index);
                for (key, object) in before.entries() {
                    all.changed(Some(&object), watched.index.get(&key).as_deref());
                }
            }
            // Placements that name the kind may have been refused for want of it.
            all.look_at_naming(&name);
        });
    }

    /// Drops what was readable before the list of this index was complete.
    fn forget_before(&self, name: &(String, String), index: &Arc<Index<Selectable>>) {
        if let Some(watched) = self.table.write().watched.get_mut(name)
            && Arc::ptr_eq(&watched.index, index)
        {
            watched.before = None;
        }
    }

    fn look_at_naming(&self, (group, kind): &(String, String)) {
        for key in self.interest.naming(group, kind) {
            self.look_at(key);
        }
    }
}

impl Known {
    /// Takes in an answer and names in the log what it leaves open.
    fn take_and_tell(&mut self, found: Discovered) {
        let before = self.unknown_groups.clone();
        self.take(found);
        for group in self.unknown_groups.difference(&before) {
            tracing::warn!(
                group,
                "An API group has not answered since the start which resources it serves; placements that select it, or namespaces with \
                 all that is in them, wait for it. Repair or delete its APIService, or name the group in \
                 --skipped-propagating-apis."
            );
        }
        for group in before.difference(&self.unknown_groups) {
            tracing::info!(group, "The API group is known now.");
        }
    }

    /// Takes in an answer. Groups about which it is incomplete stay as they were known. Those of which nothing was known
    /// are unknown, which is not the same as not served: after a restart placements may hold objects of them.
    fn take(&mut self, found: Discovered) {
        if self.has_answered {
            self.unknown_groups.retain(|group| found.unknown_groups.contains(group));
        } else {
            self.unknown_groups.clone_from(&found.unknown_groups);
        }
        self.has_answered = true;
        let mut apis = found.apis;
        for (name, served) in &self.discovered {
            if found.unknown_groups.contains(&name.0) {
                apis.entry(name.clone()).or_insert_with(|| served.clone());
            }
        }
        self.custom.retain(|name| apis.contains_key(name));
        self.discovered = apis;
    }

    /// What is served: by definitions where they exist, else as discovered.
    fn merge(&mut self, custom: Apis) -> Apis {
        self.custom.extend(custom.keys().cloned());
        let others = self.discovered.iter().filter(|(name, _)| !self.custom.contains(name));
        others
            .map(|(name, served)| (name.clone(), served.clone()))
            .chain(custom)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use apiserver::ApiServer;
    use fairway_core::select::{ApiLists, NamespaceRule, ResourceView as _};
    use kit::Resource;
    use kit::backoff::Backoff;
    use kit::writer::Writer;
    use serde_json::json;

    use super::*;
    use crate::queues::Queues;

    const CONFIG_MAP: Resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");

    fn resources() -> Arc<Resources> {
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
        Arc::new(Resources::new(
            ApiLists::default(),
            NamespaceRule::default(),
            Arc::default(),
            Arc::default(),
            Arc::new(Queues::new(backoff)),
            Arc::default(),
        ))
    }

    fn config_maps(versions: &[&str]) -> Apis {
        let served = ServedApi {
            plural: "configmaps".into(),
            namespaced: true,
            versions: versions.iter().map(|v| (*v).to_owned()).collect(),
        };
        BTreeMap::from([((String::new(), "ConfigMap".to_owned()), served)])
    }

    #[tokio::test]
    async fn a_kind_that_is_served_differently_stays_readable_until_it_is_known_anew() {
        let server = ApiServer::builder().build().unwrap();
        let writer = Writer::new(server.client(), Duration::from_secs(5));
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}});
        writer.create(&CONFIG_MAP, Some("default"), &object).await.unwrap();
        let (resources, tracker) = (resources(), TaskTracker::new());
        let (client, stop) = (server.client(), CancellationToken::new());
        let adopt =
            |versions: &[&str]| resources.adopt(&config_maps(versions), &BTreeSet::new(), &client, &stop, &tracker);

        adopt(&["v1"]);
        resources.wait_ready().await;
        let known = resources.resolve("", "v1", "ConfigMap").unwrap();
        assert!(known.synced);

        // Passes on other threads look on.
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (resources, is_over, key) = (Arc::clone(&resources), Arc::clone(&is_over), known.key.clone());
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(resources.namespaced().len(), 1, "the kind is always there");
                    assert_eq!(
                        resources.list(&key, Some("default")).len(),
                        1,
                        "and what is known of it"
                    );
                }
            }
        });
        for _ in 0..100 {
            adopt(&["v1", "v1beta1"]);
            adopt(&["v1"]);
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap();

        // The new watch has not run yet.
        let unknown = resources.resolve("", "v1", "ConfigMap").unwrap();
        assert!(!unknown.synced);
        assert_eq!(resources.list(&unknown.key, None).len(), 1);
        resources.wait_ready().await;
        assert!(resources.resolve("", "v1", "ConfigMap").unwrap().synced);
        assert_eq!(resources.list(&unknown.key, None).len(), 1);

        // What is not served any more goes.
        let unknown = BTreeSet::from(["down".to_owned()]);
        resources.adopt(&Apis::new(), &unknown, &client, &stop, &tracker);
        assert_eq!(resources.resolve("", "v1", "ConfigMap"), None);
        assert_eq!(resources.unknown_groups(), unknown);
        stop.cancel();
        tracker.close();
        tracker.wait().await;
    }

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
        // The definition is gone already; discovery still lists it.
        assert_eq!(known.merge(Apis::new()), apis(&[("apps", "A"), ("down", "D")]));
        assert!(known.unknown_groups.is_empty());
    }

    #[test]
    fn a_group_is_unknown_from_the_start_until_it_has_answered_once() {
        let unknown = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect::<BTreeSet<_>>();
        let mut known = Known::default();
        for (unanswered, expected) in [
            (&["apps", "down"][..], &["apps", "down"][..]),
            (&["apps"], &["apps"]),
            // What is new and does not answer was in no selection before, and what answered once is known.
            (&["apps", "down", "new"], &["apps"]),
            (&[], &[]),
            (&["apps"], &[]),
        ] {
            known.take(Discovered {
                apis: apis(&[("", "A")]),
                unknown_groups: unknown(unanswered),
            });
            assert_eq!(known.unknown_groups, unknown(expected), "{unanswered:?}");
        }
    }

    #[test]
    fn a_definition_hides_nothing_but_its_own_kind() {
        let mut known = Known::default();
        let discovered = apis(&[("apps", "Deployment"), ("apps", "Custom"), ("apps", "Aggregated")]);
        let found = |apis: &Apis| Discovered {
            apis: apis.clone(),
            ..Discovered::default()
        };
        known.take(found(&discovered));
        assert_eq!(known.merge(apis(&[("apps", "Custom")])), discovered);
        // The definition goes, then discovery notices, then an aggregated API serves the kind.
        let rest = apis(&[("apps", "Deployment"), ("apps", "Aggregated")]);
        assert_eq!(known.merge(Apis::new()), rest);
        known.take(found(&rest));
        known.merge(Apis::new());
        known.take(found(&discovered));
        assert_eq!(known.merge(Apis::new()), discovered);
    }
}
