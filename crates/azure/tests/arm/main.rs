//! The crate against servers: what it sends, what it makes of answers, and what it never does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod addresses;
mod contract;
mod fake;
mod faults;
mod manager;
mod recorder;
mod start;

use std::sync::Arc;

use azure::{Azure, CloudConfig, Environment, Options, Url};
use serde_json::json;

use fake::Fake;
use recorder::Recorder;

/// What the identity of these tests proves itself with.
const SECRET: &str = "hush-client-secret";
const CLIENT: &str = "agent";
const TENANT: &str = "tenant";
const AGENT: &str = "fleet-hub-net-controller-manager";

/// A server with the API of Azure's resource manager.
struct Target {
    /// Where it is.
    base: Url,
    /// Tenant, client and secret of an identity that may do everything.
    identity: [&'static str; 3],
    /// Answers the next call with a status and a time to stay away.
    refuse_next: Arc<dyn Fn(u16, Option<u64>) + Send + Sync>,
}

/// A client of a server whose calls are recorded on their way.
async fn recorded(target: &Target) -> (Azure, Recorder) {
    let recorder = Recorder::start(target.base.clone()).await;
    // Calls go over the recorder, whatever the server calls itself.
    let file = scratch("environment.json");
    let environment = json!({"resourceManagerEndpoint": recorder.url, "tokenAudience": recorder.url,
        "activeDirectoryEndpoint": recorder.url});
    std::fs::write(&file, environment.to_string()).unwrap();
    let mut config = config(&target.base);
    let keys = ["tenantId", "aadClientId", "aadClientSecret"];
    for (key, value) in keys.into_iter().zip(target.identity) {
        config[key] = value.into();
    }
    let environment = Environment {
        environment_file: Some(file.clone()),
        ..Environment::default()
    };
    let config = CloudConfig::parse(&config.to_string(), &environment).unwrap();
    let azure = Azure::connect(&config, &Options::new(AGENT)).await.unwrap();
    std::fs::remove_file(file).unwrap();
    (azure, recorder)
}

/// A client of the fake.
async fn client(fake: &Fake) -> Azure {
    connect(&config(&fake.url)).await
}

async fn connect(config: &serde_json::Value) -> Azure {
    let config = CloudConfig::parse(&config.to_string(), &Environment::default()).unwrap();
    Azure::connect(&config, &Options::new(AGENT)).await.unwrap()
}

fn config(base: &Url) -> serde_json::Value {
    json!({"resourceManagerEndpoint": base, "tenantId": TENANT, "subscriptionId": "sub", "resourceGroup": "rg",
        "location": "westus", "aadClientId": CLIENT, "aadClientSecret": SECRET})
}

/// A path of a file of this test alone.
fn scratch(name: &str) -> std::path::PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("fairway-azure-{}-{number}-{name}", std::process::id()))
}
