use serde_json::json;

use super::*;

fn profile(spec: Value, annotations: Value) -> TrafficProfile {
    TrafficProfile::from_value(json!({
        "metadata": {"namespace": "team-a", "name": "nginx-profile", "uid": "u", "annotations": annotations},
        "spec": spec,
    }))
    .unwrap()
}

fn wanted(spec: Value) -> WantedProfile {
    WantedProfile::of(&profile(spec, json!({}))).unwrap()
}

/// A profile as the traffic manager answers it, with things that nobody of us has set.
fn answer() -> Value {
    let mut answer =
        wanted(json!({"monitorConfig": {"customHeaders": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]}}))
            .body(None);
    let foreign = [
        (&["id"][..], json!("/p")),
        (&["name"], json!("fleet-u")),
        (&["tags", "theirs"], json!("yes")),
        (
            &["properties", "dnsConfig", "fqdn"],
            json!("team-a-nginx-profile.trafficmanager.net"),
        ),
        (
            &["properties", "monitorConfig", "expectedStatusCodeRanges"],
            json!([{"min": 200, "max": 299}]),
        ),
        (
            &["properties", "monitorConfig", "profileMonitorStatus"],
            json!("Online"),
        ),
        (&["properties", "trafficViewEnrollmentStatus"], json!("Enabled")),
        (&["properties", "maxReturn"], json!(3)),
        (&["properties", "allowedEndpointRecordTypes"], json!(["Any"])),
        (&["properties", "endpoints"], json!([{"name": "theirs", "id": "/e"}])),
    ];
    for (path, value) in foreign {
        put(&mut answer, path, value);
    }
    answer
}

#[test]
fn the_body_of_a_new_profile() {
    let spec = json!({"monitorConfig": {"customHeaders": [{"name": "Host", "value": "app.example.com"}]}});
    let expected = json!({
        "location": "global",
        "tags": {"networking.fleet.azure.com.trafficManagerProfile": "team-a/nginx-profile"},
        "properties": {
            "profileStatus": "Enabled",
            "trafficRoutingMethod": "Weighted",
            "dnsConfig": {"relativeName": "team-a-nginx-profile", "ttl": 60},
            "monitorConfig": {
                "protocol": "HTTP", "port": 80, "path": "/", "intervalInSeconds": 30, "timeoutInSeconds": 10,
                "toleratedNumberOfFailures": 3, "customHeaders": [{"name": "Host", "value": "app.example.com"}],
            },
        },
    });
    assert_eq!(wanted(spec).body(None), expected);
    let bare = wanted(json!({})).body(None);
    assert_eq!(bare.pointer("/properties/monitorConfig/customHeaders"), None);
}

#[test]
fn defaults_follow_the_interval_and_stay_out_of_the_spec() {
    for (spec, timeout) in [
        (json!({}), 10),
        (json!({"intervalInSeconds": 30}), 10),
        (json!({"intervalInSeconds": 10}), 9),
        (json!({"intervalInSeconds": 10, "timeoutInSeconds": 5}), 5),
    ] {
        assert_eq!(wanted(json!({ "monitorConfig": spec })).timeout, timeout, "{spec}");
    }
}

#[test]
fn each_property_once_equal_once_different_once_missing() {
    let headers =
        json!({"monitorConfig": {"customHeaders": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]}});
    let wanted = wanted(headers);
    assert_eq!(
        wanted.differences(&answer()),
        Vec::<&str>::new(),
        "the order of headers does not matter"
    );
    let monitor = |name| vec!["properties", "monitorConfig", name];
    let table = [
        ("tags", vec!["tags", PROFILE_TAG], json!("other/name")),
        ("profileStatus", vec!["properties", "profileStatus"], json!("Disabled")),
        (
            "trafficRoutingMethod",
            vec!["properties", "trafficRoutingMethod"],
            json!("Priority"),
        ),
        ("ttl", vec!["properties", "dnsConfig", "ttl"], json!(30)),
        ("protocol", monitor("protocol"), json!("HTTPS")),
        ("port", monitor("port"), json!(81)),
        ("intervalInSeconds", monitor("intervalInSeconds"), json!(10)),
        ("timeoutInSeconds", monitor("timeoutInSeconds"), json!(9)),
        (
            "toleratedNumberOfFailures",
            monitor("toleratedNumberOfFailures"),
            json!(4),
        ),
        ("path", monitor("path"), json!("/healthz")),
        (
            "customHeaders",
            monitor("customHeaders"),
            json!([{"name": "a", "value": "1"}]),
        ),
    ];
    for (name, path, other) in table {
        let mut held = answer();
        put(&mut held, &path, other);
        assert_eq!(wanted.differences(&held), [name], "different");
        remove(&mut held, &path);
        assert_eq!(wanted.differences(&held), [name], "missing");
    }
    for path in [
        vec!["tags"],
        vec!["properties"],
        vec!["properties", "monitorConfig"],
        vec!["properties", "dnsConfig"],
    ] {
        let mut held = answer();
        remove(&mut held, &path);
        assert!(!wanted.differences(&held).is_empty(), "{path:?} is missing");
    }
    for path in [
        vec!["location"],
        vec!["properties", "maxReturn"],
        vec!["properties", "endpoints"],
        vec!["properties", "dnsConfig", "relativeName"],
        monitor("expectedStatusCodeRanges"),
    ] {
        let mut held = answer();
        put(&mut held, &path, json!("changed"));
        assert_eq!(
            wanted.differences(&held),
            Vec::<&str>::new(),
            "{path:?} is not compared"
        );
    }
}

#[test]
fn no_headers_are_the_same_as_an_empty_list() {
    let wanted = wanted(json!({}));
    let mut held = wanted.body(None);
    for headers in [json!([]), json!(null)] {
        put(&mut held, &["properties", "monitorConfig", "customHeaders"], headers);
        assert_eq!(wanted.differences(&held), Vec::<&str>::new());
    }
}

#[test]
fn what_is_not_ours_is_sent_back_as_it_was_read() {
    let wanted = wanted(json!({"monitorConfig": {"intervalInSeconds": 10}}));
    let held = answer();
    let body = wanted.body(Some(&held));
    for pointer in [
        "/id",
        "/tags/theirs",
        "/properties/monitorConfig/expectedStatusCodeRanges",
        "/properties/monitorConfig/profileMonitorStatus",
        "/properties/trafficViewEnrollmentStatus",
        "/properties/maxReturn",
        "/properties/allowedEndpointRecordTypes",
        "/properties/endpoints",
    ] {
        assert_eq!(body.pointer(pointer), held.pointer(pointer), "{pointer}");
        assert!(body.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(
        body.pointer("/properties/dnsConfig"),
        Some(&json!({"relativeName": "team-a-nginx-profile", "ttl": 60})),
        "the full name is left out"
    );
    assert_eq!(
        body.pointer("/properties/monitorConfig/customHeaders"),
        None,
        "none is what is wanted"
    );
    assert_eq!(wanted.differences(&body), Vec::<&str>::new());
    let odd = json!({"properties": "none", "tags": null});
    assert_eq!(
        wanted.differences(&wanted.body(Some(&odd))),
        Vec::<&str>::new(),
        "any answer can be merged"
    );
}

#[test]
fn a_tcp_probe_has_no_path() {
    let wanted = wanted(json!({"monitorConfig": {"protocol": "TCP", "path": "/"}}));
    let mut held = answer();
    let body = wanted.body(Some(&held));
    assert_eq!(body.pointer("/properties/monitorConfig/path"), None);
    put(
        &mut held,
        &["properties", "monitorConfig"],
        body["properties"]["monitorConfig"].clone(),
    );
    put(&mut held, &["properties", "monitorConfig", "path"], json!("/old"));
    assert_eq!(wanted.differences(&held), Vec::<&str>::new(), "a path is ignored");
}

#[test]
fn extras_by_annotation() {
    let extras = |annotations: Value| {
        WantedProfile::of(&profile(
            json!({"monitorConfig": {"timeoutInSeconds": null}}),
            annotations,
        ))
    };
    let key = |name: &str| format!("networking.fleet.azure.com/{name}");
    let all = extras(json!({
        key("ttl-seconds"): "0", key("probe-interval-seconds"): "1", key("routing-method"): "Performance",
    }))
    .unwrap();
    assert_eq!((all.ttl, all.interval, all.timeout), (0, 1, 1));
    assert_eq!(all.routing_method, "Performance");
    let long = extras(json!({ key("probe-interval-seconds"): "60" })).unwrap();
    assert_eq!((long.interval, long.timeout), (60, 10));
    let table = [
        ("ttl-seconds", "-1"),
        ("ttl-seconds", ""),
        ("ttl-seconds", "+5"),
        ("ttl-seconds", "1.5"),
        ("ttl-seconds", "2147483648"),
        ("probe-interval-seconds", "0"),
        ("probe-interval-seconds", "3601"),
        ("routing-method", "weighted"),
        ("routing-method", "Geographic"),
    ];
    for (name, value) in table {
        let error = extras(json!({ key(name): value })).unwrap_err();
        assert!(
            error.contains(&key(name)) && error.contains(&format!("{value:?}")),
            "{error}"
        );
    }
}

#[test]
fn a_timeout_must_fit_an_interval_of_the_annotation() {
    let with = |interval: &str| {
        let annotations = json!({"networking.fleet.azure.com/probe-interval-seconds": interval});
        WantedProfile::of(&profile(json!({"monitorConfig": {"timeoutInSeconds": 5}}), annotations))
    };
    assert!(with("5").unwrap_err().contains("timeoutInSeconds is 5"));
    assert_eq!(with("6").unwrap().timeout, 5);
}

#[test]
fn a_name_that_is_too_long_is_refused_before_any_call() {
    let mut long = profile(json!({}), json!({}));
    long.meta.name = "n".repeat(57);
    assert!(WantedProfile::of(&long).unwrap_err().contains("has 64 characters"));
}
