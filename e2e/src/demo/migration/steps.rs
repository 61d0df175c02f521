//! The tutorial's steps, each waited for on a watch.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::{Migration, NAMESPACE, PLACEMENT};
use crate::client::Client;
use crate::demo::samples::Samples;
use crate::demo::steps::join;
use crate::demo::traffic::{Traffic, Wanted, message};
use crate::follow::{Seen, conditions, gone, until};
use crate::manifests::known;
use crate::world::World;

/// A healthy fleet takes a fraction of a second for most of it; a loaded machine may take longer.
const WITHIN: Duration = Duration::from_secs(90);
const PROFILE: &str = "nginx-profile";
const FIRST_BACKEND: &str = "nginx-backend";
const SECOND_BACKEND: &str = "nginx-backend-2";
/// Weight of each of the tutorial's backends.
const WEIGHT: i64 = 100;
/// What the tutorial shows once member-2 has the Service, too.
const WITHOUT_LABEL: &str = "1 service(s) exported from clusters cannot be exposed as the Azure Traffic Manager, for example, \
                             service exported from member-2 is invalid: DNS label is not configured to the public IP";
const ONE_ACCEPTED: &str = "1 service(s) exported from clusters have been accepted as Traffic Manager endpoints";

/// An interval of time in which a state held, in seconds since the first request.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When the change to the state began: no request before saw it.
    pub begun: f64,
    /// When it was done: every request from then on saw it.
    pub done: f64,
}

/// Places the application on member-1 and exposes it, and returns a client of its name.
pub async fn deploy(world: &World, samples: &Samples) -> Result<Client> {
    let hub = world.hub_client();
    for file in [
        "namespace.yaml",
        "nginx-service.yaml",
        "ro-nginx-service.yaml",
        "envelop-object.yaml",
        "crp-availability.yaml",
    ] {
        samples.apply(&hub, file).await?;
    }
    placed(world, &["member-1"], &["nginx-service"]).await?;
    for file in ["nginx-profile.yaml", "nginx-backend.yaml"] {
        samples.apply(&hub, file).await?;
    }
    let traffic = Traffic::new(world, NAMESPACE);
    let client = traffic.programmed(PROFILE, samples.port()).await?;
    ensure!(
        client.name() == traffic.dns_name(PROFILE),
        "the profile's name is {}",
        client.name()
    );
    let wanted = Wanted {
        accepted: true,
        endpoints: &[("member-1", WEIGHT)],
    };
    traffic.judged(FIRST_BACKEND, wanted).await?;
    Ok(client)
}

impl Migration<'_> {
    /// member-2 gets the application; its Service has no DNS label and takes no traffic.
    pub(super) async fn join_member_2(&mut self) -> Result<()> {
        self.client.mark("member-2 starts and joins");
        self.world
            .add_members(&["member-2"])
            .await
            .context("member-2 does not start")?;
        join(self.world, &self.samples, "member-2").await?;
        placed(self.world, &["member-1", "member-2"], &["nginx-service"]).await?;
        let wanted = Wanted {
            accepted: false,
            endpoints: &[("member-1", WEIGHT)],
        };
        self.judged(FIRST_BACKEND, wanted, WITHOUT_LABEL).await?;
        self.client.mark("the application runs on member-2, without traffic");
        Ok(())
    }

    /// The first Service leaves member-2: its export, then itself.
    pub(super) async fn stop_exposing_on_member_2(&mut self) -> Result<()> {
        self.client.mark("overrides keep nginx-service from member-2");
        self.apply("ro-nginx-service-export.yaml").await?;
        let wanted = Wanted {
            accepted: true,
            endpoints: &[("member-1", WEIGHT)],
        };
        self.judged(FIRST_BACKEND, wanted, ONE_ACCEPTED).await?;
        self.apply("ro-nginx-service-member-2.yaml").await?;
        self.absent("member-2", "nginx-service").await
    }

    /// Another Service takes its place on member-2, with a DNS label.
    pub(super) async fn place_second_service(&mut self) -> Result<()> {
        for file in [
            "ro-nginx-service-export-2.yaml",
            "ro-nginx-service-2.yaml",
            "nginx-service-2.yaml",
        ] {
            self.apply(file).await?;
        }
        let services = ["nginx-service", "nginx-service-2"];
        placed(self.world, &["member-1", "member-2"], &services).await?;
        self.client.mark("nginx-service-2 runs on member-2");
        Ok(())
    }

    /// The second Service takes half of the traffic.
    pub(super) async fn expose_second_service(&mut self) -> Result<Moment> {
        let begun = self.client.mark("nginx-backend-2 is created");
        self.apply("nginx-backend-2.yaml").await?;
        let wanted = Wanted {
            accepted: true,
            endpoints: &[("member-2", WEIGHT)],
        };
        self.judged(SECOND_BACKEND, wanted, ONE_ACCEPTED).await?;
        let done = self.client.now();
        Ok(Moment { begun, done })
    }

    /// The first backend goes, and with it all traffic of member-1.
    pub(super) async fn stop_serving_from_member_1(&mut self) -> Result<Moment> {
        let begun = self.client.mark("nginx-backend is deleted");
        let backends = Traffic::new(self.world, NAMESPACE).backends();
        delete(&backends, FIRST_BACKEND).await?;
        gone(backends, FIRST_BACKEND, WITHIN).await?;
        let done = self.client.now();
        Ok(Moment { begun, done })
    }

    /// member-1 leaves the fleet. It keeps what was placed but for the fleet's own ServiceExport.
    pub(super) async fn remove_member_1(&mut self) -> Result<()> {
        self.client.mark("member-1 leaves the fleet");
        let hub = self.world.hub_client();
        let members = known(
            &hub,
            "cluster.kubernetes-fleet.io",
            "v1beta1",
            "MemberCluster",
            "memberclusters",
            None,
        );
        delete(&members, "member-1").await?;
        gone(members, "member-1", WITHIN).await?;
        let exports = self.on("member-1", "networking.fleet.azure.com", "v1alpha1", "ServiceExport")?;
        gone(exports, "nginx-service", WITHIN)
            .await
            .context("member-1 keeps its ServiceExport")?;
        for (group, kind, name) in [
            ("", "Service", "nginx-service"),
            ("apps", "Deployment", "nginx-deployment"),
        ] {
            let left = self.on("member-1", group, "v1", kind)?.get_opt(name).await?;
            if left.is_none() {
                self.wrong.push(format!("member-1 has lost the {kind} {name}"));
            }
        }
        placed(self.world, &["member-2"], &["nginx-service", "nginx-service-2"]).await
    }

    /// What nobody uses any more goes from the hub.
    pub(super) async fn clean_up(&mut self) -> Result<()> {
        self.client.mark("the old Service and its overrides are deleted");
        let hub = self.world.hub_client();
        let of = |group: &str, version: &str, kind: &str| {
            let plural = format!("{}s", kind.to_lowercase());
            known(&hub, group, version, kind, &plural, Some(NAMESPACE))
        };
        let overrides = of("placement.kubernetes-fleet.io", "v1alpha1", "ResourceOverride");
        delete(&overrides, "ro-nginx-service-export").await?;
        delete(&overrides, "ro-nginx-service").await?;
        let exports = of("networking.fleet.azure.com", "v1alpha1", "ServiceExport");
        delete(&exports, "nginx-service").await?;
        delete(&of("", "v1", "Service"), "nginx-service").await?;
        placed(self.world, &["member-2"], &["nginx-service-2"]).await?;
        self.absent("member-2", "nginx-service").await
    }

    async fn apply(&self, file: &str) -> Result<()> {
        self.samples.apply(&self.world.hub_client(), file).await
    }

    /// Waits until a backend says what the tutorial shows, and notes a message that differs.
    async fn judged(&mut self, backend: &str, wanted: Wanted<'_>, text: &str) -> Result<()> {
        let found = Traffic::new(self.world, NAMESPACE).judged(backend, wanted).await?;
        let found = message(&found, "Accepted");
        if found != text {
            self.wrong
                .push(format!("{backend} says {found:?}, the tutorial shows {text:?}"));
        }
        Ok(())
    }

    /// Waits until a Service and its export are gone from a member.
    async fn absent(&self, member: &str, name: &str) -> Result<()> {
        let exports = self.on(member, "networking.fleet.azure.com", "v1alpha1", "ServiceExport")?;
        gone(exports, name, WITHIN).await?;
        gone(self.on(member, "", "v1", "Service")?, name, WITHIN).await
    }

    /// The objects of a kind in the application's namespace on a member.
    fn on(&self, member: &str, group: &str, version: &str, kind: &str) -> Result<Api<DynamicObject>> {
        let plural = format!("{}s", kind.to_lowercase());
        let client = self.world.member_client(member)?;
        Ok(known(&client, group, version, kind, &plural, Some(NAMESPACE)))
    }
}

async fn delete(api: &Api<DynamicObject>, name: &str) -> Result<()> {
    let deleted = tokio::time::timeout(WITHIN, api.delete(name, &DeleteParams::default())).await;
    deleted
        .context("the API server does not answer")?
        .with_context(|| format!("{name} cannot be deleted"))?;
    Ok(())
}

/// Waits until the placement has selected these Services and is complete on exactly these clusters.
async fn placed(world: &World, clusters: &[&str], services: &[&str]) -> Result<()> {
    let (kind, plural) = ("ClusterResourcePlacement", "clusterresourceplacements");
    let hub = world.hub_client();
    let placements = known(&hub, "placement.kubernetes-fleet.io", "v1", kind, plural, None);
    until(placements, PLACEMENT, WITHIN, |object| {
        let Some(object) = object else {
            return Seen::Waiting("the placement does not exist".to_owned());
        };
        match incomplete(object, clusters, services) {
            None => Seen::Done(()),
            Some(why) => Seen::Waiting(why),
        }
    })
    .await
    .with_context(|| format!("{PLACEMENT} does not become Available on {clusters:?} with {services:?}"))
}

fn incomplete(placement: &DynamicObject, clusters: &[&str], services: &[&str]) -> Option<String> {
    let status = &placement.data["status"];
    let names = |list: &str, key: &str, keep: &dyn Fn(&Value) -> bool| {
        let all = status[list].as_array().into_iter().flatten().filter(|one| keep(one));
        let mut names: Vec<String> = all
            .map(|one| one[key].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    };
    let selected = names("selectedResources", "name", &|one| one["kind"] == "Service");
    if selected != services {
        return Some(format!("it has selected the Services {selected:?}"));
    }
    let placed = names("placementStatuses", "clusterName", &|_| true);
    if placed != clusters {
        return Some(format!("it is on {placed:?}"));
    }
    let generation = json!(placement.metadata.generation);
    let holders = status["placementStatuses"].as_array().into_iter().flatten();
    for holder in holders.chain([status]) {
        let all = holder["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let holds = |c: &&Value| c["status"] == "True" && c["observedGeneration"] == generation;
        if all.len() < 6 || !all.iter().all(|c| holds(&c)) {
            return Some(format!("{} {:?}", holder["clusterName"], conditions(holder)));
        }
    }
    None
}
