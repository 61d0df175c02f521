//! Reading the cloud config and finding its cloud, again and again until that succeeds: a mistake in it must not take the
//! rest of the agent down (networking 13.2).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use azure::{Azure, CloudConfig, ConfigError, EndpointHints, Options, TrafficManager};
use kit::backoff::{Backoff, Retry};

/// Waits between attempts.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// Name of the agent in Azure's logs (networking 12.1).
const USER_AGENT: &str = "fleet-hub-net-controller-manager";

/// A traffic manager that can be called.
pub(super) struct Connected {
    pub(super) port: Arc<dyn TrafficManager>,
    pub(super) hints: Arc<dyn EndpointHints>,
    /// Resource group of the cluster.
    pub(super) resource_group: String,
}

/// Connects. `failed` is called with each reason that differs from the one before.
pub(super) async fn connect(path: &Path, mut failed: impl FnMut(&ConfigError)) -> Connected {
    let mut retry = Retry::new(BACKOFF);
    let mut last = None;
    loop {
        match Box::pin(attempt(path)).await {
            Ok(connected) => return connected,
            Err(error) => {
                if last.as_ref() != Some(&error) {
                    failed(&error);
                }
                last = Some(error);
            }
        }
        tokio::time::sleep(retry.failed()).await;
    }
}

async fn attempt(path: &Path) -> Result<Connected, ConfigError> {
    let config = CloudConfig::load(path).await?;
    let azure = Box::pin(Azure::connect(&config, &Options::new(USER_AGENT))).await?;
    Ok(Connected {
        port: azure.traffic_manager(),
        hints: azure.endpoint_hints(),
        resource_group: config.resource_group,
    })
}
