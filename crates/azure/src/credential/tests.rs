use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use azure_core::Url;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::*;

const PEM: &[u8] = include_bytes!("../../tests/data/client.pem");
const SCOPE: &str = "https://management.azure.com/.default";

/// A login or metadata service that gives prepared answers and keeps what it was asked.
#[derive(Clone, Default)]
struct Service {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Debug, Clone)]
struct Asked {
    target: String,
    metadata: bool,
    form: Vec<(String, String)>,
}

impl Asked {
    fn field(&self, name: &str) -> &str {
        let found = self.form.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Service {
    async fn start(answers: &[(u16, Value)]) -> (Self, Url) {
        let service = Self::default();
        service.answers.lock().extend(answers.iter().cloned());
        let router = Router::new().fallback(Self::answer).with_state(service.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (service, url)
    }

    async fn answer(State(service): State<Self>, request: Request) -> (StatusCode, String) {
        let target = request.uri().to_string();
        let metadata = request.headers().get("metadata").is_some_and(|value| value == "true");
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let query = Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(&body))).unwrap();
        let form = query.query_pairs().into_owned().collect();
        service.asked.lock().push(Asked { target, metadata, form });
        let (status, body) = service.answers.lock().pop_front().unwrap_or((500, json!({})));
        (StatusCode::from_u16(status).unwrap(), body.to_string())
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

fn granted(token: &str, seconds: u64) -> (u16, Value) {
    let body = json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token});
    (200, body)
}

fn transport() -> Transport {
    Transport::new(&TransportOptions::new("test")).unwrap()
}

fn file(name: &str, contents: &[u8]) -> PathBuf {
    let file = std::env::temp_dir().join(format!("fairway-azure-{}-{name}", std::process::id()));
    std::fs::write(&file, contents).unwrap();
    file
}

/// Gives tokens that live so many seconds, and fails on request.
#[derive(Debug, Default)]
struct Counting {
    life: u64,
    fetches: AtomicUsize,
    fails: Mutex<bool>,
}

#[async_trait]
impl Source for Counting {
    async fn fetch(&self, _scope: &str) -> Result<Token, Failure> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
        if *self.fails.lock() {
            return Err(Failure::NoAnswer("nobody answers".to_owned()));
        }
        Ok(Token::new(
            Secret::new(format!("token-{number}")),
            Duration::from_secs(self.life),
        ))
    }
}

fn counting(life: u64) -> (Arc<Counting>, Tokens) {
    let source = Arc::new(Counting {
        life,
        ..Counting::default()
    });
    (Arc::clone(&source), Tokens::new(source))
}

async fn token(tokens: &Tokens) -> String {
    tokens.token(SCOPE).await.unwrap().expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_and_renewed_before_its_end() {
    let (source, tokens) = counting(3600);
    let all = futures::future::join_all((0..20).map(|_| token(&tokens))).await;
    assert_eq!(all, vec!["token-1"; 20]);
    tokio::time::advance(Duration::from_secs(3600 - 301)).await;
    assert_eq!(token(&tokens).await, "token-1");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(token(&tokens).await, "token-2");
    assert_ne!(
        tokens.token("other").await.unwrap().expose(),
        "token-2",
        "each scope has its own"
    );
    tokens.forget();
    assert_eq!(token(&tokens).await, "token-4");
    assert_eq!(source.fetches.load(Ordering::SeqCst), 4);
    let (_, short) = counting(60);
    assert_eq!(token(&short).await, "token-1");
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(
        token(&short).await,
        "token-1",
        "a short one serves for half of its life"
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(token(&short).await, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_leaves_the_old_token_in_use_until_its_end() {
    let (source, tokens) = counting(3600);
    assert_eq!(token(&tokens).await, "token-1");
    *source.fails.lock() = true;
    tokio::time::advance(Duration::from_secs(3400)).await;
    for _ in 0..5 {
        assert_eq!(token(&tokens).await, "token-1");
    }
    assert_eq!(source.fetches.load(Ordering::SeqCst), 2, "it is not tried at each call");
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(token(&tokens).await, "token-1");
    assert_eq!(source.fetches.load(Ordering::SeqCst), 3);
    tokio::time::advance(Duration::from_secs(200)).await;
    let failure = tokens.token(SCOPE).await.unwrap_err();
    assert_eq!(
        failure,
        Failure::Credentials("no token could be had: nobody answers".to_owned())
    );
    *source.fails.lock() = false;
    assert_eq!(token(&tokens).await, "token-5");
}

#[tokio::test]
async fn a_federated_token_is_read_anew_from_its_file() {
    let (service, login) = Service::start(&[granted("a", 3600), granted("b", 3600)]).await;
    let file = file("federated", b" first\n");
    let source = federated::FileTokenCredential::new(transport(), login, "tenant".into(), "me".into(), file.clone());
    assert_eq!(source.fetch(SCOPE).await.unwrap().secret.expose(), "a");
    std::fs::write(&file, "second").unwrap();
    assert_eq!(source.fetch(SCOPE).await.unwrap().secret.expose(), "b");
    let asked = service.asked();
    assert_eq!(asked[0].target, "/tenant/oauth2/v2.0/token");
    assert_eq!(
        (asked[0].field("client_assertion"), asked[1].field("client_assertion")),
        ("first", "second")
    );
    assert_eq!((asked[0].field("client_id"), asked[0].field("scope")), ("me", SCOPE));
    assert_eq!(
        asked[0].field("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    std::fs::write(&file, "\n").unwrap();
    let empty = source.fetch(SCOPE).await.unwrap_err().to_string();
    std::fs::remove_file(&file).unwrap();
    let gone = source.fetch(SCOPE).await.unwrap_err().to_string();
    assert!(
        empty.contains("is empty") && gone.contains("cannot be read"),
        "{empty}, {gone}"
    );
    assert_eq!(service.asked().len(), 2, "nothing is asked without an assertion");
}

#[tokio::test]
async fn a_secret_is_exchanged_and_a_refusal_says_why() {
    let refusal = json!({"error": "invalid_client", "error_description":
        "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 11-22\r\nTimestamp: 2026-11-30 10:00:00Z"});
    let (service, login) = Service::start(&[
        granted("a", 3600),
        granted("b", 3600),
        (401, refusal),
        (200, json!({"access_token": "hush-1"})),
    ])
    .await;
    let source = secret::ClientSecret::new(transport(), login, "tenant".into(), "me".into(), &Secret::new("hush"));
    assert_eq!(source.fetch(SCOPE).await.unwrap().secret.expose(), "a");
    assert_eq!(
        source.fetch(SCOPE).await.unwrap().secret.expose(),
        "b",
        "the SDK keeps nothing"
    );
    let asked = &service.asked()[0];
    assert_eq!(asked.target, "/tenant/oauth2/v2.0/token");
    assert_eq!(
        (asked.field("client_secret"), asked.field("grant_type")),
        ("hush", "client_credentials")
    );
    let tokens = Tokens::new(Arc::new(source));
    let refused = tokens.token(SCOPE).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no token could be had: 401 invalid_client: AADSTS7000215: Invalid client secret provided"
    );
    let garbage = tokens.token(SCOPE).await.unwrap_err().to_string();
    assert_eq!(garbage, "the answer of the login service holds no token");
    assert!(!format!("{tokens:?}").contains("hush"));
}

#[tokio::test]
async fn a_managed_identity_is_named_as_the_metadata_service_wants_it() {
    let end = Timestamp::now().as_second() + 3600;
    let answer = json!({"access_token": "sesame", "expires_on": end.to_string(), "token_type": "Bearer"});
    let resource = "/subscriptions/s/resourceGroups/rg/providers/p/userAssignedIdentities/i";
    for (identity, wanted) in [
        (None, ""),
        (Some(("client_id", "me".to_owned())), "&client_id=me"),
        (
            Some(("msi_res_id", resource.to_owned())),
            "&msi_res_id=%2Fsubscriptions%2Fs%2FresourceGroups%2Frg%2Fproviders%2Fp%2FuserAssignedIdentities%2Fi",
        ),
    ] {
        let (service, url) = Service::start(&[(200, answer.clone()), (200, json!({"access_token": "x"}))]).await;
        let source = managed::Managed::new(transport(), identity).at(format!("{url}metadata/identity/oauth2/token"));
        assert_eq!(source.fetch(SCOPE).await.unwrap().secret.expose(), "sesame");
        let asked = service.asked();
        let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com";
        assert_eq!(asked[0].target, format!("{path}{wanted}"));
        assert!(asked[0].metadata);
        let endless = source.fetch(SCOPE).await.unwrap_err().to_string();
        assert!(endless.contains("holds no token"), "{endless}");
    }
}

#[test]
fn answers_of_the_metadata_service_tell_times_in_two_forms() {
    let now = Timestamp::from_second(1000).unwrap();
    let read = |body: Value| managed::granted(body.to_string().as_bytes(), now);
    for good in [
        json!({"access_token": "x", "expires_on": "4600"}),
        json!({"access_token": "x", "expires_on": 4600}),
        json!({"access_token": "x", "expires_in": "3600"}),
    ] {
        assert!(read(good.clone()).is_some(), "{good}");
    }
    for bad in [
        json!({"access_token": "", "expires_on": 4600}),
        json!({"access_token": 5, "expires_on": 4600}),
        json!({"expires_on": 4600}),
        json!({"access_token": "x", "expires_on": "soon"}),
        json!([]),
    ] {
        assert!(read(bad.clone()).is_none(), "{bad}");
    }
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_with_its_chain() {
    let (service, login) = Service::start(&[granted("a", 3600)]).await;
    let file = file("certificate", PEM);
    let source = certificate::Certificate::new(transport(), login.clone(), "tenant".into(), "me".into(), file.clone());
    source.check().await.unwrap();
    assert_eq!(source.fetch(SCOPE).await.unwrap().secret.expose(), "a");
    let assertion = service.asked()[0].field("client_assertion").to_owned();
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(PEM).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public
        .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let (header, claims) = (part(header), part(claims));
    let der = rustls::pki_types::CertificateDer::from_pem_slice(PEM).unwrap();
    assert_eq!(header["x5c"], json!([STANDARD.encode(&der)]));
    assert_eq!(
        (&header["alg"], header["x5t"].as_str().unwrap().len()),
        (&json!("RS256"), 27)
    );
    assert_eq!(claims["aud"], json!(format!("{login}tenant/oauth2/v2.0/token")));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 600);
    std::fs::remove_file(&file).unwrap();
    assert!(source.check().await.unwrap_err().contains("cannot be read"));
}

#[test]
fn certificate_files_that_cannot_be_used_are_refused_with_a_sentence() {
    let text = std::str::from_utf8(PEM).unwrap();
    let (key, certificate) = text.split_at(text.find("-----BEGIN CERTIFICATE").unwrap());
    for (contents, part) in [
        ("0\u{82}binary".to_owned(), "PKCS#12 is not supported"),
        (
            text.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"),
            "key with a password",
        ),
        (key.to_owned(), "no certificate"),
        (certificate.to_owned(), "no RSA key"),
        (
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_owned(),
            "not valid PEM",
        ),
    ] {
        let refused = certificate::sign(contents.as_bytes(), "a", "c", Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(refused.contains(part), "{refused}");
    }
}
