use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::plan::Probe;
use super::run::probe;
use crate::model::{Header, Protocol, StatusRange};
use crate::state::Destination;

fn plan(protocol: Protocol, port: u16) -> Probe {
    Probe {
        protocol,
        destination: Destination::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        port,
        path: "/health?deep=1".to_owned(),
        headers: Vec::new(),
        timeout: 10,
        expected: Vec::new(),
    }
}

/// Answers every connection with the same text and hands out the requests.
async fn answering(text: &'static str, tls: Option<TlsAcceptor>) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, tls) = (sender.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => answer(stream, text, sender).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream, text, sender).await;
                        }
                    }
                }
            });
        }
    });
    (port, requests)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, text: &str, sender: mpsc::Sender<String>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let _ = sender.send(String::from_utf8(request).unwrap()).await;
    // A probe that has seen enough closes the connection.
    if stream.write_all(text.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

#[tokio::test]
async fn the_status_decides_and_redirects_are_not_followed() {
    for (text, expected, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", vec![], None),
        ("HTTP/1.1 204 No Content\r\n\r\n", vec![], Some("status 204")),
        (
            "HTTP/1.1 204 No Content\r\n\r\n",
            vec![StatusRange { min: 200, max: 299 }],
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            vec![StatusRange { min: 300, max: 399 }],
            Some("status 200"),
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            vec![],
            Some("status 302"),
        ),
        (
            "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            vec![],
            Some("status 503"),
        ),
        // A body that never comes does not matter.
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", vec![], None),
        ("nonsense\r\n\r\n", vec![], Some("request failed")),
        ("", vec![], Some("request failed")),
    ] {
        let (port, _requests) = answering(text, None).await;
        let mut plan = plan(Protocol::Http, port);
        plan.expected = expected;
        let outcome = probe(&plan).await;
        match wanted {
            None => assert_eq!(outcome, Ok(()), "{text}"),
            Some(part) => assert!(outcome.as_ref().unwrap_err().contains(part), "{outcome:?} for {text}"),
        }
    }
}

#[tokio::test]
async fn headers_are_sent_and_host_can_be_another() {
    let header = |name: &str, value: &str| Header {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let (port, mut requests) = answering("HTTP/1.1 200 OK\r\n\r\n", None).await;
    let mut plan = plan(Protocol::Http, port);
    probe(&plan).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
    plan.headers = vec![header("Host", "app.example.com"), header("X-Probe", "yes")];
    probe(&plan).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert!(
        request.contains("host: app.example.com\r\n") && request.contains("x-probe: yes\r\n"),
        "{request}"
    );
    assert_eq!(request.matches("host:").count(), 1, "{request}");
}

#[tokio::test]
async fn certificates_are_not_verified_but_tls_is_needed() {
    kit::install_crypto();
    let key = rcgen::generate_simple_self_signed(vec!["somebody.else".to_owned()]).unwrap();
    let chain = vec![key.cert.der().clone()];
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let (port, mut requests) = answering("HTTP/1.1 200 OK\r\n\r\n", Some(tls)).await;
    let mut encrypted = plan(Protocol::Https, port);
    probe(&encrypted).await.unwrap();
    encrypted.headers = vec![Header {
        name: "host".to_owned(),
        value: "app.example.com:8443".to_owned(),
    }];
    probe(&encrypted).await.unwrap();
    assert!(requests.recv().await.is_some());
    assert!(probe(&plan(Protocol::Http, port)).await.is_err());
    let (port, _requests) = answering("HTTP/1.1 200 OK\r\n\r\n", None).await;
    let mut unanswered = plan(Protocol::Https, port);
    unanswered.timeout = 1;
    assert!(probe(&unanswered).await.is_err());
}

#[tokio::test]
async fn a_connection_is_all_that_tcp_asks_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(probe(&plan(Protocol::Tcp, port)).await, Ok(()));
    drop(listener);
    let problem = probe(&plan(Protocol::Tcp, port)).await.unwrap_err();
    assert!(problem.contains("connection refused"), "{problem}");
}

#[tokio::test]
async fn silence_ends_with_the_time_of_the_probe() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut silent = plan(Protocol::Http, listener.local_addr().unwrap().port());
    silent.timeout = 1;
    assert_eq!(probe(&silent).await, Err("no answer within 1 s".to_owned()));
    let mut unknown = plan(Protocol::Tcp, 80);
    unknown.destination = Destination::Name("nobody.invalid".to_owned());
    unknown.timeout = 5;
    assert!(probe(&unknown).await.is_err());
}
