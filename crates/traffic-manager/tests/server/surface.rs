//! The HTTP surface over real connections.

use std::time::Duration;

use crate::client::*;
use http::Method;
use serde_json::{Value, json};
use traffic_manager::faults::{CLIENT, Fault, Options, READER, READER_SECRET, Rule, SECRET, Server, TENANT};

fn monitor() -> Value {
    json!({"protocol": "TCP", "port": 1, "intervalInSeconds": 30, "timeoutInSeconds": 10, "toleratedNumberOfFailures": 3})
}

#[tokio::test]
async fn a_client_needs_the_address_alone() {
    let directory = Directory::new("address");
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let get = async |path: &str| send(server.arm, Method::GET, path, None, Vec::new()).await.unwrap();
    let clouds = get("/metadata/endpoints?api-version=2019-05-01").await;
    assert_eq!(clouds.status, 200);
    let cloud = &clouds.body[0];
    assert_eq!(cloud["resourceManager"], json!(format!("{}/", server.url)));
    assert_eq!(cloud["authentication"]["audiences"], json!([server.url]));
    let login = cloud["authentication"]["loginEndpoint"].as_str().unwrap();
    let open_id = get(&format!("/{TENANT}/v2.0/.well-known/openid-configuration")).await;
    assert_eq!(
        open_id.body["token_endpoint"],
        json!(format!("{login}{TENANT}/oauth2/v2.0/token"))
    );
    let hub = Hub::new(server.arm).await;
    let list = format!("/subscriptions/sub/providers/Microsoft.Network/trafficManagerProfiles?{TM}");
    let listed = hub.call(Method::GET, &list, Value::Null).await;
    assert_eq!((listed.status, listed.body), (200, json!({"value": []})));
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_known_or_not_allowed_is_refused_as_azure_does() {
    let directory = Directory::new("refused");
    let options = Options {
        token_lifetime: Duration::ZERO,
        ..Options::default()
    };
    let server = Server::start(&directory.0, options).await.unwrap();
    let expired = token(server.arm, CLIENT, SECRET).await;
    for (token, code) in [
        (None, "AuthenticationFailed"),
        (Some("nonsense"), "InvalidAuthenticationToken"),
        (Some(expired.as_str()), "ExpiredAuthenticationToken"),
    ] {
        for path in [profile_path("p"), "/fairway/v1/hints".to_owned()] {
            let method = if path.starts_with("/fairway") {
                Method::POST
            } else {
                Method::GET
            };
            let reply = send(server.arm, method, &path, token, Vec::new()).await.unwrap();
            assert_eq!((reply.status, reply.code()), (401, code));
            assert!(
                reply.headers["www-authenticate"]
                    .to_str()
                    .unwrap()
                    .starts_with("Bearer authorization_uri=")
            );
        }
    }
    server.stop().await;

    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let reader = Hub {
        at: server.arm,
        token: token(server.arm, READER, READER_SECRET).await,
    };
    let readable = |name: &str| profile_path(name).replace("/rg/", "/readable/");
    assert_eq!(reader.call(Method::GET, &readable("p"), Value::Null).await.status, 404);
    for (method, path) in [
        (Method::PUT, readable("p")),
        (Method::DELETE, readable("p")),
        (Method::GET, profile_path("p")),
    ] {
        let reply = reader.call(method, &path, profile_body("p", monitor())).await;
        assert_eq!((reply.status, reply.code()), (403, "AuthorizationFailed"));
    }
    assert_eq!(reader.hint("p", "e", "Degraded", 5).await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn requests_that_are_wrong_say_why() {
    let directory = Directory::new("wrong");
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let hub = Hub::new(server.arm).await;
    let path = format!("{BASE}/trafficManagerProfiles/p");
    for (method, path, status, code) in [
        (Method::GET, path.clone(), 400, "MissingApiVersionParameter"),
        (
            Method::GET,
            format!("{path}?api-version=2000-01-01"),
            400,
            "NoRegisteredProviderFound",
        ),
        (Method::POST, format!("{path}?{TM}"), 405, "MethodNotAllowed"),
        (Method::GET, "/elsewhere".to_owned(), 404, "NotFound"),
        (Method::PUT, format!("{path}?{TM}"), 400, "InvalidRequestContent"),
    ] {
        let reply = hub.call(method, &path, Value::Null).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{path}");
        assert!(reply.headers.contains_key("x-ms-request-id"));
    }
    let large = vec![b' '; (1 << 20) + 1];
    let reply = send(
        server.arm,
        Method::PUT,
        &format!("{path}?{TM}"),
        Some(&hub.token),
        large,
    )
    .await
    .unwrap();
    assert_eq!((reply.status, reply.code()), (413, "RequestContentTooLarge"));
    server.stop().await;
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let directory = Directory::new("throttle");
    let server = Server::start(
        &directory.0,
        Options {
            throttle_factor: 1,
            ..Options::default()
        },
    )
    .await
    .unwrap();
    let hub = Hub::new(server.arm).await;
    let mut throttled = None;
    // A window of 20 s has room for 50; the loop may meet the beginning of the next one.
    for _ in 0..150 {
        let reply = hub.call(Method::DELETE, &profile_path("p"), Value::Null).await;
        if reply.status == 429 {
            throttled = Some(reply);
            break;
        }
        assert_eq!(reply.status, 204);
    }
    let throttled = throttled.unwrap();
    assert_eq!(throttled.code(), "TooManyRequests");
    let seconds: u64 = throttled.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(
        hub.call(Method::GET, &profile_path("p"), Value::Null).await.status,
        404,
        "reads are counted apart"
    );
    server.stop().await;
}

#[tokio::test]
async fn names_with_a_hash_and_pages_work_over_the_wire() {
    let directory = Directory::new("wire");
    let server = Server::start(
        &directory.0,
        Options {
            page: 2,
            ..Options::default()
        },
    )
    .await
    .unwrap();
    let hub = Hub::new(server.arm).await;
    assert_eq!(
        hub.put_profile("Fleet-1", profile_body("app", monitor())).await.status,
        201
    );
    let name = "fleet-2#nginx#member-1";
    assert_eq!(
        hub.put_endpoint("fleet-1", name, endpoint_body("192.0.2.1", 5))
            .await
            .status,
        201
    );
    let read = hub.call(Method::GET, &profile_path("FLEET-1"), Value::Null).await;
    assert_eq!(read.body["properties"]["endpoints"][0]["name"], json!(name));
    let upper = endpoint_path("fleet-1", name)
        .to_uppercase()
        .replace("API-VERSION", "api-version");
    assert_eq!(hub.call(Method::DELETE, &upper, Value::Null).await.status, 200);

    for name in ["a", "b", "c", "d", "e"] {
        let body = json!({"location": "eastus", "properties": {"ipAddress": "198.51.100.1"}});
        let path = format!("{BASE}/publicIPAddresses/{name}?{PIP}");
        assert_eq!(hub.call(Method::PUT, &path, body).await.status, 201);
    }
    let mut next = Some(format!("{BASE}/publicIPAddresses?{PIP}"));
    let mut pages = Vec::new();
    while let Some(path) = next {
        let page = hub.call(Method::GET, &path, Value::Null).await;
        assert_eq!(page.status, 200, "{path}");
        pages.push(page.body["value"].as_array().unwrap().len());
        let link = page.body.get("nextLink").and_then(Value::as_str);
        next = link.map(|link| link.strip_prefix(&server.url).unwrap().to_owned());
    }
    assert_eq!(pages, [2, 2, 1]);
    server.stop().await;
}

#[tokio::test]
async fn faults_befall_the_requests_they_are_meant_for() {
    let directory = Directory::new("faults");
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let hub = Hub::new(server.arm).await;
    let (faults, path) = (&server.faults, profile_path("p"));
    let put = async || hub.attempt(Method::PUT, &path, profile_body("p", monitor())).await;
    let get = async || hub.call(Method::GET, &path, Value::Null).await;

    faults.add(Rule::new(Fault::DropBefore).method(Method::PUT).times(1));
    assert!(put().await.is_err());
    assert_eq!(get().await.status, 404, "nothing was done");
    faults.add(Rule::new(Fault::DropAfter).method(Method::PUT).times(1));
    assert!(put().await.is_err());
    assert_eq!(get().await.status, 200, "everything was done");
    faults.add(
        Rule::new(Fault::Refuse(429, "TooManyRequests", Some(7)))
            .method(Method::GET)
            .after(1)
            .times(1),
    );
    assert_eq!(get().await.status, 200);
    let refused = get().await;
    assert_eq!(
        (refused.status, refused.code(), &refused.headers["retry-after"]),
        (429, "TooManyRequests", &"7".parse().unwrap())
    );
    faults.add(Rule::new(Fault::Garbage).path("/TRAFFICmanagerprofiles/P").times(1));
    assert_eq!(get().await.body, Value::Null);
    faults.add(Rule::new(Fault::Missing(vec!["/properties/dnsConfig/fqdn", "/id"])));
    let body = get().await.body;
    assert!(body.get("id").is_none() && body["properties"]["dnsConfig"].get("fqdn").is_none());
    assert_eq!(body["properties"]["dnsConfig"]["relativeName"], json!("p"));
    faults.clear();
    faults.take_seen();
    put().await.unwrap();
    let seen = faults.take_seen();
    assert_eq!(
        (seen.len(), &seen[0].method, seen[0].query.as_str()),
        (1, &Method::PUT, TM)
    );

    faults.by_name(Default::default());
    let named = |name: &str| profile_path(name).replace("/rg/", "/default-resource-group-name/");
    for (method, path, status) in [
        (Method::GET, path.clone(), 403),
        (Method::GET, named("valid-profile"), 200),
        (Method::GET, named("request-timeout-profile"), 408),
        (Method::GET, named("anything"), 404),
        (Method::PUT, named("conflict-err-profile"), 409),
        (Method::PUT, named("internal-server-err-profile"), 500),
        (Method::PUT, named("throttled-err-profile"), 429),
        (
            Method::DELETE,
            endpoint_path("valid-profile", "b#s#not-found").replace("/rg/", "/default-resource-group-name/"),
            404,
        ),
    ] {
        let reply = hub.call(method, &path, profile_body("p", monitor())).await;
        assert_eq!(reply.status, status, "{path}");
    }
    server.stop().await;
}
