use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-30T12:00:00Z";

fn clients() -> Clients {
    let file = json!({"clients": [
        {"tenant": "Tenant-A", "clientId": "hub", "secret": "0123456789abcdef"},
        {"clientId": "reader", "secret": "fedcba9876543210", "readOnly": true, "scopes": ["/subscriptions/S/resourceGroups/Rg/"]},
    ]});
    Clients::parse(file.to_string().as_bytes()).unwrap()
}

fn key() -> Key {
    Key::new(&[7; 32])
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn form(client: &str, secret: &str) -> Vec<u8> {
    format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope=https%3A%2F%2Fx%2F.default")
        .into_bytes()
}

fn grant(tenant: &str, form: &[u8]) -> Result<Value, (u16, &'static str)> {
    let granted = token::grant(&clients(), &key(), tenant, form, now(), Duration::from_secs(3600));
    granted
        .map(|grant| serde_json::to_value(grant).unwrap())
        .map_err(|refusal| (refusal.status, refusal.error))
}

fn bearer(client: &str, secret: &str) -> String {
    let answer = grant("tenant-a", &form(client, secret)).unwrap();
    format!("Bearer {}", answer["access_token"].as_str().unwrap())
}

fn check(clients: &Clients, key: &Key, header: Option<&str>, after: i64) -> Result<String, &'static str> {
    let at = now().checked_add(jiff::SignedDuration::from_secs(after)).unwrap();
    token::check(clients, key, header, at)
        .map(|client| client.id.clone())
        .map_err(|err| {
            assert_eq!(err.status, 401);
            err.code
        })
}

#[test]
fn a_secret_gets_a_token_that_is_good_for_its_time() {
    let answer = grant("TENANT-A", &form("HUB", "0123456789abcdef")).unwrap();
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    let header = bearer("hub", "0123456789abcdef");
    assert_eq!(check(&clients(), &key(), Some(&header), 0), Ok("hub".to_owned()));
    assert_eq!(check(&clients(), &key(), Some(&header), 3599), Ok("hub".to_owned()));
    assert_eq!(
        check(&clients(), &key(), Some(&header), 3600),
        Err("ExpiredAuthenticationToken")
    );
}

#[test]
fn what_is_wrong_gets_none() {
    let body = |text: &str| text.as_bytes().to_vec();
    for (tenant, form, wanted) in [
        ("tenant-a", form("hub", "wrong"), (401, "invalid_client")),
        (
            "tenant-b",
            form("hub", "0123456789abcdef"),
            (400, "unauthorized_client"),
        ),
        (
            "tenant-a",
            form("nobody", "0123456789abcdef"),
            (400, "unauthorized_client"),
        ),
        (
            "tenant-a",
            body("grant_type=password&client_id=hub"),
            (400, "unsupported_grant_type"),
        ),
        ("tenant-a", body(""), (400, "unsupported_grant_type")),
        (
            "tenant-a",
            vec![0xff, b'=', 0xfe, b'&'],
            (400, "unsupported_grant_type"),
        ),
    ] {
        assert_eq!(grant(tenant, &form), Err(wanted));
    }
}

#[test]
fn tokens_cannot_be_made_up() {
    let good = bearer("hub", "0123456789abcdef");
    let (all, key) = (clients(), key());
    let token = good.strip_prefix("Bearer ").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, payload) = signed.split_once('.').unwrap();
    use base64::Engine as _;
    let forged = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(
        json!({"iss": "fairway-traffic-manager", "sub": "hub", "key": "", "iat": 0, "exp": 4_000_000_000_i64})
            .to_string(),
    );
    for header in [
        "".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        format!("Bearer {signed}"),
        format!("Bearer {signed}."),
        format!("Bearer {head}.{forged}.{signature}"),
        format!("Bearer {payload}.{head}.{signature}"),
        format!("Bearer {token}{}", "x".repeat(5000)),
    ] {
        assert_eq!(
            check(&all, &key, Some(&header), 0),
            Err("InvalidAuthenticationToken"),
            "{header}"
        );
    }
    assert_eq!(check(&all, &key, None, 0), Err("AuthenticationFailed"));
    assert_eq!(
        check(&all, &Key::new(&[8; 32]), Some(&good), 0),
        Err("InvalidAuthenticationToken"),
        "another key"
    );
}

#[test]
fn a_token_ends_with_its_secret_and_its_client() {
    let good = bearer("hub", "0123456789abcdef");
    for clients in [
        json!({"clients": [{"clientId": "hub", "secret": "another-0123456789"}]}),
        json!({"clients": []}),
    ] {
        let clients = Clients::parse(clients.to_string().as_bytes()).unwrap();
        assert_eq!(
            check(&clients, &key(), Some(&good), 0),
            Err("InvalidAuthenticationToken")
        );
    }
}

#[test]
fn rights_end_where_scopes_do() {
    let all = clients();
    let (hub, reader) = (all.find(None, "hub").unwrap(), all.find(None, "reader").unwrap());
    let path = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Network/trafficManagerProfiles/p";
    assert!(hub.authorize(Access::Delete, "trafficManagerProfiles", path).is_ok());
    assert!(reader.authorize(Access::Read, "trafficManagerProfiles", path).is_ok());
    let err = reader
        .authorize(Access::Write, "trafficManagerProfiles", path)
        .unwrap_err();
    assert_eq!((err.status, err.code), (403, "AuthorizationFailed"));
    assert!(
        err.message
            .contains("perform action 'Microsoft.Network/trafficManagerProfiles/write'"),
        "{err}"
    );
    for outside in [
        "/subscriptions/s",
        "/subscriptions/s/resourceGroups/rg2",
        "/subscriptions/s2/resourceGroups/rg",
    ] {
        assert!(
            reader
                .authorize(Access::Read, "trafficManagerProfiles", outside)
                .is_err(),
            "{outside}"
        );
    }
}

#[test]
fn mistakes_in_the_file_name_no_secret() {
    let client = |id: &str, secret: &str| json!({"clientId": id, "secret": secret});
    for (file, part) in [
        (json!({"clients": [client("a", "short-secret")]}), "shorter than 16"),
        (json!({"clients": [client("", "0123456789abcdef")]}), "clientId"),
        (
            json!({"clients": [client("a", "0123456789abcdef"), client("A", "0123456789abcdef")]}),
            "twice",
        ),
        (
            json!({"clients": [{"clientID": "a", "secret": "0123456789abcdef"}]}),
            "not as documented",
        ),
        (json!({"clients": "0123456789abcdef"}), "not as documented"),
    ] {
        let cause = Clients::parse(file.to_string().as_bytes()).unwrap_err();
        assert!(cause.contains(part), "{part} in {cause}");
        assert!(
            !cause.contains("0123456789abcdef") && !cause.contains("short-secret"),
            "{cause}"
        );
    }
    assert!(!format!("{:?}", clients()).contains("0123456789abcdef"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_counts_and_a_broken_one_does_not() {
    let directory = std::env::temp_dir().join(format!("fairway-auth-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path: PathBuf = directory.join("clients.json");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write(r#"{"clients": [{"clientId": "a", "secret": "0123456789abcdef"}]}"#);
    let key = Key::read_or_make(&directory.join("token-key")).unwrap();
    let auth = Authenticator::new(path.clone(), key, Duration::from_secs(60)).unwrap();
    let grant = |client: &str| auth.grant("t", &form(client, "0123456789abcdef"), now()).is_ok();
    assert!(grant("a") && !grant("longer"));
    write(r#"{"clients": [{"clientId": "longer", "secret": "0123456789abcdef"}]}"#);
    assert!(!grant("longer"), "it is not looked at for every request");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(grant("longer") && !grant("a"));
    write("broken");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(grant("longer"));
    let again = Key::read_or_make(&directory.join("token-key")).unwrap();
    assert!(again.verifies("text", &auth.key.sign("text")), "the key is kept");
    std::fs::remove_dir_all(&directory).unwrap();
}
