use serde_json::{Value, json};

use super::*;
use crate::health::{EndpointStatus, profile_status, statuses};
use crate::transitions;

const BASE: &str = "/subscriptions/Sub/resourceGroups/Rg/providers/Microsoft.Network";

fn settings() -> Settings {
    Settings {
        origin: "trafficmanager.net".to_owned(),
        reserved: ["ns1".to_owned()].into(),
        max_profiles: 3,
        max_endpoints: 4,
        page: 2,
    }
}

/// A state that operations go through one after the other.
struct World {
    state: State,
    settings: Settings,
    now: Timestamp,
}

fn id(name: &str) -> ResourceId {
    ResourceId {
        subscription: "Sub".to_owned(),
        group: "Rg".to_owned(),
        name: name.to_owned(),
    }
}

fn endpoint_id(profile: &str, kind: &str, name: &str) -> EndpointId {
    EndpointId {
        profile: id(profile),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn synthetic(address: &str) -> String {
    format!(
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/member-1/providers/Microsoft.Network/\
         publicIPAddresses/ip-{}",
        address.replace('.', "-")
    )
}

fn profile_body(name: &str) -> Value {
    json!({
        "location": "global",
        "tags": {"networking.fleet.azure.com.trafficManagerProfile": "ns/name"},
        "properties": {
            "profileStatus": "Enabled",
            "trafficRoutingMethod": "Weighted",
            "dnsConfig": {"relativeName": name, "ttl": 60},
            "monitorConfig": {"protocol": "HTTP", "port": 80, "path": "/", "intervalInSeconds": 30,
                "timeoutInSeconds": 10, "toleratedNumberOfFailures": 3},
        },
    })
}

fn azure(target: &str, weight: u32) -> Value {
    json!({"properties": {"targetResourceId": target, "endpointStatus": "Enabled", "weight": weight}})
}

impl World {
    fn new() -> Self {
        Self {
            state: State::default(),
            settings: settings(),
            now: "2026-11-30T12:00:00Z".parse().unwrap(),
        }
    }

    /// Decides and applies. Answers the status and body, or the status and code of the error.
    fn run(&mut self, operation: Operation) -> (u16, Value) {
        match decide(&self.state, &self.settings, operation, self.now) {
            Ok(decision) => {
                for change in decision.changes {
                    self.state.apply(change);
                }
                (decision.answer.status, decision.answer.body.unwrap_or(Value::Null))
            }
            Err(err) => (err.status, err.body()),
        }
    }

    fn put_profile(&mut self, name: &str, body: Value) -> (u16, Value) {
        self.run(Operation::PutProfile(id(name), object(body)))
    }

    fn put_endpoint(&mut self, profile: &str, name: &str, body: Value) -> (u16, Value) {
        let id = endpoint_id(profile, "AzureEndpoints", name);
        self.run(Operation::PutEndpoint(id, object(body)))
    }

    fn status(&self, profile: &str, endpoint: &str) -> EndpointStatus {
        let profile = self.state.profile(&id(profile).key()).unwrap();
        let mut all = statuses(&self.state, profile);
        all.find(|(one, ..)| one.name == endpoint).unwrap().2
    }

    fn hint(&mut self, profile: &str, endpoint: &str, state: &str, seconds: u32) -> (u16, Value) {
        let endpoint = format!("{BASE}/trafficManagerProfiles/{profile}/azureEndpoints/{endpoint}");
        let body =
            json!({"hints": [{"endpoint": endpoint, "state": state, "expiresInSeconds": seconds, "reason": "gone"}]});
        self.run(Operation::Hint(serde_json::from_value(body).unwrap()))
    }

    fn observe(&mut self, profile: &str, endpoint: &str, address: &str, health: Health) {
        self.run(Operation::Observe(Observation {
            profile: id(profile).key(),
            kind: EndpointKind::Azure,
            name: endpoint.to_owned(),
            destination: Destination::Address(address.parse().unwrap()),
            health,
            problem: Some("refused".to_owned()),
        }));
    }
}

fn code(answer: &(u16, Value)) -> (u16, String) {
    let code = answer
        .1
        .pointer("/error/code")
        .and_then(Value::as_str)
        .unwrap_or_default();
    (answer.0, code.to_owned())
}

#[test]
fn a_profile_lives_as_in_azure() {
    let mut world = World::new();
    let (status, body) = world.put_profile("Fleet-1", profile_body("Team-App"));
    assert_eq!(status, 201);
    assert_eq!(body["id"], json!(format!("{BASE}/trafficManagerProfiles/Fleet-1")));
    assert_eq!(body["type"], json!("Microsoft.Network/trafficManagerProfiles"));
    assert_eq!(
        body["properties"]["dnsConfig"]["fqdn"],
        json!("Team-App.trafficmanager.net")
    );
    assert_eq!(
        body["properties"]["monitorConfig"]["profileMonitorStatus"],
        json!("Inactive")
    );
    assert_eq!(body["properties"]["endpoints"], json!([]));

    let (status, again) = world.put_profile("FLEET-1", profile_body("team-app"));
    assert_eq!(
        (status, &again["name"]),
        (200, &json!("Fleet-1")),
        "the first spelling stays"
    );
    let decision = decide(
        &world.state,
        &world.settings,
        Operation::PutProfile(id("fleet-1"), object(again.clone())),
        world.now,
    );
    assert_eq!(
        decision.unwrap().changes,
        [],
        "an answer that is sent back changes nothing"
    );

    assert_eq!(world.run(Operation::GetProfile(id("fleet-1"))), (200, again.clone()));
    let scope = Scope::Subscription("SUB".to_owned());
    assert_eq!(
        world.run(Operation::ListProfiles(scope)),
        (200, json!({"value": [again]}))
    );
    assert_eq!(world.run(Operation::DeleteProfile(id("FLEET-1"))).0, 200);
    assert_eq!(world.run(Operation::DeleteProfile(id("fleet-1"))).0, 204);
    let gone = world.run(Operation::GetProfile(id("fleet-1")));
    assert_eq!(code(&gone), (404, "ResourceNotFound".to_owned()));
}

#[test]
fn a_patch_changes_what_it_names_and_replaces_tags() {
    let mut world = World::new();
    world.put_profile("p", profile_body("app"));
    world.put_endpoint("p", "e", azure(&synthetic("203.0.113.7"), 5));
    let patch = json!({"tags": {"a": "b"}, "properties": {"dnsConfig": {"ttl": 5},
        "monitorConfig": {"intervalInSeconds": 1, "timeoutInSeconds": 1}}});
    let (status, body) = world.run(Operation::PatchProfile(id("p"), object(patch)));
    assert_eq!(status, 200);
    assert_eq!(body["tags"], json!({"a": "b"}));
    assert_eq!(body["properties"]["dnsConfig"]["ttl"], json!(5));
    assert_eq!(body["properties"]["monitorConfig"]["intervalInSeconds"], json!(1));
    assert_eq!(body["properties"]["monitorConfig"]["port"], json!(80));
    assert_eq!(
        body["properties"]["endpoints"].as_array().unwrap().len(),
        1,
        "endpoints stay"
    );

    let patch = json!({"properties": {"weight": 9, "endpointStatus": "Disabled"}});
    let endpoint = endpoint_id("p", "azureendpoints", "E");
    let (status, body) = world.run(Operation::PatchEndpoint(endpoint, object(patch)));
    assert_eq!((status, &body["properties"]["weight"]), (200, &json!(9)));
    assert_eq!(body["properties"]["endpointMonitorStatus"], json!("Disabled"));
    let missing = world.run(Operation::PatchProfile(id("q"), Map::new()));
    assert_eq!(code(&missing), (404, "ResourceNotFound".to_owned()));
}

#[test]
fn a_put_of_a_profile_replaces_its_endpoints_and_keeps_their_health() {
    let mut world = World::new();
    world.put_profile("p", profile_body("app"));
    world.put_endpoint("p", "e", azure(&synthetic("203.0.113.7"), 5));
    world.observe("p", "e", "203.0.113.7", Health::Online);
    let (_, read) = world.run(Operation::GetProfile(id("p")));
    let mut sent = read.clone();
    sent["properties"]["dnsConfig"]["ttl"] = json!(7);
    assert_eq!(world.put_profile("p", sent).0, 200);
    assert_eq!(world.status("p", "e"), EndpointStatus::Online);
    assert_eq!(world.put_profile("p", profile_body("app")).0, 200);
    let profile = world.state.profile(&id("p").key()).unwrap();
    assert!(profile.endpoints.is_empty());
}

#[test]
fn endpoints_are_written_found_and_deleted_in_any_case() {
    let mut world = World::new();
    let orphan = world.put_endpoint("p", "e", azure(&synthetic("203.0.113.7"), 5));
    assert_eq!(code(&orphan), (404, "ParentResourceNotFound".to_owned()));
    world.put_profile("p", profile_body("app"));
    let name = "fleet-1#Nginx#member-1";
    let mut body = azure(&synthetic("203.0.113.7"), 5);
    body["name"] = json!(name);
    body["type"] = json!("Microsoft.Network/trafficManagerProfiles/AzureEndpoints");
    let (status, answer) = world.put_endpoint("p", name, body.clone());
    assert_eq!(status, 201);
    assert_eq!(
        answer["type"],
        json!("Microsoft.Network/trafficManagerProfiles/azureEndpoints")
    );
    assert_eq!(
        answer["id"],
        json!(format!("{BASE}/trafficManagerProfiles/p/azureEndpoints/{name}"))
    );
    assert_eq!(answer["properties"]["target"], json!("203.0.113.7"));
    assert_eq!(answer["properties"]["endpointMonitorStatus"], json!("CheckingEndpoint"));
    assert_eq!(world.put_endpoint("p", &name.to_uppercase(), body).0, 200);
    let get = |kind: &str| Operation::GetEndpoint(endpoint_id("P", kind, &name.to_uppercase()));
    let (status, found) = world.run(get("AZUREENDPOINTS"));
    assert_eq!((status, &found["name"]), (200, &json!(name)));
    assert_eq!(
        code(&world.run(get("ExternalEndpoints"))),
        (404, "ResourceNotFound".to_owned())
    );
    assert_eq!(code(&world.run(get("NestedEndpoints"))), (400, "BadRequest".to_owned()));

    let mut delete = |kind: &str| world.run(Operation::DeleteEndpoint(endpoint_id("p", kind, name))).0;
    assert_eq!(delete("ExternalEndpoints"), 200, "Azure answers a wrong type so");
    assert_eq!(delete("anything"), 200);
    assert_eq!(delete("azureEndpoints"), 200);
    assert_eq!(delete("azureEndpoints"), 204);
}

#[test]
fn targets_names_and_dns_names_are_unique() {
    let mut world = World::new();
    world.put_profile("p", profile_body("app"));
    world.put_endpoint("p", "e", azure(&synthetic("203.0.113.7"), 1));
    let twice = world.put_endpoint("p", "f", azure(&synthetic("203.0.113.7").to_uppercase(), 1));
    assert_eq!(code(&twice), (400, "BadRequest".to_owned()));
    let external = json!({"properties": {"target": "203.0.113.7"}});
    let same = Operation::PutEndpoint(endpoint_id("p", "ExternalEndpoints", "x"), object(external));
    assert_eq!(world.run(same).0, 400, "the same address by another way");
    let own = json!({"properties": {"target": "APP.trafficmanager.net."}});
    let own = Operation::PutEndpoint(endpoint_id("p", "ExternalEndpoints", "x"), object(own));
    assert_eq!(world.run(own).0, 400, "a name that leads to itself");

    let taken = world.put_profile("q", profile_body("APP"));
    assert_eq!(code(&taken), (409, "Conflict".to_owned()));
    assert!(taken.1.to_string().contains("Domain name"), "{taken:?}");
    assert_eq!(
        world.put_profile("q", profile_body("ns1")).0,
        409,
        "the zone's own name server"
    );
    assert_eq!(
        world.put_profile("p", profile_body("other")).0,
        400,
        "a name cannot change"
    );
    let check = |name: &str| {
        let body = json!({"name": name, "type": "Microsoft.Network/trafficManagerProfiles"});
        Operation::CheckName(object(body))
    };
    for (name, free, reason) in [
        ("app", false, json!("AlreadyExists")),
        ("NS1", false, json!("AlreadyExists")),
        ("a.b", false, json!("Invalid")),
        ("free", true, Value::Null),
    ] {
        let (status, answer) = world.run(check(name));
        assert_eq!((status, &answer["nameAvailable"]), (200, &json!(free)), "{name}");
        assert_eq!(answer.get("reason").cloned().unwrap_or_default(), reason, "{name}");
    }
    world.run(Operation::DeleteProfile(id("p")));
    assert_eq!(
        world.put_profile("q", profile_body("app")).0,
        201,
        "the name is free again"
    );
}

#[test]
fn limits_hold() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        assert_eq!(world.put_profile(name, profile_body(name)).0, 201);
    }
    let fourth = world.put_profile("d", profile_body("d"));
    assert_eq!(code(&fourth), (400, "ResourceLimitExceeded".to_owned()));
    assert_eq!(
        world.put_profile("c", profile_body("c")).0,
        200,
        "those that exist can be written"
    );
    for number in 1..=4 {
        assert_eq!(
            world
                .put_endpoint(
                    "a",
                    &format!("e{number}"),
                    azure(&synthetic(&format!("192.0.2.{number}")), 1)
                )
                .0,
            201
        );
    }
    assert_eq!(world.put_endpoint("a", "e5", azure(&synthetic("192.0.2.5"), 1)).0, 400);
    assert_eq!(world.put_endpoint("a", "e4", azure(&synthetic("192.0.2.9"), 1)).0, 200);
}

#[test]
fn endpoints_on_public_addresses_need_a_name_and_follow_the_address() {
    let mut world = World::new();
    world.put_profile("p", profile_body("app"));
    let target = format!("{BASE}/publicIPAddresses/Ip");
    assert_eq!(
        code(&world.put_endpoint("p", "e", azure(&target, 1))),
        (400, "BadRequest".to_owned())
    );
    let address = |label: Value, ip: Value| {
        let body = json!({"location": "West Europe", "sku": {"name": "Standard"}, "properties": {
            "publicIPAllocationMethod": "Static", "ipAddress": ip, "dnsSettings": {"domainNameLabel": label}}});
        Operation::PutAddress(id("Ip"), object(body))
    };
    assert_eq!(world.run(address(Value::Null, json!("198.51.100.4"))).0, 201);
    assert_eq!(world.put_endpoint("p", "e", azure(&target, 1)).0, 400, "no DNS label");
    let (status, body) = world.run(address(json!("lb"), json!("198.51.100.4")));
    assert_eq!(
        (status, &body["properties"]["dnsSettings"]["fqdn"]),
        (200, &json!("lb.westeurope.trafficmanager.net"))
    );
    let sent_back = Operation::PutAddress(id("ip"), object(body.clone()));
    assert_eq!(world.run(sent_back), (200, body), "an answer can be sent back");
    let (status, endpoint) = world.put_endpoint("p", "e", azure(&target.to_uppercase(), 1));
    assert_eq!(
        (status, &endpoint["properties"]["target"]),
        (201, &json!("lb.westeurope.trafficmanager.net"))
    );

    let other = json!({"location": "westeurope", "properties": {"dnsSettings": {"domainNameLabel": "LB"}}});
    let taken = world.run(Operation::PutAddress(id("other"), object(other)));
    assert_eq!(code(&taken), (400, "DnsRecordInUse".to_owned()));
    assert_eq!(world.run(Operation::DeleteAddress(id("IP"))).0, 200);
    assert_eq!(world.status("p", "e"), EndpointStatus::Stopped);
    assert_eq!(
        world.put_endpoint("p", "e", azure(&target, 2)).0,
        200,
        "an endpoint that is there can still be written"
    );
}

#[test]
fn lists_of_addresses_come_in_pages_that_survive_writes() {
    let mut world = World::new();
    let put = |name: &str| {
        let body = json!({"location": "eastus", "properties": {}});
        Operation::PutAddress(id(name), object(body))
    };
    for name in ["a", "c", "e", "g", "i"] {
        assert_eq!(world.run(put(name)).0, 201);
    }
    let mut after = None;
    let mut seen = Vec::new();
    for page in 0.. {
        let list = Operation::ListAddresses {
            scope: Scope::Group(crate::model::Group {
                subscription: "sub".to_owned(),
                group: "RG".to_owned(),
            }),
            after: after.clone(),
            link: "https://host/list?api-version=2023-05-01".to_owned(),
        };
        let (_, body) = world.run(list);
        seen.extend(
            body["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["name"].as_str().unwrap().to_owned()),
        );
        let Some(link) = body.get("nextLink").and_then(Value::as_str) else {
            break;
        };
        let query = link.split_once('?').unwrap().1;
        after = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "$skiptoken")
            .map(|(_, v)| v.into_owned());
        if page == 0 {
            world.run(put("b"));
            world.run(Operation::DeleteAddress(id("c")));
        }
    }
    assert_eq!(seen, ["a", "c", "e", "g", "i"]);
}

#[test]
fn routing_methods_have_their_rules() {
    let mut world = World::new();
    let mut body = profile_body("app");
    body["properties"]["trafficRoutingMethod"] = json!("priority");
    let external = |name: &str, target: &str, priority: Value| {
        json!({"name": name, "type": "Microsoft.Network/trafficManagerProfiles/externalEndpoints",
            "properties": {"target": target, "priority": priority}})
    };
    body["properties"]["endpoints"] = json!([
        external("a", "a.example", json!(2)),
        external("b", "b.example", json!(2))
    ]);
    assert_eq!(world.put_profile("p", body.clone()).0, 400, "priorities are unique");
    body["properties"]["endpoints"][1]["properties"]["priority"] = Value::Null;
    let (status, answer) = world.put_profile("p", body.clone());
    assert_eq!(
        (status, &answer["properties"]["endpoints"][1]["properties"]["priority"]),
        (201, &json!(3))
    );
    body["properties"]["trafficRoutingMethod"] = json!("Performance");
    assert_eq!(
        world.put_profile("p", body.clone()).0,
        400,
        "external endpoints need a location"
    );
    for endpoint in body["properties"]["endpoints"].as_array_mut().unwrap() {
        endpoint["properties"]["endpointLocation"] = json!("West Europe");
    }
    assert_eq!(world.put_profile("p", body.clone()).0, 200);
    for method in ["Geographic", "Subnet", "MultiValue", ""] {
        body["properties"]["trafficRoutingMethod"] = json!(method);
        assert_eq!(world.put_profile("p", body.clone()).0, 400, "{method}");
    }
}

#[test]
fn probes_and_users_make_the_status() {
    let mut world = World::new();
    world.put_profile("p", profile_body("app"));
    for (name, address) in [("e", "192.0.2.1"), ("f", "192.0.2.2")] {
        world.put_endpoint("p", name, azure(&synthetic(address), 1));
    }
    let profile = |world: &World| profile_status(&world.state, world.state.profile(&id("p").key()).unwrap()).text();
    assert_eq!(profile(&world), "CheckingEndpoints");
    world.observe("p", "E", "192.0.2.1", Health::Online);
    assert_eq!(
        (world.status("p", "e"), profile(&world)),
        (EndpointStatus::Online, "Online")
    );
    world.observe("p", "f", "192.0.2.9", Health::Degraded);
    assert_eq!(
        world.status("p", "f"),
        EndpointStatus::CheckingEndpoint,
        "a probe of another address does not count"
    );
    let before = world.state.clone();
    world.observe("p", "f", "192.0.2.2", Health::Degraded);
    assert_eq!(
        (world.status("p", "f"), profile(&world)),
        (EndpointStatus::Degraded, "Degraded")
    );
    let seen = transitions::between(&before, &world.state);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].to, seen[0].reason.as_str()),
        (EndpointStatus::Degraded, "refused")
    );

    world.put_endpoint("p", "f", azure(&synthetic("192.0.2.2"), 7));
    assert_eq!(
        world.status("p", "f"),
        EndpointStatus::Degraded,
        "another weight changes no health"
    );
    world.put_endpoint("p", "f", azure(&synthetic("192.0.2.3"), 7));
    assert_eq!(
        world.status("p", "f"),
        EndpointStatus::CheckingEndpoint,
        "another target does"
    );
    let mut body = azure(&synthetic("192.0.2.3"), 7);
    body["properties"]["alwaysServe"] = json!("Enabled");
    world.put_endpoint("p", "f", body);
    assert_eq!(world.status("p", "f"), EndpointStatus::Unmonitored);
    let patch = json!({"properties": {"profileStatus": "Disabled"}});
    world.run(Operation::PatchProfile(id("p"), object(patch)));
    assert_eq!(
        (world.status("p", "f"), profile(&world)),
        (EndpointStatus::Inactive, "Disabled")
    );
}

#[test]
fn hints_degrade_at_once_and_end_by_themselves() {
    let mut world = World::new();
    world.put_profile("p", profile_body("app"));
    world.put_endpoint("p", "e", azure(&synthetic("192.0.2.1"), 1));
    world.observe("p", "e", "192.0.2.1", Health::Online);
    let (status, answer) = world.hint("p", "e", "Degraded", 20);
    assert_eq!((status, &answer["results"][0]["result"]), (200, &json!("Applied")));
    assert_eq!(world.status("p", "e"), EndpointStatus::Degraded);
    world.observe("p", "e", "192.0.2.1", Health::Degraded);
    world.observe("p", "e", "192.0.2.1", Health::Online);
    assert_eq!(
        world.status("p", "e"),
        EndpointStatus::Degraded,
        "a good probe does not end a hint"
    );
    world.put_endpoint("p", "e", azure(&synthetic("192.0.2.1"), 3));
    assert_eq!(world.status("p", "e"), EndpointStatus::Degraded, "nor does a write");

    let expiry = next_expiry(&world.state).unwrap();
    assert_eq!(expiry, "2026-11-30T12:00:20Z".parse().unwrap());
    world.now = "2026-11-30T12:00:19Z".parse().unwrap();
    world.run(Operation::ExpireHints);
    assert_eq!(world.status("p", "e"), EndpointStatus::Degraded);
    world.now = expiry;
    world.run(Operation::ExpireHints);
    assert_eq!(
        (world.status("p", "e"), next_expiry(&world.state)),
        (EndpointStatus::Online, None)
    );

    world.observe("p", "e", "192.0.2.1", Health::Degraded);
    world.hint("p", "e", "Degraded", 600);
    world.hint("p", "E", "online", 0);
    assert_eq!(
        world.status("p", "e"),
        EndpointStatus::Online,
        "restored without waiting for a probe"
    );

    for (profile, endpoint, state, seconds) in [
        ("q", "e", "Degraded", 5),
        ("p", "x", "Degraded", 5),
        ("p", "e", "Gone", 5),
        ("p", "e", "Degraded", 601),
        ("p", "e", "Degraded", 0),
    ] {
        let (status, answer) = world.hint(profile, endpoint, state, seconds);
        assert_eq!(
            (status, &answer["results"][0]["result"]),
            (200, &json!("Refused")),
            "{profile} {endpoint} {state} {seconds}"
        );
    }
    assert_eq!(world.status("p", "e"), EndpointStatus::Online);
}
