//! One contract for every server: the calls of a full life, field by field (networking 12.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use azure::{Class, Endpoint, Error, Profile, ProfileRef, TrafficManager};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value, json};

use super::fake::Fake;
use super::recorder::{Call, Recorder};
use super::{AGENT, Target, recorded};

const API: &str = "api-version=2022-04-01";
const KIND: &str = "Microsoft.Network/trafficManagerProfiles/AzureEndpoints";

#[tokio::test]
async fn the_fake_sees_a_full_life() {
    let fake = Fake::start().await;
    full_life(&fake.target()).await;
}

#[tokio::test]
async fn the_fake_refuses_what_azure_refuses() {
    let fake = Fake::start().await;
    refusals(&fake.target()).await;
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn wanted(relative: &str) -> Value {
    json!({
        "location": "global",
        "tags": {"networking.fleet.azure.com.trafficManagerProfile": "team/app"},
        "properties": {
            "profileStatus": "Enabled", "trafficRoutingMethod": "Weighted",
            "dnsConfig": {"relativeName": relative, "ttl": 60},
            "monitorConfig": {"protocol": "HTTP", "port": 80, "path": "/", "intervalInSeconds": 30,
                "timeoutInSeconds": 10, "toleratedNumberOfFailures": 3}
        }
    })
}

fn endpoint(number: usize, weight: i64) -> (String, Value) {
    let name = format!("fleet-00000000-0000-4000-8000-000000000001#nginx-service#member-{number}");
    let group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups";
    let (high, low) = (number / 200, number % 200 + 1);
    let target = format!(
        "{group}/member-{number}/providers/Microsoft.Network/publicIPAddresses/ip-203-0-{}-{low}",
        113 + high
    );
    let body = json!({"name": name, "type": KIND,
        "properties": {"targetResourceId": target, "endpointStatus": "Enabled", "weight": weight}});
    (name, body)
}

/// The one call since the last time, checked but for its body.
fn only(recorder: &Recorder, method: &str, path: &str, statuses: &[u16]) -> Call {
    let mut calls = recorder.take();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    let call = calls.remove(0);
    check(&call, method, path);
    assert!(statuses.contains(&call.status), "{call:#?}");
    call
}

fn check(call: &Call, method: &str, path: &str) {
    let base = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Network";
    assert_eq!(
        (call.method.as_str(), call.path.as_str()),
        (method, format!("{base}{path}").as_str())
    );
    assert_eq!(call.query, API);
    let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("accept"), Some("application/json"));
    assert_eq!(header("user-agent"), Some(AGENT));
    assert!(header("authorization").is_some_and(|text| text.starts_with("Bearer ") && text.len() > 10));
    for precondition in ["if-match", "if-none-match"] {
        assert_eq!(header(precondition), None);
    }
    match method {
        "PUT" => assert_eq!(header("content-type"), Some("application/json")),
        _ => assert_eq!(call.body, Value::Null),
    }
}

/// Creates, changes, grows to 60 endpoints, is throttled, and deletes.
pub(crate) async fn full_life(target: &Target) {
    let (azure, recorder) = recorded(target).await;
    let manager = azure.traffic_manager();
    let at = ProfileRef {
        resource_group: "rg".into(),
        name: "fleet-00000000-0000-4000-8000-000000000002".into(),
    };
    let path = format!("/trafficmanagerprofiles/{}", at.name);

    let missing = manager.profile(&at).await.unwrap_err();
    assert_eq!(missing.class(), Class::NotFound, "{missing}");
    only(&recorder, "GET", &path, &[404]);

    let body = wanted("team-app");
    let created = manager.put_profile(&at, &map(body.clone()).into()).await.unwrap();
    assert_eq!(only(&recorder, "PUT", &path, &[200, 201]).body, body);
    assert!(created.id().unwrap().to_lowercase().ends_with(&path), "{created:?}");
    assert_eq!(created.name().map(str::to_lowercase), Some(at.name.clone()));
    assert!(created.fqdn().unwrap().starts_with("team-app."), "{created:?}");
    assert!(created.endpoints().is_empty());

    for number in [1, 2] {
        let (name, body) = endpoint(number, 50);
        let stored = put_endpoint(&manager, &at, &name, &map(body.clone()).into())
            .await
            .unwrap();
        let encoded = name.replace('#', "%23");
        assert_eq!(
            only(
                &recorder,
                "PUT",
                &format!("{path}/AzureEndpoints/{encoded}"),
                &[200, 201]
            )
            .body,
            body
        );
        assert_eq!(stored.name().map(str::to_lowercase), Some(name.to_lowercase()));
        assert_eq!(stored.weight(), Some(50));
        assert!(stored.id().is_some() && stored.target().is_some_and(|target| !target.is_empty()));
    }

    change(&manager, &recorder, &at, &path).await;
    grow(&manager, &recorder, &at, &path).await;
    throttle(target, &manager, &recorder, &at).await;

    let (name, _) = endpoint(7, 0);
    let encoded = name.replace('#', "%23");
    for _ in 0..2 {
        manager.delete_endpoint(&at, &name).await.unwrap();
        only(
            &recorder,
            "DELETE",
            &format!("{path}/AzureEndpoints/{encoded}"),
            &[200, 204, 404],
        );
    }
    assert_eq!(manager.profile(&at).await.unwrap().endpoints().len(), 59);
    recorder.take();
    for _ in 0..2 {
        manager.delete_profile(&at).await.unwrap();
        only(&recorder, "DELETE", &path, &[200, 204, 404]);
    }
    assert_eq!(manager.profile(&at).await.unwrap_err().class(), Class::NotFound);
}

/// The answer goes back with managed fields overwritten; endpoints and what others have set survive.
async fn change(manager: &Arc<dyn TrafficManager>, recorder: &Recorder, at: &ProfileRef, path: &str) {
    let read = manager.profile(at).await.unwrap();
    only(recorder, "GET", path, &[200]);
    assert_eq!(read.endpoints().len(), 2);
    let mut body = Value::Object(read.into_json());
    body["tags"]["owner"] = json!("somebody");
    body["properties"]["trafficViewEnrollmentStatus"] = json!("Disabled");
    body["properties"]["dnsConfig"] = json!({"relativeName": "team-app", "ttl": 60});
    let monitor = &mut body["properties"]["monitorConfig"];
    monitor["intervalInSeconds"] = json!(10);
    monitor["timeoutInSeconds"] = json!(9);
    monitor["customHeaders"] = json!([{"name": "Host", "value": "app.example.com"}]);
    monitor["expectedStatusCodeRanges"] = json!([{"min": 200, "max": 204}]);
    manager.put_profile(at, &map(body.clone()).into()).await.unwrap();
    let sent = only(recorder, "PUT", path, &[200]).body;
    assert_eq!(sent, body, "nothing of what was read is lost on its way back");
    let again = Value::Object(manager.profile(at).await.unwrap().into_json());
    recorder.take();
    assert_eq!(again["tags"]["owner"], json!("somebody"));
    assert_eq!(again["properties"]["endpoints"].as_array().unwrap().len(), 2);
    let monitor = &again["properties"]["monitorConfig"];
    assert_eq!(monitor["intervalInSeconds"], json!(10));
    assert_eq!(
        monitor["customHeaders"],
        json!([{"name": "Host", "value": "app.example.com"}])
    );
    assert_eq!(monitor["expectedStatusCodeRanges"], json!([{"min": 200, "max": 204}]));
}

/// Writes an endpoint in its turn.
async fn put_endpoint(
    manager: &Arc<dyn TrafficManager>,
    at: &ProfileRef,
    name: &str,
    body: &Endpoint,
) -> Result<Endpoint, Error> {
    let turn = manager.turn().await?;
    manager.put_endpoint(turn, at, name, body).await
}

/// One write for each endpoint, several at a time, and none of the read kind.
async fn grow(manager: &Arc<dyn TrafficManager>, recorder: &Recorder, at: &ProfileRef, path: &str) {
    let writes = (1..=60).map(|number| async move {
        let (name, body) = endpoint(number, 17);
        put_endpoint(manager, at, &name, &map(body).into()).await
    });
    let stored: Vec<Endpoint> = futures::stream::iter(writes)
        .buffer_unordered(8)
        .try_collect()
        .await
        .unwrap();
    assert!(stored.iter().all(|endpoint| endpoint.weight() == Some(17)));
    let calls = recorder.take();
    let names: BTreeSet<String> = calls
        .iter()
        .map(|call| {
            let name = call.body["name"].as_str().unwrap().to_owned();
            check(
                call,
                "PUT",
                &format!("{path}/AzureEndpoints/{}", name.replace('#', "%23")),
            );
            name
        })
        .collect();
    assert_eq!((calls.len(), names.len()), (60, 60));
    let profile: Profile = manager.profile(at).await.unwrap();
    only(recorder, "GET", path, &[200]);
    let read: BTreeSet<String> = profile
        .endpoints()
        .iter()
        .map(|endpoint| endpoint.name().unwrap().to_lowercase())
        .collect();
    assert_eq!(read, names.iter().map(|name| name.to_lowercase()).collect());
}

/// A throttled write keeps writes away until its time, and reads go on.
async fn throttle(target: &Target, manager: &Arc<dyn TrafficManager>, recorder: &Recorder, at: &ProfileRef) {
    let (name, body) = endpoint(3, 18);
    let body: Endpoint = map(body).into();
    (target.refuse_next)(429, Some(4));
    let throttled = put_endpoint(manager, at, &name, &body).await.unwrap_err();
    assert_eq!((throttled.class(), throttled.status()), (Class::Throttled, Some(429)));
    assert_eq!(recorder.take().len(), 1, "no call is repeated by itself");
    let kept_away = manager.delete_endpoint(at, &name).await.unwrap_err();
    assert_eq!(kept_away.class(), Class::Throttled);
    assert_eq!(kept_away.summary(), throttled.summary(), "a repetition says the same");
    assert_eq!(recorder.take().len(), 0, "it was not sent");
    manager.profile(at).await.unwrap();
    assert_eq!(recorder.take().len(), 1);
    tokio::time::sleep(kept_away.retry_after().unwrap()).await;
    let stored = put_endpoint(manager, at, &name, &body).await.unwrap();
    assert_eq!((stored.weight(), recorder.take().len()), (Some(18), 1));
}

/// What a server must refuse, and the class that the refusal has.
pub(crate) async fn refusals(target: &Target) {
    let (azure, _recorder) = recorded(target).await;
    let manager = azure.traffic_manager();
    let at = |name: &str| ProfileRef {
        resource_group: "rg".into(),
        name: name.into(),
    };
    let put = async |name: &str, body: Value| manager.put_profile(&at(name), &map(body).into()).await;
    put("fleet-one", wanted("taken")).await.unwrap();
    let taken = put("fleet-two", wanted("taken")).await.unwrap_err();
    assert_eq!(taken.class(), Class::DomainNameTaken, "{taken}");
    let mut nameless = wanted("x");
    nameless["properties"]["dnsConfig"] = json!({"ttl": 60});
    assert_eq!(put("fleet-two", nameless).await.unwrap_err().class(), Class::Refused);

    let write = async |profile: &str, (name, body): (String, Value)| {
        put_endpoint(&manager, &at(profile), &name, &map(body).into()).await
    };
    assert_eq!(
        write("fleet-none", endpoint(1, 5)).await.unwrap_err().class(),
        Class::NotFound
    );
    for weight in [0, 1001] {
        let refused = write("fleet-one", endpoint(1, weight)).await.unwrap_err();
        assert_eq!(
            (refused.class(), refused.status()),
            (Class::Refused, Some(400)),
            "{refused}"
        );
    }
    write("fleet-one", endpoint(1, 5)).await.unwrap();
    let (other, mut same) = (endpoint(2, 5).0, endpoint(1, 5).1);
    same["name"] = json!(other);
    let duplicate = write("fleet-one", (other, same)).await.unwrap_err();
    assert_eq!(
        (duplicate.class(), duplicate.status()),
        (Class::Refused, Some(400)),
        "{duplicate}"
    );
    assert!(
        !duplicate.code().is_empty() && !duplicate.message().is_empty(),
        "{duplicate}"
    );
    for name in ["fleet-one", "fleet-two"] {
        manager.delete_profile(&at(name)).await.unwrap();
    }
}
