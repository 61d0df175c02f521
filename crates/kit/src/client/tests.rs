use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use http::Method;

use super::*;
use crate::rest::Call;

/// A server that answers a few paths, and its URL.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn options(url: &str, identity: Identity) -> Options {
    crate::install_crypto();
    Options::new(Source::Explicit {
        url: url.to_owned(),
        ca: Ca::Insecure,
        identity,
    })
}

#[tokio::test]
async fn a_refused_token_is_read_again_from_its_file() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let check = move |headers: HeaderMap| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            let right = headers.get("authorization").is_some_and(|v| v == "Bearer new");
            let extra = headers.get("x-cluster").is_some_and(|v| v == "c1");
            if right && extra {
                (StatusCode::OK, "{}")
            } else {
                (StatusCode::UNAUTHORIZED, "{}")
            }
        }
    };
    let url = serve(Router::new().route("/x", get(check))).await;
    let file = std::env::temp_dir().join(format!("fairway-client-token-{}", std::process::id()));
    std::fs::write(&file, "old").unwrap();
    let mut options = options(&url, Identity::TokenFile(file.clone()));
    options
        .headers
        .push((HeaderName::from_static("x-cluster"), HeaderValue::from_static("c1")));
    options.counter = Some(request_counter().unwrap());
    let counter = options.counter.clone().unwrap();
    let client = build(options).await.unwrap();

    let first = Call::new(Method::GET, "/x", "get x").send(&client).await.unwrap_err();
    assert_eq!(first.code(), Some(401));
    std::fs::write(&file, "new").unwrap();
    Call::new(Method::GET, "/x", "get x").send(&client).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(counter.with_label_values(&["GET", "401"]).get(), 1);
    assert_eq!(counter.with_label_values(&["GET", "200"]).get(), 1);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_request_has_a_deadline_and_a_watch_has_none() {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "{}"
    };
    let url = serve(Router::new().route("/slow", get(slow))).await;
    let mut options = options(&url, Identity::Anonymous);
    options.deadline = Duration::from_millis(100);
    let client = build(options).await.unwrap();
    let err = Call::new(Method::GET, "/slow", "get slow")
        .send(&client)
        .await
        .unwrap_err();
    assert!(err.to_string().contains("no answer within 100ms"), "{err}");
    Call::new(Method::GET, "/slow?watch=true", "watch slow")
        .open(&client)
        .await
        .unwrap();
}

#[tokio::test]
async fn wrong_options_are_named() {
    crate::install_crypto();
    let explicit = |url: &str, ca| Source::Explicit {
        url: url.into(),
        ca,
        identity: Identity::Anonymous,
    };
    for (source, part) in [
        (explicit("nowhere", Ca::System), "no scheme or host"),
        (
            explicit("https://a", Ca::Pem(b"x".to_vec())),
            "the CA holds no certificate",
        ),
        (
            explicit("https://a", Ca::File("/does/not/exist".into())),
            "cannot read /does/not/exist",
        ),
        (Source::Kubeconfig("/does/not/exist".into()), "/does/not/exist"),
    ] {
        let err = build(Options::new(source))
            .await
            .err()
            .map(|err| err.to_string())
            .unwrap_or_default();
        assert!(err.contains(part), "{err:?} should contain {part:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_probed_until_it_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = || Router::new().route("/x", get(|| async { "{}" }));
    let serving = tokio::spawn(async move { axum::serve(listener, router()).await });
    let client = build(options(&format!("http://{address}"), Identity::Anonymous))
        .await
        .unwrap();
    let reachability = crate::reachability::Reachability::of(&client).await.unwrap();
    let look = || {
        Call::new(Method::GET, "/x", "get x")
            .deadline(Duration::from_secs(5))
            .send(&client)
    };
    look().await.unwrap();
    assert!(reachability.is_reachable());

    serving.abort();
    let _ = serving.await;
    // The established connection may outlive the listener by a request.
    let err = loop {
        if let Err(err) = look().await {
            break err;
        }
    };
    assert!(err.is_unanswered() && !reachability.is_reachable(), "{err}");
    let waiting = tokio::spawn({
        let reachability = err.reachability().unwrap().clone();
        async move { reachability.wait().await }
    });
    let mut outage_over = std::pin::pin!(reachability.outage_over());
    while !reachability.is_probed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let err = look().await.unwrap_err();
    assert!(err.to_string().contains("the server cannot be reached"), "{err}");
    assert!(futures::poll!(&mut outage_over).is_pending());

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router()).await });
    assert!(waiting.await.unwrap());
    outage_over.await;
    look().await.unwrap();
}

#[tokio::test]
async fn watches_that_were_open_in_an_outage_end_with_it() {
    let stream =
        || async { axum::body::Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>()) };
    let url = serve(Router::new().route("/stream", get(stream))).await;
    let client = build(options(&url, Identity::Anonymous)).await.unwrap();
    let reachability = crate::reachability::Reachability::of(&client).await.unwrap();
    let watch = Call::new(Method::GET, "/stream?watch=true", "watch stream");
    let mut body = watch.open(&client).await.unwrap().into_body();
    // As when packets are lost for a while: the connection shows no error.
    reachability.failed();
    reachability.begin_outage("no route");
    reachability.answered();
    use http_body_util::BodyExt as _;
    let err = body.frame().await.unwrap().unwrap_err();
    assert!(chain(&err).contains("could not be reached meanwhile"), "{err}");
}
