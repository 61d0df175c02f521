//! Finding the cloud: private authorities, proxies, and what a resource manager tells of itself.

use std::sync::Arc;

use azure::{Azure, CloudConfig, ConfigError, Environment, Options, Url};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{AGENT, config, scratch};

async fn connect(config: &serde_json::Value) -> Result<Azure, ConfigError> {
    let config = CloudConfig::parse(&config.to_string(), &Environment::default()).unwrap();
    Azure::connect(&config, &Options::new(AGENT)).await
}

/// Answers every request with what a cloud tells of itself.
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
