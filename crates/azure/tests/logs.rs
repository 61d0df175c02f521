//! No credential in any log at any level, whatever the SDK and the HTTP client log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "arm/fake.rs"]
#[allow(dead_code)]
mod fake;

use std::io;
use std::sync::Arc;

use azure::{Azure, CloudConfig, Environment, Options, Profile, ProfileRef, Url};
use parking_lot::Mutex;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

const SECRET: &str = "hush-client-secret";
const CLIENT: &str = "agent";
const TENANT: &str = "tenant";

/// Of the other test, whose fake this one shares.
struct Target {
    #[allow(dead_code)]
    base: Url,
    #[allow(dead_code)]
    identity: [&'static str; 3],
    #[allow(dead_code)]
    refuse_next: Arc<dyn Fn(u16, Option<u64>) + Send + Sync>,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn everything_at_trace_shows_no_credential() {
    let lines = Lines::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish()
        .init();
    let fake = fake::Fake::start().await;
    let config = json!({"resourceManagerEndpoint": fake.url, "tenantId": TENANT, "subscriptionId": "sub",
        "resourceGroup": "rg", "location": "westus", "aadClientId": CLIENT, "aadClientSecret": SECRET});
    let config = CloudConfig::parse(&config.to_string(), &Environment::default()).unwrap();
    tracing::info!(?config, "The config is read.");
    let azure = Azure::connect(&config, &Options::new("agent")).await.unwrap();
    let manager = azure.traffic_manager();
    let at = ProfileRef {
        resource_group: "rg".into(),
        name: "p".into(),
    };
    let body = json!({"properties": {"dnsConfig": {"relativeName": "a"}}});
    let body: Profile = body.as_object().unwrap().clone().into();
    manager.put_profile(&at, &body).await.unwrap();
    manager.profile(&at).await.unwrap();
    fake.revoke();
    let refused = manager.profile(&at).await.unwrap_err();
    tracing::error!(?refused, ?azure, "It was refused.");
    fake.fail_next(fake::Fault::Answer(500, Vec::new(), fake::error("X", "no")));
    manager.delete_profile(&at).await.unwrap_err();
    azure.public_ip_addresses().list("rg").await.unwrap_err();

    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    // The SDK logs whole requests: that is what makes this test worth its while.
    assert!(text.contains("the following request will be passed to the transport policy"));
    assert!(text.contains("A call succeeded.") && text.contains("A call was refused."));
    assert_eq!(fake.counts(), (5, 2), "a second token was issued");
    for line in text.lines() {
        assert!(!line.contains("hush"), "{line}");
    }
}
