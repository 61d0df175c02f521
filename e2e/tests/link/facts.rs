//! Facts for traffic on their way from members to their records: public addresses by a cloud or without one, readiness,
//! weights, and what is left of them when the feature is off or the member leaves.

use std::path::PathBuf;
use std::time::Duration;

use kit::writer::{Deletion, Patch};
use kit::{ObjectKey, Resource};
use member_agent::link::{CloudConfigFile, Objects, Stage, Way};
use serde_json::{Value, json};
use traffic_manager::decide::Operation;
use traffic_manager::faults::{CLIENT, Fault, Options, Rule, SECRET, Server, TENANT};
use traffic_manager::model::ResourceId;

use crate::world::{
    EXPORTS, FINE, Member, RECORDS, SERVICES, TIME_LIMIT, WEIGHT, World, equal, eventually, eventually_in, list,
};

const SLICES: Resource = Resource::namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");
const READY: &str = "networking.fleet.azure.com/service-ready";
const LOOKUP_ERROR: &str = "networking.fleet.azure.com/public-ip-lookup-error";
const PRIORITY: &str = "networking.fleet.azure.com/endpoint-priority";
const LOCATION: &str = "networking.fleet.azure.com/endpoint-location";
const INTERNAL: &str = "service.beta.kubernetes.io/azure-load-balancer-internal";
const GROUP: &str = "service.beta.kubernetes.io/azure-load-balancer-resource-group";
const LABEL: &str = "service.beta.kubernetes.io/azure-dns-label-name";
/// A list that failed is repeated within 36 s, and one that is younger than 10 s serves again.
const LISTED_AGAIN: Duration = Duration::from_secs(120);

/// How a member reports.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reporting {
    Session,
    Objects,
}

const BOTH: [Reporting; 2] = [Reporting::Session, Reporting::Objects];

/// A traffic manager in the place of Azure.
struct Azure {
    server: Server,
    folder: PathBuf,
}

impl Azure {
    async fn start(world: &World, name: &str) -> Self {
        let folder = world.folder.join(name);
        // Every address is a page of its own.
        let options = Options {
            page: 1,
            ..Options::default()
        };
        let server = Server::start(&folder, options).await.unwrap();
        Self { server, folder }
    }

    /// A cloud config of this cloud.
    fn config(&self) -> CloudConfigFile {
        let config = json!({
            "location": "eastus2", "subscriptionId": "sub", "resourceGroup": "rg", "tenantId": TENANT,
            "aadClientId": CLIENT, "aadClientSecret": SECRET, "resourceManagerEndpoint": self.server.url,
        });
        let path = self.folder.join("azure.json");
        std::fs::write(&path, config.to_string()).unwrap();
        CloudConfigFile { path, is_given: true }
    }

    async fn address(&self, group: &str, name: &str, ip: &str, label: Option<&str>) {
        let id = ResourceId {
            subscription: "sub".to_owned(),
            group: group.to_owned(),
            name: name.to_owned(),
        };
        let mut properties = json!({"ipAddress": ip, "publicIPAllocationMethod": "Static"});
        if let Some(label) = label {
            properties["dnsSettings"] = json!({"domainNameLabel": label});
        }
        let body = json!({"location": "eastus2", "properties": properties});
        let body = body.as_object().unwrap().clone();
        self.server.engine.write(Operation::PutAddress(id, body)).await.unwrap();
    }

    fn id(group: &str, name: &str) -> String {
        format!("/subscriptions/sub/resourceGroups/{group}/providers/Microsoft.Network/publicIPAddresses/{name}")
    }
}

async fn member(world: &World, name: &str, way: Reporting, cloud_config: CloudConfigFile) -> Member {
    let mut member = world.member(name).await;
    member.cloud_config = cloud_config;
    if way == Reporting::Objects {
        member.way = Some(Way::Objects(Objects {
            hub: world.client_of(name),
            cluster: name.to_owned(),
            traffic_manager: true,
        }));
    }
    member
}

/// A member without a cloud.
fn no_cloud() -> CloudConfigFile {
    CloudConfigFile {
        path: PathBuf::new(),
        is_given: true,
    }
}

/// An exported load balancer with an address.
async fn balancer(member: &Member, name: &str, ip: &str, annotations: Value) {
    let object = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "app", "name": name, "annotations": annotations},
        "spec": {"type": "LoadBalancer", "selector": {"app": name},
                 "ports": [{"name": "web", "port": 80, "targetPort": 8080}]}});
    member.user.create(&SERVICES, Some("app"), &object).await.unwrap();
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
    let key = ObjectKey::namespaced("app", name);
    member
        .user
        .patch(&SERVICES, &key, Some("status"), Patch::Merge, &status)
        .await
        .unwrap();
    member.export(name).await;
}

/// A slice of a Service with one endpoint.
async fn slice(member: &Member, service: &str, is_ready: bool) {
    let object = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "app", "name": format!("{service}-1"),
            "labels": {"kubernetes.io/service-name": service}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": is_ready}}], "ports": []});
    member.user.create(&SLICES, Some("app"), &object).await.unwrap();
}

/// What a record says for traffic.
async fn facts(world: &World, member: &str, name: &str) -> Value {
    let all = list(&world.user, &RECORDS, &format!("fleet-member-{member}")).await;
    let Some(record) = all
        .iter()
        .find(|record| record["spec"]["serviceReference"]["name"] == name)
    else {
        return Value::Null;
    };
    let (spec, annotations) = (&record["spec"], &record["metadata"]["annotations"]);
    json!({
        "type": spec["type"], "weight": spec["weight"], "internal": spec["isInternalLoadBalancer"],
        "id": spec["publicIPResourceID"], "label": spec["isDNSLabelConfigured"],
        "ready": annotations[READY], "error": annotations[LOOKUP_ERROR],
    })
}

async fn says(world: &World, member: &str, name: &str, expected: Value) {
    eventually_in(LISTED_AGAIN, &format!("the record of {name} of {member}"), || async {
        equal(facts(world, member, name).await, expected.clone())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_a_cloud_reach_the_record() {
    let mut world = World::new().await;
    world.start();
    let azure = Azure::start(&world, "azure").await;
    azure.address("rg", "pip-other", "203.0.113.9", Some("other")).await;
    azure.address("rg", "pip-web", "203.0.113.1", Some("web")).await;
    azure.address("rg", "pip-bare", "203.0.113.2", None).await;
    azure.address("elsewhere", "pip-far", "203.0.113.3", Some("far")).await;
    for way in BOTH {
        let name = format!("{way:?}").to_lowercase();
        let mut member = member(&world, &name, way, azure.config()).await;
        balancer(&member, "web", "203.0.113.1", json!({})).await;
        balancer(&member, "bare", "203.0.113.2", json!({LABEL: "wanted"})).await;
        balancer(&member, "far", "203.0.113.3", json!({GROUP: "elsewhere"})).await;
        balancer(&member, "unlabelled", "203.0.113.1", json!({LABEL: ""})).await;
        balancer(&member, "unknown", "203.0.113.77", json!({})).await;
        balancer(&member, "private", "203.0.113.1", json!({INTERNAL: "true"})).await;
        member
            .patch(&EXPORTS, "web", json!({"metadata": {"annotations": {WEIGHT: "70"}}}))
            .await;
        member.start();
        let found = |id: &str, label: bool| {
            json!({"type": "LoadBalancer", "weight": 1, "internal": false, "id": id, "label": label, "ready": "false",
                "error": null})
        };
        let mut web = found(&Azure::id("rg", "pip-web"), true);
        web["weight"] = json!(70);
        says(&world, &name, "web", web.clone()).await;
        says(&world, &name, "bare", found(&Azure::id("rg", "pip-bare"), false)).await;
        says(&world, &name, "far", found(&Azure::id("elsewhere", "pip-far"), true)).await;
        says(&world, &name, "unlabelled", found(&Azure::id("rg", "pip-web"), false)).await;
        let mut unknown = found("", false);
        (unknown["id"], unknown["label"]) = (Value::Null, Value::Null);
        says(&world, &name, "unknown", unknown.clone()).await;
        let mut private = unknown;
        (private["internal"], private["ready"]) = (json!(true), Value::Null);
        says(&world, &name, "private", private).await;

        // An export that cannot be judged stays as it is, and its user reads why.
        member
            .patch(&EXPORTS, "web", json!({"metadata": {"annotations": {WEIGHT: "1001"}}}))
            .await;
        member
            .shows(
                "web",
                "False/ServiceExportInvalidWeightAnnotation False/NoConflictFound",
            )
            .await;
        assert_eq!(facts(&world, &name, "web").await, web);

        // A Service that is no load balancer any more has no address.
        member
            .patch(&SERVICES, "far", json!({"spec": {"type": "ClusterIP"}}))
            .await;
        let gone = json!({"type": "ClusterIP", "weight": 1, "internal": null, "id": null, "label": null, "ready": null,
            "error": null});
        says(&world, &name, "far", gone).await;
        member.stop().await;
    }
    world.stop().await;
    azure.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_that_fail_say_why_and_are_repeated() {
    let mut world = World::new().await;
    world.start();
    let azure = Azure::start(&world, "azure").await;
    azure.address("rg", "pip-web", "203.0.113.1", None).await;
    let fault = |fault| Rule::new(fault).path("publicipaddresses");
    let mut members = Vec::new();
    for (name, way, failure, error) in [
        (
            "forbidden",
            Reporting::Session,
            Fault::Refuse(403, "AuthorizationFailed", None),
            "403 AuthorizationFailed",
        ),
        (
            "throttled",
            Reporting::Objects,
            Fault::Refuse(429, "TooManyRequests", Some(1)),
            "429 TooManyRequests",
        ),
        (
            "garbled",
            Reporting::Session,
            Fault::Garbage,
            "the answer is not JSON (line 1, column 1)",
        ),
    ] {
        azure.server.faults.clear();
        azure.server.faults.add(fault(failure));
        let mut member = member(&world, name, way, azure.config()).await;
        balancer(&member, "web", "203.0.113.1", json!({})).await;
        member.start();
        // Conflicts are resolved all the same.
        member.shows("web", FINE).await;
        let failed = json!({"type": "LoadBalancer", "weight": 1, "internal": false, "id": null, "label": null,
            "ready": "false", "error": error});
        says(&world, name, "web", failed).await;
        members.push(member);
    }
    azure.server.faults.clear();
    let mut found = json!({"type": "LoadBalancer", "weight": 1, "internal": false, "id": Azure::id("rg", "pip-web"),
        "label": false, "ready": "false", "error": null});
    for member in &members {
        says(&world, &member.name, "web", found.clone()).await;
    }
    // A label that somebody sets without Kubernetes appears as well.
    azure.address("rg", "pip-web", "203.0.113.1", Some("web")).await;
    found["label"] = json!(true);
    for member in &members {
        says(&world, &member.name, "web", found.clone()).await;
    }
    // What is known survives a restart while the cloud does not answer.
    azure.server.stop().await;
    for member in &mut members {
        member.stop().await;
        member.start();
        member
            .patch(&EXPORTS, "web", json!({"metadata": {"annotations": {WEIGHT: "5"}}}))
            .await;
        eventually("the weight is recorded and the address kept", || async {
            let now = facts(&world, &member.name, "web").await;
            equal(
                (now["weight"].clone(), now["id"].clone()),
                (json!(5), found["id"].clone()),
            )
        })
        .await;
        member.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_config_that_cannot_be_used_stops_addresses_only() {
    let mut world = World::new().await;
    world.start();
    let missing = CloudConfigFile {
        path: world.folder.join("no-such-file.json"),
        is_given: true,
    };
    let mut member = member(&world, "m1", Reporting::Session, missing).await;
    balancer(&member, "web", "203.0.113.1", json!({})).await;
    member.start();
    member.shows("web", FINE).await;
    eventually("the error names the file", || async {
        let error = facts(&world, "m1", "web").await["error"].clone();
        let is_named = error.as_str().is_some_and(|error| error.contains("no-such-file.json"));
        if is_named { Ok(()) } else { Err(error.to_string()) }
    })
    .await;
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_users_choose_of_an_endpoint_reaches_the_record_and_goes() {
    let mut world = World::new().await;
    world.start();
    for way in BOTH {
        let name = format!("{way:?}").to_lowercase();
        let mut member = member(&world, &name, way, no_cloud()).await;
        balancer(&member, "web", "203.0.113.1", json!({LABEL: "web"})).await;
        member.start();
        let choose = async |priority: Value, location: Value| {
            let annotations = json!({PRIORITY: priority, LOCATION: location});
            let body = json!({"metadata": {"annotations": annotations}});
            member.patch(&EXPORTS, "web", body).await;
        };
        let recorded = async |expected: [Value; 2]| {
            eventually(&format!("{name} is recorded with {expected:?}"), || async {
                let all = list(&world.user, &RECORDS, &format!("fleet-member-{name}")).await;
                let annotations = all.first().map(|record| record["metadata"]["annotations"].clone());
                let annotations = annotations.unwrap_or_default();
                let found = [PRIORITY, LOCATION].map(|key| annotations[key].clone());
                equal(found, expected.clone())
            })
            .await;
        };
        member.shows("web", FINE).await;
        choose(json!("3"), json!("West Europe")).await;
        recorded([json!("3"), json!("West Europe")]).await;
        choose(json!("2"), Value::Null).await;
        recorded([json!("2"), Value::Null]).await;
        // What cannot be used changes nothing, and its user reads why.
        choose(json!("0"), json!("North Europe")).await;
        member
            .shows(
                "web",
                "False/ServiceExportInvalidEndpointAnnotation False/NoConflictFound",
            )
            .await;
        recorded([json!("2"), Value::Null]).await;
        choose(Value::Null, Value::Null).await;
        member.shows("web", FINE).await;
        recorded([Value::Null, Value::Null]).await;
        member.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_reaches_the_record_without_a_cloud_too() {
    let mut world = World::new().await;
    world.start();
    for way in BOTH {
        let name = format!("{way:?}").to_lowercase();
        let mut member = member(&world, &name, way, no_cloud()).await;
        balancer(&member, "web", "203.0.113.1", json!({LABEL: "web"})).await;
        member.exported_service("inside", 80).await;
        member.start();
        let id = format!(
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/{name}/providers/Microsoft.Network/\
             publicIPAddresses/ip-203-0-113-1"
        );
        let ready = |ready: &str| {
            json!({"type": "LoadBalancer", "weight": 1, "internal": false, "id": id, "label": true, "ready": ready,
                "error": null})
        };
        says(&world, &name, "web", ready("false")).await;
        slice(&member, "web", true).await;
        slice(&member, "inside", true).await;
        says(&world, &name, "web", ready("true")).await;
        let key = "web-1";
        let endpoint =
            |is_ready: bool| json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": is_ready}}]});
        member.patch(&SLICES, key, endpoint(false)).await;
        says(&world, &name, "web", ready("false")).await;
        member.patch(&SLICES, key, endpoint(true)).await;
        says(&world, &name, "web", ready("true")).await;
        // A restart of the agent changes nothing of it.
        let written = world.writes();
        member.stop().await;
        member.start();
        member.delete(&SLICES, key).await;
        says(&world, &name, "web", ready("false")).await;
        if way == Reporting::Session {
            assert_eq!(world.writes() - written, 1, "one change is one write");
        }
        let inside = facts(&world, &name, "inside").await;
        assert_eq!((&inside["ready"], &inside["type"]), (&Value::Null, &json!("ClusterIP")));
        member.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_feature_records_hold_nothing_for_traffic() {
    let mut world = World::new().await;
    world.start();
    for way in BOTH {
        let name = format!("{way:?}").to_lowercase();
        let mut member = member(&world, &name, way, no_cloud()).await;
        balancer(&member, "web", "203.0.113.1", json!({})).await;
        slice(&member, "web", true).await;
        member.start();
        let expected = json!("true");
        eventually("the feature is on", || async {
            equal(facts(&world, &name, "web").await["ready"].clone(), expected.clone())
        })
        .await;
        member.stop().await;
        member.has_traffic = false;
        member.start();
        let nothing = json!({"type": null, "weight": null, "internal": null, "id": null, "label": null, "ready": null,
            "error": null});
        says(&world, &name, "web", nothing).await;
        member.shows("web", FINE).await;
        member.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_goes_while_its_member_leaves_is_withdrawn_once() {
    let mut world = World::new().await;
    world.start();
    for way in BOTH {
        let name = format!("{way:?}").to_lowercase();
        let mut member = member(&world, &name, way, no_cloud()).await;
        for service in ["web", "api", "far"] {
            balancer(&member, service, "203.0.113.1", json!({})).await;
            slice(&member, service, true).await;
        }
        member.start();
        for service in ["web", "api", "far"] {
            member.shows(service, FINE).await;
        }
        member.departure.set(Stage::Leaving);
        // Its user takes one away meanwhile, another one's Service goes, and a third changes.
        let web = ObjectKey::namespaced("app", "web");
        let _gone = member.user.delete(&EXPORTS, &web, Deletion::default()).await;
        member.delete(&SERVICES, "api").await;
        member.delete(&SLICES, "far-1").await;
        assert_eq!(member.departure.withdrawn(TIME_LIMIT).await, Ok(()));
        assert!(world.records(&name).await.is_empty(), "{way:?}");
        // What is exported while the member leaves is not reported.
        member.export("far").await;
        member.shows("far", "gone").await;
        assert!(world.records(&name).await.is_empty(), "{way:?}");
        member.stop().await;
    }
    world.stop().await;
}
