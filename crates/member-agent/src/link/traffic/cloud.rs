//! The member's cloud: which one it is, and how it answers for its public addresses (networking 12.1 and 13.2).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use azure::{Azure, CloudConfig, ConfigError, DEFAULT_PATH, Options, PublicIpAddresses};
use kit::backoff::Backoff;
use tokio::sync::watch;

/// How the agent names itself in Azure (networking 12.1).
const USER_AGENT: &str = "fleet-member-net-controller-manager";

/// Waits before a cloud config that could not be used is read again.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Where the cloud config is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudConfigFile {
    /// Path of the file; empty for a member without a cloud.
    pub path: PathBuf,
    /// The path was given, so that a file that is missing there is a mistake. Where nobody gave one, it means that there
    /// is no cloud.
    pub is_given: bool,
}

impl Default for CloudConfigFile {
    fn default() -> Self {
        Self {
            path: PathBuf::from(DEFAULT_PATH),
            is_given: false,
        }
    }
}

/// The cloud of a member, once it is found.
pub struct Cloud {
    file: CloudConfigFile,
    state: watch::Sender<State>,
}

/// What is known of the cloud.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The config was not read yet.
    Unknown,
    /// There is no cloud config.
    None,
    /// The cloud cannot be used; a sentence.
    Failed(String),
    /// It answers for its addresses.
    Found {
        /// The addresses.
        addresses: Arc<dyn PublicIpAddresses>,
        /// Resource group of those Services that name none.
        group: String,
    },
}

impl Cloud {
    /// A cloud that is not looked for yet.
    pub fn new(file: CloudConfigFile) -> Arc<Self> {
        Arc::new(Self {
            file,
            state: watch::Sender::new(State::Unknown),
        })
    }

    /// Why the cloud cannot be used, as a sentence.
    pub fn trouble(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Failed(reason) => Some(reason.clone()),
            State::Unknown | State::None | State::Found { .. } => None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    #[cfg(test)]
    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    pub(super) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Waits until it is found, or it is known that there is none, or why it cannot be used.
    pub(super) async fn found(&self) {
        let mut states = self.states();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = states.wait_for(|state| !matches!(state, State::Unknown)).await;
    }

    /// Looks for the cloud until it is found. A config that cannot be used is read again: nothing else must stop for it.
    pub(super) async fn find(&self) {
        let mut failures = 0;
        loop {
            let state = self.read().await;
            let failed = match &state {
                State::Failed(reason) => {
                    failures += 1;
                    tracing::warn!(
                        reason,
                        failures,
                        file = %self.file.path.display(),
                        "Public addresses of exported Services cannot be looked up. Correct the file of the flag \
                         --cloud-config; it is read again."
                    );
                    true
                }
                State::None => {
                    tracing::info!(
                        "There is no cloud config: public addresses are reported as the Services show them."
                    );
                    false
                }
                State::Unknown | State::Found { .. } => false,
            };
            self.state.send_replace(state);
            if !failed {
                return;
            }
            tokio::time::sleep(RETRY.delay(failures)).await;
        }
    }

    async fn read(&self) -> State {
        let path = &self.file.path;
        if path.as_os_str().is_empty() {
            return State::None;
        }
        let config = match CloudConfig::load(path).await {
            Ok(config) => config,
            Err(ConfigError::Unreadable { .. })
                if !self.file.is_given && matches!(tokio::fs::try_exists(path).await, Ok(false)) =>
            {
                return State::None;
            }
            Err(error) => return State::Failed(error.to_string()),
        };
        // What it awaits is large, and needed once.
        match Box::pin(Azure::connect(&config, &Options::new(USER_AGENT))).await {
            Ok(azure) => State::Found {
                addresses: azure.public_ip_addresses(),
                group: config.resource_group,
            },
            Err(error) => State::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(path: &str, is_given: bool) -> State {
        let file = CloudConfigFile {
            path: PathBuf::from(path),
            is_given,
        };
        Cloud::new(file).read().await
    }

    #[tokio::test]
    async fn only_a_file_that_nobody_named_may_be_missing() {
        let missing = "/nonexistent/azure.json";
        assert!(matches!(read(missing, false).await, State::None));
        assert!(matches!(read("", true).await, State::None));
        let State::Failed(reason) = read(missing, true).await else {
            panic!("a file that is named must be there")
        };
        assert!(reason.contains(missing), "{reason}");
        // It is there, and no file.
        assert!(matches!(read("/", false).await, State::Failed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_config_that_cannot_be_used_is_named_and_read_again() {
        let path = std::env::temp_dir().join(format!("fairway-cloud-config-{}", std::process::id()));
        std::fs::write(&path, r#"{"cloud": "AzurePublicCloud", "aadClientSecret": "hush"}"#).unwrap();
        let cloud = Cloud::new(CloudConfigFile {
            path: path.clone(),
            is_given: true,
        });
        let finding = tokio::spawn({
            let cloud = Arc::clone(&cloud);
            async move { cloud.find().await }
        });
        cloud.found().await;
        let trouble = cloud.trouble().unwrap();
        assert!(trouble.contains("location") && !trouble.contains("hush"), "{trouble}");
        let usable = r#"{"cloud": "AzurePublicCloud", "location": "eastus2", "subscriptionId": "s", "resourceGroup": "rg",
            "useManagedIdentityExtension": true}"#;
        kit::install_crypto();
        std::fs::write(&path, usable).unwrap();
        finding.await.unwrap();
        assert_eq!(cloud.trouble(), None);
        let State::Found { group, .. } = cloud.state() else {
            panic!("{:?}", cloud.state())
        };
        assert_eq!(group, "rg");
        std::fs::remove_file(path).unwrap();
    }
}
