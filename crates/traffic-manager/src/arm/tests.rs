use proptest::prelude::*;
use serde_json::{Value, json};

use super::address_body::AddressBody;
use super::body;
use super::endpoint_body::EndpointBody;
use super::profile_body::ProfileBody;
use crate::error::ArmError;
use crate::model::{EndpointKind, Profile, Protocol, ResourceId};

fn id(name: &str) -> ResourceId {
    ResourceId {
        subscription: "s".to_owned(),
        group: "g".to_owned(),
        name: name.to_owned(),
    }
}

fn valid() -> Value {
    json!({
        "location": "global",
        "properties": {
            "trafficRoutingMethod": "Weighted",
            "dnsConfig": {"relativeName": "app"},
            "monitorConfig": {"protocol": "HTTP", "port": 80},
        },
    })
}

fn read(value: &Value) -> Result<Profile, ArmError> {
    let object = body::object(value.to_string().as_bytes())?;
    body::shape::<ProfileBody>(object)?.read(id("p"))
}

/// The valid body with another value at a JSON pointer; null takes it away.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = valid();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

#[test]
fn what_a_profile_leaves_out_has_azures_defaults() {
    let profile = read(&valid()).unwrap();
    let monitor = &profile.monitor;
    assert_eq!((profile.enabled, profile.ttl), (true, 60));
    assert_eq!(
        (monitor.interval, monitor.timeout, monitor.tolerated_failures),
        (30, 10, 3)
    );
    assert_eq!(monitor.path.as_deref(), Some("/"));
    let interval = |seconds: i64| read(&with("/properties/monitorConfig/intervalInSeconds", json!(seconds)));
    for (seconds, timeout) in [(10, 9), (1, 1), (2, 2), (5, 5), (60, 10)] {
        assert_eq!(interval(seconds).unwrap().monitor.timeout, timeout, "{seconds}");
    }
}

#[test]
fn every_rule_of_a_profile_names_what_is_wrong() {
    let monitor = "/properties/monitorConfig";
    for (pointer, value, code, part) in [
        ("/location", Value::Null, "LocationRequired", "location"),
        (
            "/location",
            json!("westeurope"),
            "LocationNotAvailableForResourceType",
            "global",
        ),
        ("/properties", Value::Null, "BadRequest", "properties"),
        (
            "/properties/trafficRoutingMethod",
            Value::Null,
            "BadRequest",
            "trafficRoutingMethod",
        ),
        ("/properties/dnsConfig", Value::Null, "BadRequest", "dnsConfig"),
        (
            "/properties/dnsConfig/relativeName",
            json!("x".repeat(64)),
            "BadRequest",
            "63",
        ),
        ("/properties/dnsConfig/relativeName", json!("a.b"), "BadRequest", "a.b"),
        ("/properties/dnsConfig/relativeName", json!("-a"), "BadRequest", "-a"),
        ("/properties/dnsConfig/ttl", json!(-1), "BadRequest", "ttl"),
        (
            "/properties/dnsConfig/ttl",
            json!(2_147_483_648_i64),
            "BadRequest",
            "ttl",
        ),
        ("/properties/monitorConfig", Value::Null, "BadRequest", "monitorConfig"),
        ("/properties/monitorConfig/protocol", json!("UDP"), "BadRequest", "UDP"),
        ("/properties/monitorConfig/port", json!(0), "BadRequest", "port"),
        ("/properties/monitorConfig/port", json!(65536), "BadRequest", "port"),
        ("/properties/monitorConfig/path", json!("x"), "BadRequest", "path"),
        (
            "/properties/monitorConfig/intervalInSeconds",
            json!(0),
            "BadRequest",
            "intervalInSeconds",
        ),
        (
            "/properties/monitorConfig/timeoutInSeconds",
            json!(4),
            "BadRequest",
            "5 and 10",
        ),
        (
            "/properties/monitorConfig/timeoutInSeconds",
            json!(11),
            "BadRequest",
            "5 and 10",
        ),
        (
            "/properties/monitorConfig/toleratedNumberOfFailures",
            json!(10),
            "BadRequest",
            "tolerated",
        ),
        (
            "/properties/monitorConfig/expectedStatusCodeRanges",
            json!([{"min": 300, "max": 200}]),
            "BadRequest",
            "min",
        ),
        (
            "/properties/monitorConfig/expectedStatusCodeRanges",
            json!([{"min": 200}]),
            "BadRequest",
            "max",
        ),
        ("/properties/profileStatus", json!("On"), "BadRequest", "profileStatus"),
        (
            "/properties/monitorConfig/port",
            json!("80"),
            "InvalidRequestContent",
            "80",
        ),
        ("/tags", json!({"a": 1}), "InvalidRequestContent", "string"),
    ] {
        let err = read(&with(pointer, value.clone())).expect_err(pointer);
        assert_eq!((err.status, err.code), (400, code), "{pointer} {value}");
        assert!(err.message.contains(part), "{part} in {err}");
    }
    let header = |name: &str| json!({"name": name, "value": "v"});
    let headers = |headers: Vec<Value>| read(&with(&format!("{monitor}/customHeaders"), json!(headers)));
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    assert!(headers(names[..8].iter().map(|name| header(name)).collect()).is_ok());
    assert!(
        headers(names.iter().map(|name| header(name)).collect())
            .unwrap_err()
            .message
            .contains("at most 8")
    );
    assert!(
        headers(vec![header("Host"), header("host")])
            .unwrap_err()
            .message
            .contains("twice")
    );
    assert!(
        headers(vec![header("a b")])
            .unwrap_err()
            .message
            .contains("cannot be sent")
    );
}

#[test]
fn tcp_probes_have_neither_path_nor_status() {
    let tcp = |name: &str, value: Value| {
        let mut body = with("/properties/monitorConfig/protocol", json!("tcp"));
        body["properties"]["monitorConfig"][name] = value;
        read(&body)
    };
    let profile = tcp("path", Value::Null).unwrap();
    assert_eq!((profile.monitor.protocol, profile.monitor.path), (Protocol::Tcp, None));
    assert!(tcp("path", json!("/")).unwrap_err().message.contains("path"));
    assert!(tcp("expectedStatusCodeRanges", json!([{"min": 200, "max": 299}])).is_err());
}

#[test]
fn bodies_as_infrastructure_tools_write_them_are_accepted() {
    // With everything that a tool reads and sends back, and properties of newer versions.
    let listed = json!({
        "id": "/subscriptions/s/x", "name": "primary",
        "type": "Microsoft.Network/trafficManagerProfiles/externalEndpoints",
        "properties": {"alwaysServe": "Disabled", "customHeaders": null, "endpointLocation": "", "endpointMonitorStatus": "Online",
            "endpointStatus": "Enabled", "geoMapping": null, "subnets": [], "minChildEndpoints": 1, "priority": 1,
            "target": "lb.example.com", "weight": 100},
    });
    let mut body = valid();
    body["id"] = json!("/subscriptions/s/x");
    body["type"] = json!("Microsoft.Network/trafficManagerProfiles");
    body["systemData"] = json!({"createdBy": "somebody"});
    body["properties"]["endpoints"] = json!([listed]);
    body["properties"]["maxReturn"] = json!(2);
    body["properties"]["trafficViewEnrollmentStatus"] = json!("Disabled");
    body["properties"]["recordType"] = json!("CNAME");
    body["properties"]["monitorConfig"]["expectedStatusCodeRanges"] = json!([{"min": 200, "max": 299}]);
    let profile = read(&body).unwrap();
    assert_eq!((profile.endpoints.len(), profile.max_return), (1, Some(2)));
    assert_eq!(profile.endpoints[0].kind, EndpointKind::External);
}

fn endpoint(kind: EndpointKind, value: Value) -> Result<crate::model::Endpoint, ArmError> {
    let object = body::object(json!({"properties": value}).to_string().as_bytes())?;
    body::shape::<EndpointBody>(object)?.read(kind, "e")
}

#[test]
fn every_rule_of_an_endpoint_names_what_is_wrong() {
    let pip = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/x";
    for (kind, value, part) in [
        (EndpointKind::Azure, json!({}), "targetResourceId"),
        (
            EndpointKind::Azure,
            json!({"targetResourceId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/x"}),
            "public IP",
        ),
        (EndpointKind::External, json!({"targetResourceId": pip}), "target"),
        (
            EndpointKind::External,
            json!({"target": "https://a.example"}),
            "host name",
        ),
        (EndpointKind::External, json!({"target": "a..example"}), "host name"),
        (
            EndpointKind::Azure,
            json!({"targetResourceId": pip, "weight": 0}),
            "weight",
        ),
        (
            EndpointKind::Azure,
            json!({"targetResourceId": pip, "weight": 1001}),
            "weight",
        ),
        (
            EndpointKind::Azure,
            json!({"targetResourceId": pip, "priority": 1001}),
            "priority",
        ),
        (
            EndpointKind::Azure,
            json!({"targetResourceId": pip, "endpointStatus": "on"}),
            "endpointStatus",
        ),
    ] {
        let err = endpoint(kind, value.clone()).expect_err(&value.to_string());
        assert_eq!((err.status, err.code), (400, "BadRequest"));
        assert!(err.message.contains(part), "{part} in {err}");
    }
    assert_eq!(
        endpoint(EndpointKind::Azure, json!({"targetResourceId": pip}))
            .unwrap()
            .weight,
        1
    );
    for name in ["", "a/b", "a%b", "a<b", &"x".repeat(261)] {
        let read = body::shape::<EndpointBody>(body::object(br#"{"properties": {}}"#).unwrap()).unwrap();
        let err = read.read(EndpointKind::Azure, name).unwrap_err();
        assert_eq!(err.code, "InvalidResourceName", "{name}");
    }
}

#[test]
fn bodies_that_are_no_objects_are_refused() {
    for (bytes, status) in [
        (&b""[..], 400),
        (b"  \n", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"{} {}", 400),
    ] {
        assert_eq!(body::object(bytes).unwrap_err().status, status, "{bytes:?}");
    }
    assert_eq!(body::object(&vec![b' '; body::LIMIT + 1]).unwrap_err().status, 413);
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(body::object(deep.as_bytes()).unwrap_err().code, "InvalidRequestContent");
}

#[test]
fn patches_merge_objects_and_replace_the_rest() {
    let mut resource = json!({"a": {"b": 1, "c": [1]}, "tags": {"x": "1"}})
        .as_object()
        .unwrap()
        .clone();
    let change = json!({"a": {"b": null, "c": [2], "d": {"e": 1}}, "tags": {"y": "2"}});
    body::patch(&mut resource, change.as_object().unwrap().clone());
    assert_eq!(
        Value::Object(resource),
        json!({"a": {"c": [2], "d": {"e": 1}}, "tags": {"y": "2"}})
    );
}

/// Reads bytes as every kind of body. What is accepted must be within the rules of the store and the zone.
fn check_bytes(bytes: &[u8]) {
    let Ok(object) = body::object(bytes) else { return };
    if let Ok(profile) = body::shape::<ProfileBody>(object.clone()).and_then(|body| body.read(id("p"))) {
        assert!(super::checks::is_label(&profile.relative_name));
        assert!(profile.monitor.timeout >= 1 && profile.monitor.interval >= 1);
        assert!(profile.monitor.tolerated_failures <= 9);
        assert_eq!(
            serde_json::from_slice::<Profile>(&serde_json::to_vec(&profile).unwrap()).unwrap(),
            profile
        );
    }
    for kind in [EndpointKind::Azure, EndpointKind::External] {
        if let Ok(endpoint) = body::shape::<EndpointBody>(object.clone()).and_then(|body| body.read(kind, "e")) {
            assert!((1..=1000).contains(&endpoint.weight) && endpoint.priority <= 1000);
        }
    }
    let _ = body::shape::<AddressBody>(object).and_then(|body| body.read(id("a"), "tm.example"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, rng_seed: prop::test_runner::RngSeed::Fixed(9), ..ProptestConfig::default() })]

    /// Values of any type in place of any property.
    #[test]
    fn properties_of_other_types_never_break_the_parser(which in 0usize..12, value in 0usize..9) {
        let pointers = ["/location", "/tags", "/properties", "/properties/dnsConfig", "/properties/dnsConfig/ttl",
            "/properties/monitorConfig", "/properties/monitorConfig/port", "/properties/monitorConfig/customHeaders",
            "/properties/monitorConfig/expectedStatusCodeRanges", "/properties/endpoints", "/properties/maxReturn",
            "/properties/allowedEndpointRecordTypes"];
        let values = [json!(null), json!(true), json!(-1), json!(1e300), json!(u64::MAX), json!(""), json!([]), json!({}), json!([null])];
        check_bytes(with(pointers[which], values[value].clone()).to_string().as_bytes());
    }
}
