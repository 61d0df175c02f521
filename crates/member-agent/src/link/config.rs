//! How exports reach the hub, and who the member is there.

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;

use super::topics::Topics;

/// How exports reach the hub (networking 16.1).
#[derive(Clone)]
pub enum Way {
    /// Over a session with the hub agent, which writes the records.
    Session(Config),
    /// As objects that the agent writes itself.
    Objects(Objects),
}

impl From<Config> for Way {
    fn from(config: Config) -> Self {
        Self::Session(config)
    }
}

/// Where and how the agent writes its records itself.
#[derive(Clone)]
pub struct Objects {
    /// The hub, with the rights of the member.
    pub hub: Client,
    /// Name of the MemberCluster.
    pub cluster: String,
    /// Whether type, weight and public address are recorded.
    pub traffic_manager: bool,
}

/// How the member proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By the bearer token in this file, read for each connection.
    TokenFile(PathBuf),
    /// By a client certificate, PEM files read for each connection.
    Certificate {
        /// The certificate.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// How the hub is reached and who we are.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the hub agent's sessions, `https://host:port`.
    pub address: String,
    /// Name that the hub's certificate must carry; the host of the address when absent.
    pub server_name: Option<String>,
    /// PEM file of the authority that the hub's certificate is checked against.
    pub ca_file: PathBuf,
    /// The member's identity on the hub.
    pub identity: Identity,
    /// Name of the MemberCluster.
    pub cluster: String,
    /// Lease transitions of the agent's own lease; 0 without leader election.
    pub epoch: u64,
    /// First and longest wait before a reconnect; a random part of it is taken (networking 16.6).
    pub reconnect: [Duration; 2],
    /// Full syncs are spread over this time when the hub has a new leader (networking 16.5).
    pub spread: Duration,
    /// Topics beside exports.
    pub topics: Topics,
    /// Whether the greeting says that facts for traffic are reported; [`run`](super::run) sets it.
    pub traffic_manager: bool,
}

impl Config {
    /// A member's sessions with the times of networking 16, without leader election.
    pub fn new(address: String, ca_file: PathBuf, identity: Identity, cluster: String) -> Self {
        Self {
            address,
            server_name: None,
            ca_file,
            identity,
            cluster,
            epoch: 0,
            reconnect: [Duration::from_millis(500), Duration::from_secs(30)],
            spread: Duration::from_secs(10),
            topics: Topics::default(),
            traffic_manager: false,
        }
    }
}
