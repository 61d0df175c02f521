//! Bodies as other tools send them: Terraform's azurerm provider, and controllers that use Azure's SDK for Go. They are taken,
//! come back as they were sent, and what is answered can be written back.

use crate::client::*;
use http::Method;
use serde_json::{Value, json};
use traffic_manager::faults::{Options, Server};

macro_rules! body {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../fuzz/corpus/arm_body/", $name, ".json"))).unwrap()
    };
}

fn address_path(name: &str) -> String {
    format!("{BASE}/publicIPAddresses/{name}?{PIP}")
}

/// What was sent is in what is answered, but for what only tools or Azure know. Names of types are compared without regard
/// to case, and an empty text or list may be left out, as in Azure.
fn assert_holds(answered: &Value, sent: &Value, at: &str) {
    const NOT_KEPT: [&str; 3] = ["/properties/ddosSettings", "/properties/ipTags", "/properties/subnets"];
    if NOT_KEPT.contains(&at) {
        return;
    }
    match sent {
        Value::Object(map) => {
            for (name, value) in map {
                assert_holds(&answered[name], value, &format!("{at}/{name}"));
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let all = answered.as_array().unwrap_or_else(|| panic!("{at}: {answered}"));
            assert_eq!(all.len(), items.len(), "{at}");
            for (number, (value, item)) in all.iter().zip(items).enumerate() {
                assert_holds(value, item, &format!("{at}/{number}"));
            }
        }
        Value::Array(_) => assert!(answered.is_null() || answered == sent, "{at}: {answered}"),
        Value::String(text) if text.is_empty() => assert!(answered.is_null() || answered == sent, "{at}: {answered}"),
        Value::String(text) if at.ends_with("/type") => {
            assert!(
                answered.as_str().is_some_and(|is| is.eq_ignore_ascii_case(text)),
                "{at}: {answered}"
            );
        }
        _ => assert_eq!(answered, sent, "{at}"),
    }
}

/// Creates a resource, reads it, and writes back what was read, by which nothing changes.
async fn round_trip(hub: &Hub, path: &str, body: &Value) -> Value {
    let created = hub.call(Method::PUT, path, body.clone()).await;
    assert_eq!(created.status, 201, "{path}: {}", created.body);
    assert_holds(&created.body, body, "");
    let read = hub.call(Method::GET, path, Value::Null).await;
    assert_eq!((read.status, &read.body), (200, &created.body));
    for again in [body, &read.body] {
        let written = hub.call(Method::PUT, path, again.clone()).await;
        assert_eq!((written.status, &written.body), (200, &read.body), "{path}");
    }
    read.body
}

#[tokio::test]
async fn terraform_creates_reads_changes_and_destroys_its_resources() {
    let directory = Directory::new("terraform");
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let hub = Hub::new(server.arm).await;
    let free = hub
        .call(
            Method::POST,
            &format!("/providers/Microsoft.Network/checkTrafficManagerNameAvailability?{TM}"),
            body!("name-check"),
        )
        .await;
    assert_eq!((free.status, &free.body["nameAvailable"]), (200, &json!(true)));

    // In the order in which the provider's references make it.
    let address = round_trip(&hub, &address_path("frontend"), &body!("terraform-public-ip")).await;
    assert_eq!(
        address["properties"]["dnsSettings"]["fqdn"],
        json!("frontend.westeurope.trafficmanager.net")
    );
    // Without an address yet: the version that was asked for is what the next plan compares.
    round_trip(&hub, &address_path("frontend-v6"), &body!("terraform-public-ip-v6")).await;
    let profile = round_trip(&hub, &profile_path("shop"), &body!("terraform-profile")).await;
    assert_eq!(
        profile["properties"]["dnsConfig"]["fqdn"],
        json!("shop.trafficmanager.net")
    );
    round_trip(&hub, &profile_path("db"), &body!("terraform-profile-tcp")).await;
    let endpoint = |kind: &str, name: &str| format!("{BASE}/trafficManagerProfiles/shop/{kind}/{name}?{TM}");
    let azure = endpoint("AzureEndpoints", "primary");
    let mut primary = body!("terraform-azure-endpoint");
    primary["properties"]["targetResourceId"] = address["id"].clone();
    round_trip(&hub, &azure, &primary).await;
    let external = endpoint("ExternalEndpoints", "partner");
    round_trip(&hub, &external, &body!("terraform-external-endpoint")).await;

    // A plan without changes reads everything; a change of the profile must not take its endpoints away.
    let changed = hub
        .call(Method::PATCH, &profile_path("shop"), body!("terraform-profile-update"))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let mut wanted = body!("terraform-profile-update");
    assert_holds(&changed.body, &wanted, "");
    assert_eq!(changed.body["tags"], wanted["tags"].take(), "tags are replaced");
    assert_eq!(changed.body["properties"]["endpoints"].as_array().unwrap().len(), 2);
    let monitor = &changed.body["properties"]["monitorConfig"];
    assert!(
        monitor.get("customHeaders").is_none() && monitor.get("expectedStatusCodeRanges").is_none(),
        "{monitor}"
    );

    for (path, status) in [(&external, 200), (&azure, 200), (&external, 204)] {
        assert_eq!(
            hub.call(Method::DELETE, path, Value::Null).await.status,
            status,
            "{path}"
        );
    }
    for path in [profile_path("shop"), profile_path("db"), address_path("frontend")] {
        assert_eq!(hub.call(Method::DELETE, &path, Value::Null).await.status, 200, "{path}");
        assert_eq!(hub.call(Method::GET, &path, Value::Null).await.status, 404, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn controllers_with_the_sdk_for_go_write_and_patch() {
    let directory = Directory::new("go-sdk");
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let hub = Hub::new(server.arm).await;
    // The SDK spells this segment of the path so.
    let path = profile_path("fleet-app").replace("trafficManagerProfiles", "trafficmanagerprofiles");
    let created = hub.call(Method::PUT, &path, body!("go-sdk-profile")).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_holds(&created.body, &body!("go-sdk-profile"), "");
    let endpoint = endpoint_path("fleet-app", "fleet-1#nginx#member-1");
    round_trip(&hub, &endpoint, &body!("go-sdk-endpoint")).await;
    round_trip(&hub, &address_path("lb"), &body!("go-sdk-public-ip")).await;
    let owner = hub.call(Method::PATCH, &path, body!("go-sdk-profile-tags")).await;
    assert_eq!(
        (owner.status, &owner.body["tags"]),
        (200, &body!("go-sdk-profile-tags")["tags"])
    );
    assert_eq!(owner.body["properties"]["endpoints"].as_array().unwrap().len(), 3);
    let list = format!("{BASE}/trafficmanagerprofiles?{TM}");
    let listed = hub.call(Method::GET, &list, Value::Null).await;
    assert_eq!(listed.body["value"], json!([owner.body]));
    server.stop().await;
}
