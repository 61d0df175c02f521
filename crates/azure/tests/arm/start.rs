//! Finding the cloud: private authorities, proxies, and how a resource manager describes itself.

use std::sync::Arc;

use azure::{Azure, Class, CloudConfig, ConfigError, Environment, Options, ProfileRef, Url};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fake::{ASSERTION, Fake};
use super::{AGENT, CLIENT, TENANT, config, scratch};

async fn connect(config: &serde_json::Value) -> Result<Azure, ConfigError> {
    let config = CloudConfig::parse(&config.to_string(), &Environment::default()).unwrap();
    Azure::connect(&config, &Options::new(AGENT)).await
}

/// Answers every request with the description of a cloud.
async fn answer_metadata(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    itself: &str,
) -> String {
    let mut request = vec![0; 8192];
    let size = stream.read(&mut request).await.unwrap_or(0);
    let body = json!({"authentication": {"loginEndpoint": itself, "audiences": [itself]}}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
    String::from_utf8_lossy(&request[..size]).into_owned()
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let itself = base.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, itself) = (acceptor.clone(), itself.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer_metadata(stream, &itself).await;
                }
            });
        }
    });
    let mut config = config(&Url::parse(&base).unwrap());
    let unknown = connect(&config).await.unwrap_err().to_string();
    assert!(
        unknown.contains("addresses of the cloud cannot be learned") && unknown.contains("certificate"),
        "{unknown}"
    );
    let file = scratch("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    config["resourceManagerCAFile"] = json!(file);
    connect(&config).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let gone = connect(&config).await.unwrap_err().to_string();
    assert!(gone.contains("cannot be read"), "{gone}");
}

/// Runs itself once more with the proxy in its environment, because the environment of a process is not changed.
#[tokio::test]
async fn proxies_of_the_environment_are_used() {
    const CHILD: &str = "FAIRWAY_TEST_BEHIND_PROXY";
    let base = Url::parse("http://arm.fleet.invalid").unwrap();
    if std::env::var_os(CHILD).is_some() {
        connect(&config(&base)).await.unwrap();
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer_metadata(stream, "http://arm.fleet.invalid").await
    });
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "start::proxies_of_the_environment_are_used"])
        .env(CHILD, "1")
        .envs([("HTTP_PROXY", &proxy), ("http_proxy", &proxy)])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("REQUEST_METHOD")
        .output()
        .await
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let request = served.await.unwrap();
    assert!(
        request.starts_with("GET http://arm.fleet.invalid/metadata/endpoints?api-version=2019-05-01 HTTP/1.1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_resource_manager_that_does_not_tell_where_it_is_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let nobody = connect(&config(&base)).await.unwrap_err().to_string();
    assert!(
        nobody.contains("/metadata/endpoints") && nobody.contains("the call failed"),
        "{nobody}"
    );
}

#[tokio::test]
async fn one_connection_serves_call_after_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let itself = base.clone();
    let served = tokio::spawn(async move {
        // The only connection that is ever accepted.
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while asked.len() < 4 {
            let request = read_request(&mut stream).await;
            let body = if request.contains("/metadata/") {
                json!({"authentication": {"loginEndpoint": itself, "audiences": [itself]}})
            } else if request.contains("/oauth2/") {
                json!({"token_type": "Bearer", "expires_in": 60, "ext_expires_in": 60, "access_token": "x"})
            } else {
                json!({"name": "p"})
            };
            let body = body.to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            asked.push(request);
        }
        asked.len()
    });
    let azure = connect(&config(&Url::parse(&base).unwrap())).await.unwrap();
    for _ in 0..2 {
        azure.traffic_manager().profile(&at()).await.unwrap();
    }
    assert_eq!(served.await.unwrap(), 4, "metadata, token, two profiles");
}

/// Head and body of a request.
async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut part = vec![0; 4096];
        let size = stream.read(&mut part).await.unwrap();
        text.push_str(std::str::from_utf8(&part[..size]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return text;
        }
    }
}

fn at() -> ProfileRef {
    ProfileRef {
        resource_group: "rg".into(),
        name: "p".into(),
    }
}

#[tokio::test]
async fn a_workload_identity_needs_nothing_of_the_file() {
    let fake = Fake::start().await;
    let mut bare = config(&fake.url);
    for key in ["tenantId", "aadClientId", "aadClientSecret"] {
        bare.as_object_mut().unwrap().remove(key);
    }
    let file = scratch("token");
    std::fs::write(&file, ASSERTION).unwrap();
    let environment = Environment {
        tenant_id: Some(TENANT.to_owned()),
        client_id: Some(CLIENT.to_owned()),
        federated_token_file: Some(file.clone()),
        ..Environment::default()
    };
    let config = CloudConfig::parse(&bare.to_string(), &environment).unwrap();
    let azure = Azure::connect(&config, &Options::new(AGENT)).await.unwrap();
    let missing = azure.traffic_manager().profile(&at()).await.unwrap_err();
    assert_eq!(missing.class(), Class::NotFound, "{missing}");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_shows_at_the_start() {
    let fake = Fake::start().await;
    let mut config = config(&fake.url);
    config["aadClientSecret"] = json!(null);
    config["aadClientCertPath"] = json!("/nowhere/client.pem");
    let gone = connect(&config).await.unwrap_err().to_string();
    assert!(
        gone.starts_with("The certificate file /nowhere/client.pem cannot be read"),
        "{gone}"
    );
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/client.pem");
    config["aadClientCertPath"] = json!(file);
    connect(&config).await.unwrap();
}

#[tokio::test]
async fn calls_wait_for_their_turn_and_do_not_fail() {
    let fake = Fake::start().await;
    let mut slow = config(&fake.url);
    slow["cloudProviderRateLimit"] = json!(true);
    slow["cloudProviderRateLimitQPS"] = json!(10);
    slow["cloudProviderRateLimitBucket"] = json!(1);
    let manager = connect(&slow).await.unwrap().traffic_manager();
    let begun = std::time::Instant::now();
    let all = futures::future::join_all((0..4).map(|_| async { manager.profile(&at()).await })).await;
    assert!(
        all.iter()
            .all(|result| result.as_ref().is_err_and(|err| err.class() == Class::NotFound)),
        "{all:?}"
    );
    assert!(
        begun.elapsed() >= std::time::Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(fake.counts(), (4, 1));
}
