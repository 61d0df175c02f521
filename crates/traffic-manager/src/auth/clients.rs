//! The file of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::assertion::{self, Federated};

use crate::error::ArmError;

/// Shortest secret.
const SHORTEST: usize = 16;

/// Every client that may request a token.
#[derive(Debug)]
pub(super) struct Clients {
    clients: Vec<Arc<Client>>,
    /// The file and those that it names, as they were when they were read.
    pub(super) files: Versions,
}

/// A client.
pub struct Client {
    /// Its tenant; `None` means any.
    pub tenant: Option<String>,
    /// Its client id.
    pub id: String,
    /// SHA-256 of its secret, if it has one.
    pub(super) secret: Option<[u8; 32]>,
    /// Whose assertions stand for it, if any do.
    pub(super) federated: Option<Federated>,
    /// Where it may do something, as ARM ids in lower case; without any, everywhere.
    scopes: Vec<String>,
    read_only: bool,
}

/// Files, and which version of each: when it was changed and how long it is.
pub(super) type Versions = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// What a request does to what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It changes nothing.
    Read,
    /// It creates or changes.
    Write,
    /// It deletes.
    Delete,
}

/// Why the file of clients cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("The file of clients {} cannot be used: {cause}.", path.display())]
pub struct ClientsError {
    path: PathBuf,
    cause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    clients: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    tenant: Option<String>,
    client_id: String,
    secret: Option<String>,
    federated: Option<assertion::Entry>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    read_only: bool,
}

/// A file as it is now, to see later whether it has changed.
pub(super) fn version(path: &Path) -> (PathBuf, Option<(SystemTime, u64)>) {
    let metadata = std::fs::metadata(path).ok();
    let version = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
    (path.to_owned(), version)
}

impl Clients {
    pub(super) fn read(path: &Path) -> Result<Self, ClientsError> {
        let unusable = |cause: String| ClientsError {
            path: path.to_owned(),
            cause,
        };
        let file = version(path);
        let bytes = std::fs::read(path).map_err(|err| unusable(err.to_string()))?;
        let mut read = Self::parse(&bytes).map_err(unusable)?;
        read.files.push(file);
        Ok(read)
    }

    /// The texts of errors hold nothing that could be a secret.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|err| format!("it is not as documented (line {}, column {})", err.line(), err.column()))?;
        let mut clients: Vec<Arc<Client>> = Vec::new();
        let mut files = Versions::new();
        for entry in file.clients {
            let id = entry.client_id.trim();
            if id.is_empty() {
                return Err("a client has no clientId".to_owned());
            }
            if clients.iter().any(|client| client.id.eq_ignore_ascii_case(id)) {
                return Err(format!("the client {id} is given twice"));
            }
            if entry.secret.as_ref().is_some_and(|secret| secret.len() < SHORTEST) {
                return Err(format!(
                    "the secret of the client {id} is shorter than {SHORTEST} characters"
                ));
            }
            if entry.secret.is_none() && entry.federated.is_none() {
                return Err(format!("the client {id} has neither a secret nor a federated identity"));
            }
            if let Some(federated) = &entry.federated {
                files.push(version(&federated.keys_file));
            }
            let federated = entry.federated.map(Federated::read).transpose();
            let federated = federated.map_err(|cause| format!("the client {id}: {cause}"))?;
            let scope = |scope: &String| scope.trim_end_matches('/').to_ascii_lowercase();
            clients.push(Arc::new(Client {
                tenant: entry.tenant.filter(|tenant| !tenant.is_empty()),
                id: id.to_owned(),
                secret: entry.secret.as_deref().map(digest),
                federated,
                scopes: entry.scopes.iter().map(scope).collect(),
                read_only: entry.read_only,
            }));
        }
        Ok(Self { clients, files })
    }

    /// The client of that id in a tenant; in any tenant when none is given.
    pub(super) fn find(&self, tenant: Option<&str>, id: &str) -> Option<&Arc<Client>> {
        self.clients.iter().find(|client| {
            let own = client.tenant.as_deref();
            let at_home = own
                .zip(tenant)
                .is_none_or(|(own, tenant)| own.eq_ignore_ascii_case(tenant));
            client.id.eq_ignore_ascii_case(id) && at_home
        })
    }
}

impl Client {
    /// What tokens of this client hold, for each way in which it may be known: a secret or an identity that is taken away
    /// takes its tokens along.
    pub(super) fn marks(&self) -> impl Iterator<Item = [u8; 32]> {
        let federated = self.federated.as_ref().map(|federated| digest(&federated.text()));
        self.secret.into_iter().chain(federated)
    }

    /// Whether the client may do that to a resource or a list below `/subscriptions/`. `kind` is the resource's type, such as
    /// `trafficManagerProfiles`.
    ///
    /// # Errors
    /// 403 that names the missing right, as ARM does.
    pub fn authorize(&self, access: Access, kind: &str, path: &str) -> Result<(), ArmError> {
        let lower = path.to_ascii_lowercase();
        let covers = |scope: &String| {
            let rest = lower.strip_prefix(scope.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let in_scope = self.scopes.is_empty() || self.scopes.iter().any(covers);
        if in_scope && (access == Access::Read || !self.read_only) {
            return Ok(());
        }
        let action = match access {
            Access::Read => "read",
            Access::Write => "write",
            Access::Delete => "delete",
        };
        let message = format!(
            "The client '{}' does not have authorization to perform action 'Microsoft.Network/{kind}/{action}' over scope \
             '{path}' or the scope is invalid.",
            self.id
        );
        Err(ArmError::new(403, "AuthorizationFailed", message))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(super) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
