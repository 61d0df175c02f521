// Every reader of what clients send, and what must hold for each. Shared by the bounded tests and the targets of cargo-fuzz.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use traffic_manager::arm::path::{EndpointId, Route};
use traffic_manager::arm::{ADDRESSES, PROFILES, body};
use traffic_manager::auth::{Authenticator, Key};
use traffic_manager::decide::{Hints, Operation, Settings, decide};
use traffic_manager::model::{Profile, PublicAddress, ResourceId};
use traffic_manager::state::{Change, State};
use traffic_manager::zone::{ZoneSettings, zone};

const ORIGIN: &str = "tm.example.com";

/// Profile `p` with an endpoint of each type, and the public IP address `frontend`.
static STATE: LazyLock<State> = LazyLock::new(|| {
    let mut state = State::default();
    let address = json!({"location": "westeurope", "properties": {"ipAddress": "192.0.2.9",
        "dnsSettings": {"domainNameLabel": "frontend"}}});
    let profile = json!({"location": "global", "properties": {"trafficRoutingMethod": "Weighted",
    "dnsConfig": {"relativeName": "p"}, "monitorConfig": {"protocol": "HTTP", "port": 80},
    "endpoints": [
        {"name": "a", "type": "azureEndpoints", "properties": {"targetResourceId": id("frontend").arm(ADDRESSES)}},
        {"name": "b", "type": "externalEndpoints", "properties": {"target": "b.example"}},
    ]}});
    for operation in [
        Operation::PutAddress(id("frontend"), map(address)),
        Operation::PutProfile(id("p"), map(profile)),
    ] {
        let decision = decide(&state, &settings(), operation, Timestamp::UNIX_EPOCH).expect("a valid body");
        decision.changes.into_iter().for_each(|change| state.apply(change));
    }
    state
});

/// Whether one of the operations took the body. What is taken can be stored and served, and what is answered can be
/// written back, which changes nothing.
pub fn body(bytes: &[u8]) -> bool {
    let Ok(object) = body::object(bytes) else {
        return false;
    };
    let mut taken = false;
    for operation in [
        Operation::PutProfile(id("new"), object.clone()),
        Operation::PutProfile(id("p"), object.clone()),
        Operation::PatchProfile(id("p"), object.clone()),
        Operation::PutAddress(id("new"), object.clone()),
        Operation::PatchAddress(id("frontend"), object.clone()),
    ] {
        taken |= write(operation);
    }
    for (kind, name) in [("AzureEndpoints", "a"), ("externalEndpoints", "b")] {
        taken |= write(Operation::PutEndpoint(
            endpoint(kind, &named(&object, name)),
            object.clone(),
        ));
        taken |= write(Operation::PatchEndpoint(endpoint(kind, name), object.clone()));
    }
    taken |= decide(&STATE, &settings(), Operation::CheckName(object), Timestamp::UNIX_EPOCH).is_ok();
    if let Ok(hints) = serde_json::from_slice::<Hints>(bytes) {
        taken |= write(Operation::Hint(hints));
    }
    taken
}

/// Whether the path names something. A resource's own id names it again.
pub fn path(bytes: &[u8]) -> bool {
    let Some(route) = std::str::from_utf8(bytes).ok().and_then(Route::parse) else {
        return false;
    };
    let own = match &route {
        Route::Profile(id) => Some(id.arm(PROFILES)),
        Route::Address(id) => Some(id.arm(ADDRESSES)),
        Route::Endpoint(id) => Some(format!("{}/{}/{}", id.profile.arm(PROFILES), id.kind, id.name)),
        _ => None,
    };
    // Ids hold names as they are, paths hold them encoded.
    if let Some(own) = own.filter(|own| !own.contains('%')) {
        assert_eq!(Route::parse(&own), Some(route), "{own}");
    }
    true
}

/// Whether the form of a login was granted a token. Only the secret is, and nothing that was not granted is taken.
pub fn login(bytes: &[u8]) -> bool {
    const SECRET: &str = "0123456789abcdef";
    static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("fairway-tm-login-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let clients = folder.join("clients.json");
        std::fs::write(
            &clients,
            json!({"clients": [{"clientId": "hub", "secret": SECRET}]}).to_string(),
        )
        .expect("a file");
        let key = Key::read_or_make(&folder.join("key")).expect("a key");
        let authenticator = Authenticator::new(clients, key, Duration::from_secs(60)).expect("clients");
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        authenticator
    });
    let now = Timestamp::UNIX_EPOCH;
    if let Ok(header) = std::str::from_utf8(bytes) {
        assert!(
            AUTHENTICATOR.check(Some(header), now).is_err(),
            "nobody was granted {header:?}"
        );
    }
    let Ok(grant) = AUTHENTICATOR.grant("tenant", bytes, now) else {
        return false;
    };
    let form: Vec<(String, String)> = form_urlencoded::parse(bytes).into_owned().collect();
    assert!(
        form.contains(&("client_secret".to_owned(), SECRET.to_owned())),
        "{form:?}"
    );
    let answer = serde_json::to_value(grant).expect("JSON can be written");
    let header = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));
    assert!(AUTHENTICATOR.check(Some(&header), now).is_ok());
    true
}

fn write(operation: Operation) -> bool {
    let mut state = STATE.clone();
    let read = match &operation {
        Operation::PutProfile(id, _) | Operation::PatchProfile(id, _) => Some(Operation::GetProfile(id.clone())),
        Operation::PutAddress(id, _) | Operation::PatchAddress(id, _) => Some(Operation::GetAddress(id.clone())),
        Operation::PutEndpoint(id, _) | Operation::PatchEndpoint(id, _) => Some(Operation::GetEndpoint(id.clone())),
        _ => None,
    };
    let Ok(decision) = decide(&state, &settings(), operation, Timestamp::UNIX_EPOCH) else {
        return false;
    };
    for change in decision.changes {
        match &change {
            Change::PutProfile(profile) => assert_eq!(&stored::<Profile>(profile), profile),
            Change::PutAddress(address) => assert_eq!(&stored::<PublicAddress>(address), address),
            Change::DeleteProfile(_) | Change::DeleteAddress(_) => panic!("a write deletes"),
        }
        state.apply(change);
    }
    let (zone, problems) = zone(&state, &zone_settings());
    assert!(dns::Catalog::new(&[zone]).is_ok());
    assert!(problems.is_empty(), "{problems:?}");
    if let Some(read) = read {
        write_back(&state, read);
    }
    true
}

/// What is answered is what a client sends back that changes nothing.
fn write_back(state: &State, read: Operation) {
    let answered = decide(state, &settings(), read.clone(), Timestamp::UNIX_EPOCH).expect("it was written");
    let whole = map(answered.answer.body.expect("a body"));
    let again = match read {
        Operation::GetProfile(id) => Operation::PutProfile(id, whole.clone()),
        Operation::GetAddress(id) => Operation::PutAddress(id, whole.clone()),
        Operation::GetEndpoint(id) => Operation::PutEndpoint(id, whole.clone()),
        _ => return,
    };
    let again = decide(state, &settings(), again, Timestamp::UNIX_EPOCH);
    let again = again.unwrap_or_else(|err| panic!("{err}: {whole:?}"));
    assert!(again.changes.is_empty(), "{:?} for {whole:?}", again.changes);
}

fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(record: &Arc<T>) -> Arc<T> {
    let bytes = serde_json::to_vec(record.as_ref()).expect("JSON can be written");
    Arc::new(serde_json::from_slice(&bytes).expect("what was written can be read"))
}

/// The name in the body, so that it fits the path that it is sent to.
fn named(object: &Map<String, Value>, otherwise: &str) -> String {
    object
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or(otherwise)
        .to_owned()
}

fn id(name: &str) -> ResourceId {
    ResourceId {
        subscription: "sub".to_owned(),
        group: "rg".to_owned(),
        name: name.to_owned(),
    }
}

fn endpoint(kind: &str, name: &str) -> EndpointId {
    EndpointId {
        profile: id("p"),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn settings() -> Settings {
    Settings {
        origin: ORIGIN.to_owned(),
        reserved: ["ns1".to_owned()].into(),
        max_profiles: 200,
        max_endpoints: 200,
        page: 100,
    }
}

fn zone_settings() -> ZoneSettings {
    let name = |text: &str| dns::Name::from_ascii(text).expect("a name");
    ZoneSettings {
        origin: name("tm.example.com."),
        name_servers: vec![dns::NameServer {
            name: name("ns1.tm.example.com."),
            addresses: vec![[192, 0, 2, 53].into()],
        }],
        mailbox: name("hostmaster.tm.example.com."),
        own_ttl: 3600,
        negative_ttl: 10,
        networks: Arc::default(),
    }
}
