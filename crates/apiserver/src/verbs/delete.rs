//! `delete` and `deletecollection`.

use super::{read, unstored};
use crate::call::Call;
use crate::object::{self, set_meta};
use crate::registry::Resource;
use crate::reply::{self, Body};
use crate::selector::Selectors;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::storage::{Change, StoreError, Stored};
use crate::{clock, controllers, crds, namespaces, present};
use http::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Finalizer that keeps an owner until its dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer that keeps an owner until its dependents have forgotten it.
pub const ORPHAN: &str = "orphan";

/// What happens to dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after the owner.
    Background,
    /// They are deleted before the owner.
    Foreground,
    /// They stay.
    Orphan,
}

/// Options of a deletion.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What happens to dependents; the kind's default if not given.
    pub propagation: Option<Propagation>,
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must have this resourceVersion.
    pub rv: Option<String>,
    /// Seconds that a pod gets to end.
    pub grace: Option<i64>,
    /// Store nothing.
    pub dry_run: bool,
}

/// Result of a deletion.
pub struct Removal {
    /// The object: as removed, or as it waits for its finalizers.
    pub object: Arc<Stored>,
    /// Whether it is gone.
    pub gone: bool,
}

impl Options {
    fn of(call: &Call) -> ApiResult<Options> {
        let body = if call.body.is_empty() {
            json!({})
        } else {
            call.json_body()?
        };
        let invalid = |cause: Cause| ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]);
        let policy = match body.get("propagationPolicy").and_then(Value::as_str) {
            Some(given) => given.to_owned(),
            None => call.query.get("propagationPolicy").to_owned(),
        };
        let orphan = match body.get("orphanDependents") {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => call
                .query
                .has("orphanDependents")
                .then(|| call.query.flag("orphanDependents")),
        };
        let propagation = match (policy.as_str(), orphan) {
            ("", None) => None,
            ("", Some(true)) | ("Orphan", None) => Some(Propagation::Orphan),
            ("", Some(false)) | ("Background", None) => Some(Propagation::Background),
            ("Foreground", None) => Some(Propagation::Foreground),
            (_, Some(_)) => {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                return Err(invalid(Cause::invalid("propagationPolicy", &policy.into(), detail)));
            }
            (other, None) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                return Err(invalid(Cause::unsupported(
                    "propagationPolicy",
                    &other.into(),
                    &supported,
                )));
            }
        };
        let grace = match body.get("gracePeriodSeconds").and_then(Value::as_i64) {
            None => call.query.get("gracePeriodSeconds").parse().ok(),
            given => given,
        };
        let in_body = object::items(&body, &["dryRun"]).iter().any(|v| v == "All");
        let precondition =
            |key: &str| Some(object::text(&body, &["preconditions", key]).to_owned()).filter(|text| !text.is_empty());
        Ok(Options {
            propagation,
            uid: precondition("uid"),
            rv: precondition("resourceVersion"),
            grace,
            dry_run: in_body || call.dry_run()?,
        })
    }
}

/// Answers `delete`.
pub fn delete(core: &Arc<Core>, call: &Call) -> ApiResult<Response<Body>> {
    let options = Options::of(call)?;
    namespaces::check_may_delete(call, &call.target.name)?;
    let removal = remove(core, &call.resource, call.namespace(), &call.target.name, &options)?;
    if !removal.gone || call.resource.traits.returns_deleted {
        return Ok(reply::json_bytes(200, present::bytes(call, &removal.object)));
    }
    let mut details = json!({"name": call.target.name, "kind": call.resource.plural, "uid": &*removal.object.uid});
    if !call.resource.group.is_empty() {
        details["group"] = call.resource.group.as_str().into();
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(reply::json(200, &status))
}

/// Answers `deletecollection` with the list of what it took on.
pub fn collection(core: &Arc<Core>, call: &Call) -> ApiResult<Response<Body>> {
    let options = Options::of(call)?;
    let selectors = Selectors::of(&call.query, &call.resource, &call.version.name)?;
    let snapshot = core.store.list(&call.resource.table, &read::scope(call));
    let mut taken = Vec::new();
    for item in snapshot.items.iter().filter(|item| selectors.matches(item)) {
        namespaces::check_may_delete(call, &item.name)?;
        match remove(core, &call.resource, &item.namespace, &item.name, &options) {
            Ok(removal) => taken.push(removal.object),
            Err(e) if e.reason == "NotFound" => {}
            Err(e) => return Err(e),
        }
    }
    let mut meta = json!({"resourceVersion": core.store.rv().to_string()});
    if call.resource.crd.is_some() {
        meta["continue"] = "".into();
    }
    Ok(reply::json_bytes(200, read::list_bytes(call, &taken, &meta)))
}

/// Deletes one object, or marks it for deletion when something holds it back.
pub fn remove(
    core: &Arc<Core>,
    resource: &Resource,
    namespace: &str,
    name: &str,
    options: &Options,
) -> ApiResult<Removal> {
    let (group, plural) = (&resource.group, &resource.plural);
    loop {
        let stored = core
            .store
            .get(&resource.table, namespace, name)
            .ok_or_else(|| ApiError::not_found(group, plural, name))?;
        check_preconditions(&stored, options).map_err(|why| ApiError::conflict(group, &resource.kind, name, &why))?;
        let live = stored.value();
        let (marked, gone) = marked(core, resource, &live, options);
        if !gone && marked == live {
            return Ok(Removal { object: stored, gone });
        }
        if options.dry_run {
            return Ok(Removal {
                object: unstored(marked),
                gone,
            });
        }
        let change = if gone {
            Change::Remove(marked, stored.rv)
        } else {
            Change::Update(marked, stored.rv)
        };
        match core.store.commit(&resource.table, change) {
            Ok(event) => {
                controllers::after(core, &resource.table, &event);
                return Ok(Removal {
                    object: event.object.clone(),
                    gone,
                });
            }
            Err(StoreError::Changed) => {}
            Err(_) => return Err(ApiError::not_found(group, plural, name)),
        }
    }
}

fn check_preconditions(stored: &Stored, options: &Options) -> Result<(), String> {
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != &*stored.uid) {
        return Err(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            stored.uid
        ));
    }
    if let Some(rv) = options.rv.as_deref().filter(|rv| *rv != stored.rv.to_string()) {
        let live = stored.rv;
        return Err(format!(
            "the ResourceVersion in the precondition ({rv}) does not match the ResourceVersion in record ({live}). The object might have been modified"
        ));
    }
    Ok(())
}

/// The object as a deletion leaves it, and whether nothing holds it back.
fn marked(core: &Core, resource: &Resource, live: &Value, options: &Options) -> (Value, bool) {
    let mut new = live.clone();
    let mut finalizers: Vec<String> = object::finalizers(live).into_iter().map(str::to_owned).collect();
    let default = (&*resource.table == "jobs.batch").then_some(Propagation::Orphan);
    let kept = finalizers.iter().any(|f| f == FOREGROUND || f == ORPHAN);
    let propagation = options.propagation.or(if kept { None } else { default });
    if let Some(propagation) = propagation {
        finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
        match propagation {
            Propagation::Background => {}
            Propagation::Foreground => finalizers.push(FOREGROUND.into()),
            Propagation::Orphan => finalizers.push(ORPHAN.into()),
        }
    }
    // Nothing here mounts volumes, so what protects them while in use lets go at once.
    finalizers.retain(|f| f != "kubernetes.io/pvc-protection" && f != "kubernetes.io/pv-protection");
    crds::hold(resource, live, &mut finalizers);
    object::set_finalizers(&mut new, &finalizers);
    let grace = pod_grace(resource, live, options);
    let held_by_spec = &*resource.table == "namespaces" && !object::items(live, &["spec", "finalizers"]).is_empty();
    if finalizers.is_empty() && grace == 0 && !held_by_spec {
        if object::is_terminating(live) {
            set_meta(&mut new, "deletionGracePeriodSeconds", Some(0.into()));
        }
        return (new, true);
    }
    let before = object::at(live, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    if !object::is_terminating(live) {
        let when = clock::plus_seconds(core.clock.now(), grace);
        set_meta(&mut new, "deletionTimestamp", Some(clock::time_text(when).into()));
        // These carry no grace period: their own controllers decide when they go.
        let own_controller = matches!(&*resource.table, "namespaces" | controllers::CRDS);
        let shown = (!own_controller).then(|| grace.into());
        set_meta(&mut new, "deletionGracePeriodSeconds", shown);
        if object::generation(live) > 0 && !own_controller {
            set_meta(&mut new, "generation", Some((object::generation(live) + 1).into()));
        }
    } else if before.is_some_and(|before| grace < before) {
        let when = clock::plus_seconds(core.clock.now(), grace);
        set_meta(&mut new, "deletionTimestamp", Some(clock::time_text(when).into()));
        set_meta(&mut new, "deletionGracePeriodSeconds", Some(grace.into()));
    }
    match &*resource.table {
        "namespaces" => drop(object::child(&mut new, "status").insert("phase".into(), "Terminating".into())),
        "customresourcedefinitions.apiextensions.k8s.io" => crds::mark_terminating(core, &mut new),
        _ => {}
    }
    (new, false)
}

/// Seconds until a pod may vanish: only a pod on a node, still running, is given time.
fn pod_grace(resource: &Resource, live: &Value, options: &Options) -> i64 {
    let ended = matches!(object::text(live, &["status", "phase"]), "Succeeded" | "Failed");
    if &*resource.table != "pods" || ended || object::text(live, &["spec", "nodeName"]).is_empty() {
        return 0;
    }
    let spec = object::at(live, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    options.grace.or(spec).unwrap_or(30).max(0)
}
