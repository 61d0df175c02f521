//! Which kinds the member serves, and under which names.
//!
//! Discovered group version by group version when a manifest needs it, and again for a kind that was not there before,
//! because a definition installed a moment ago may serve it now.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::apply::{Identity, Resource};
use http::Method;
use kit::rest::Call;
use kube::Client;
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::sync::Mutex;

/// Finds the resource of a kind.
pub(crate) struct Mapper {
    client: Client,
    known: RwLock<BTreeMap<GroupVersion, Kinds>>,
    /// Held while a discovery request runs, so that many manifests of one group cost one request.
    discovery: Mutex<()>,
}

type GroupVersion = (String, String);
type Kinds = Arc<BTreeMap<String, Resource>>;

/// Why a kind has no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotServed {
    /// The member does not serve it.
    #[error("no matches for kind {kind:?} in version {api_version:?}")]
    NoMatch {
        /// The kind.
        kind: String,
        /// Group and version.
        api_version: String,
    },
    /// Discovery failed.
    #[error("{0}")]
    Failed(String),
}

#[derive(Deserialize)]
struct ApiResourceList {
    #[serde(default)]
    resources: Vec<ApiResource>,
}

#[derive(Deserialize)]
struct ApiResource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
}

impl Mapper {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            known: RwLock::default(),
            discovery: Mutex::default(),
        }
    }

    /// The resource of a manifest's kind.
    ///
    /// # Errors
    /// When the member does not serve the kind, or discovery fails.
    pub(crate) async fn find(&self, identity: &Identity) -> Result<Resource, NotServed> {
        let (group, version) = (identity.group.as_str(), identity.version.as_str());
        if let Some(found) = self.look_up(group, version, &identity.kind) {
            return Ok(found);
        }
        let before = self.kinds(group, version);
        let _discovery = self.discovery.lock().await;
        // Another task may have discovered it meanwhile.
        let now = self.kinds(group, version);
        let is_discovered = match (&before, &now) {
            (None, Some(_)) => true,
            (Some(before), Some(now)) => !Arc::ptr_eq(before, now),
            (_, None) => false,
        };
        if !is_discovered {
            self.discover(group, version).await?;
        }
        self.look_up(group, version, &identity.kind)
            .ok_or_else(|| NotServed::NoMatch {
                kind: identity.kind.clone(),
                api_version: if group.is_empty() {
                    version.to_owned()
                } else {
                    format!("{group}/{version}")
                },
            })
    }

    fn kinds(&self, group: &str, version: &str) -> Option<Kinds> {
        self.known.read().get(&(group.to_owned(), version.to_owned())).cloned()
    }

    fn look_up(&self, group: &str, version: &str, kind: &str) -> Option<Resource> {
        self.kinds(group, version)?.get(kind).cloned()
    }

    async fn discover(&self, group: &str, version: &str) -> Result<(), NotServed> {
        let path = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let call = Call::new(Method::GET, path.clone(), format!("list the kinds of {path}"));
        let list = match call.json::<ApiResourceList>(&self.client).await {
            Ok(list) => list.resources,
            Err(err) if err.is_not_found() => Vec::new(),
            Err(err) => return Err(NotServed::Failed(err.to_string())),
        };
        let kinds = list.into_iter().filter(|r| !r.name.contains('/')).map(|r| {
            let resource = Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: r.kind.clone(),
                plural: r.name,
                namespaced: r.namespaced,
            };
            (r.kind, resource)
        });
        let kinds: Kinds = Arc::new(kinds.collect());
        self.known.write().insert((group.to_owned(), version.to_owned()), kinds);
        Ok(())
    }
}
