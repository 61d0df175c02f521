//! Faults that people met with such systems, each as a small input with the right outcome.
//!
//! Each case places a namespace of its own on member-1, changes something, and says what must be seen on the member and
//! in the placement's status. They run on both kinds of control plane; the real one is the judge.

mod deletion;
mod faults;
mod handover;
mod history;
mod lists;
mod names;
mod ownership;
mod values;

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::follow::{Seen, conditions, gone, until};
use crate::manifests::{apply, known};
use crate::scenarios::{WITHIN, scenario};
use crate::world::World;

/// The member that every case places on.
const MEMBER: &str = "member-1";

/// Plays all cases on a fleet whose member `member-1` has joined. One that fails does not keep the others from being
/// played.
///
/// # Errors
/// When a case fails; the text says what each of them found.
pub async fn play(world: &mut World) -> Result<()> {
    let mut failed = Vec::new();
    for case in CASES {
        let played = scenario(case.title, (case.play)(world)).await;
        failed.extend(played.err().map(|err| format!("{err:#}")));
    }
    let title = "a hub that is restored from an older state";
    let played = scenario(title, history::restored(world)).await;
    failed.extend(played.err().map(|err| format!("{err:#}")));
    ensure!(
        failed.is_empty(),
        "{} cases failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    Ok(())
}

/// A case that leaves the control planes running.
struct Scripted {
    title: &'static str,
    play: fn(&World) -> BoxFuture<'_, Result<()>>,
}

const CASES: &[Scripted] = &[
    Scripted {
        title: "objects that move to another Work are handed over",
        play: |world| handover::split(world).boxed(),
    },
    Scripted {
        title: "list entries with one port and two protocols",
        play: |world| lists::ports(world).boxed(),
    },
    Scripted {
        title: "objects that cross the size of the last-applied annotation",
        play: |world| ownership::size(world).boxed(),
    },
    Scripted {
        title: "client-side apply followed by server-side apply",
        play: |world| ownership::migration(world).boxed(),
    },
    Scripted {
        title: "a union whose other branch was defaulted",
        play: |world| values::union(world).boxed(),
    },
    Scripted {
        title: "equal values that are written differently",
        play: |world| values::equal_values(world).boxed(),
    },
    Scripted {
        title: "a replica count that is given up",
        play: |world| values::given_up_replicas(world).boxed(),
    },
    Scripted {
        title: "a report of differences that failed once",
        play: |world| faults::failed_report(world).boxed(),
    },
    Scripted {
        title: "a bad envelope beside a good one",
        play: |world| faults::bad_envelope(world).boxed(),
    },
    Scripted {
        title: "names that do not fit",
        play: |world| names::too_long(world).boxed(),
    },
    Scripted {
        title: "an override of the other scope",
        play: |world| names::other_scope(world).boxed(),
    },
    Scripted {
        title: "a deletion that waits for a finalizer",
        play: |world| deletion::held(world).boxed(),
    },
];

/// How the API of a kind is addressed.
#[derive(Clone, Copy)]
struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn kind(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group,
        version,
        kind,
        plural,
    }
}

const CONFIG_MAP: Kind = kind("", "v1", "ConfigMap", "configmaps");
const SECRET: Kind = kind("", "v1", "Secret", "secrets");
const SERVICE: Kind = kind("", "v1", "Service", "services");
const POD: Kind = kind("", "v1", "Pod", "pods");
const NAMESPACE: Kind = kind("", "v1", "Namespace", "namespaces");
const EVENT: Kind = kind("", "v1", "Event", "events");
const DEPLOYMENT: Kind = kind("apps", "v1", "Deployment", "deployments");
const PLACEMENT: Kind = kind(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ClusterResourcePlacement",
    "clusterresourceplacements",
);
const MEMBER_CLUSTER: Kind = kind(
    "cluster.kubernetes-fleet.io",
    "v1beta1",
    "MemberCluster",
    "memberclusters",
);
const WORK: Kind = kind("placement.kubernetes-fleet.io", "v1beta1", "Work", "works");

impl Kind {
    fn on(self, client: &kube::Client, namespace: Option<&str>) -> Api<DynamicObject> {
        known(client, self.group, self.version, self.kind, self.plural, namespace)
    }
}

/// One case: a namespace on the hub and a placement of it on member-1, both of this name.
struct Case<'w> {
    world: &'w World,
    name: &'static str,
}

impl<'w> Case<'w> {
    /// Creates the namespace.
    async fn begin(world: &'w World, name: &'static str) -> Result<Self> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        apply(&world.hub_client(), &namespace).await?;
        Ok(Self { world, name })
    }

    /// Applies the placement with an apply strategy; `null` leaves it out.
    async fn place(&self, apply_strategy: Value) -> Result<()> {
        let object = placement(self.name, self.name, apply_strategy);
        apply(&self.world.hub_client(), &object).await.map(|_| ())
    }

    /// Applies an object in the case's namespace on the hub.
    async fn apply(&self, kind: Kind, name: &str, mut fields: Value) -> Result<()> {
        let api_version = match kind.group {
            "" => kind.version.to_owned(),
            group => format!("{group}/{}", kind.version),
        };
        fields["apiVersion"] = json!(api_version);
        fields["kind"] = json!(kind.kind);
        fields["metadata"] = json!({"name": name, "namespace": self.name});
        apply(&self.world.hub_client(), &fields).await.map(|_| ())
    }

    fn hub(&self, kind: Kind) -> Api<DynamicObject> {
        kind.on(&self.world.hub_client(), Some(self.name))
    }

    fn member(&self, kind: Kind) -> Result<Api<DynamicObject>> {
        Ok(kind.on(&self.world.member_client(MEMBER)?, Some(self.name)))
    }

    fn placements(&self) -> Api<DynamicObject> {
        PLACEMENT.on(&self.world.hub_client(), None)
    }

    /// Waits until an object on the member is as `wanted` says; its error is the reason why it is not.
    async fn on_member<T: Debug>(
        &self,
        kind: Kind,
        name: &str,
        mut wanted: impl FnMut(&DynamicObject) -> Result<T, String>,
    ) -> Result<T> {
        let look = |object: Option<&DynamicObject>| match object.map(&mut wanted) {
            Some(Ok(value)) => Seen::Done(value),
            Some(Err(why)) => Seen::Waiting(why),
            None => Seen::Waiting("it is not there".to_owned()),
        };
        until(self.member(kind)?, name, WITHIN, look)
            .await
            .with_context(|| format!("{} {name} on {MEMBER}", kind.kind))
    }

    /// Waits until the placement's status is as `wanted` says.
    async fn status<T: Debug>(&self, mut wanted: impl FnMut(&Value) -> Result<T, String>) -> Result<T> {
        let look = |object: Option<&DynamicObject>| {
            let status = object
                .and_then(|object| object.data.get("status").cloned())
                .unwrap_or_default();
            match wanted(&status) {
                Ok(value) => Seen::Done(value),
                Err(why) => Seen::Waiting(why),
            }
        };
        until(self.placements(), self.name, WITHIN, look)
            .await
            .with_context(|| format!("the placement {}", self.name))
    }

    /// Waits until conditions of the placement, named without their prefix, have these statuses.
    async fn has(&self, wanted: &[(&str, &str)]) -> Result<()> {
        self.status(|status| {
            let all = conditions(status);
            let is = |(name, value): &(&str, &str)| {
                let name = format!("ClusterResourcePlacement{name}");
                all.iter().any(|(kind, status, ..)| *kind == name && status == value)
            };
            match wanted.iter().all(is) {
                true => Ok(()),
                false => Err(format!("{all:?}")),
            }
        })
        .await
    }

    /// Deletes the placement and the namespace and waits until hub and member are clean.
    async fn end(self) -> Result<()> {
        self.placements().delete(self.name, &DeleteParams::default()).await?;
        gone(self.placements(), self.name, WITHIN).await?;
        gone(
            NAMESPACE.on(&self.world.member_client(MEMBER)?, None),
            self.name,
            WITHIN,
        )
        .await?;
        let namespaces = NAMESPACE.on(&self.world.hub_client(), None);
        namespaces.delete(self.name, &DeleteParams::default()).await?;
        gone(namespaces, self.name, WITHIN).await
    }
}

/// A placement of a namespace on member-1 that rolls out at once.
fn placement(name: &str, namespace: &str, apply_strategy: Value) -> Value {
    let mut object = json!({
        "apiVersion": "placement.kubernetes-fleet.io/v1beta1",
        "kind": "ClusterResourcePlacement",
        "metadata": {"name": name},
        "spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": namespace}],
            "policy": {"placementType": "PickFixed", "clusterNames": [MEMBER]},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "unavailablePeriodSeconds": 1}},
        },
    });
    if !apply_strategy.is_null() {
        object["spec"]["strategy"]["applyStrategy"] = apply_strategy;
    }
    object
}

/// Follows an object for a while; every state of it in that time must be as `wanted` says.
async fn stays(
    api: Api<DynamicObject>,
    name: &str,
    period: Duration,
    mut wanted: impl FnMut(&DynamicObject) -> Result<(), String>,
) -> Result<()> {
    let begun = Instant::now();
    let mut wrong = None;
    let followed = until(api, name, period, |object| {
        let seen = match object {
            Some(object) => wanted(object),
            None => Err("it is gone".to_owned()),
        };
        match seen {
            Ok(()) => Seen::Waiting("as it must be".to_owned()),
            Err(why) => {
                wrong = Some(why);
                Seen::Done(())
            }
        }
    })
    .await;
    match (wrong, followed) {
        (Some(why), _) => bail!("{name} changed after {:.1} s: {why}", begun.elapsed().as_secs_f64()),
        // The time has run out, as it must.
        (None, Err(_)) if begun.elapsed() >= period => Ok(()),
        (None, other) => other.context("the watch ended before its time"),
    }
}

/// Waits for a Warning event about an object whose text is as `wanted` says.
async fn warned(client: &kube::Client, kind: &str, name: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
    let events = EVENT.on(client, None);
    let selector = format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning");
    let deadline = Instant::now() + WITHIN;
    loop {
        let found = events.list(&ListParams::default().fields(&selector)).await?;
        let texts: Vec<String> = found.items.iter().map(|event| text(event, "/message")).collect();
        if let Some(text) = texts.iter().find(|text| wanted(text)) {
            return Ok(text.clone());
        }
        if Instant::now() > deadline {
            bail!("no Warning event about {kind} {name} says so: {texts:?}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn text(object: &DynamicObject, pointer: &str) -> String {
    let found = object.data.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// `Ok` with the value if the check holds, else the object's data.
fn check<T>(object: &DynamicObject, holds: bool, value: T) -> Result<T, String> {
    if holds { Ok(value) } else { Err(object.data.to_string()) }
}
