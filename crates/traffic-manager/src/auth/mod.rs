//! Who may do what: clients from a file get bearer tokens for their secret or an assertion, and each request shows one.

mod assertion;
mod clients;
mod key;
mod token;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::ArmError;
use clients::Clients;

pub use clients::{Access, Client, ClientsError};
pub use key::{Key, KeyError};
pub use token::{Grant, Refusal};

/// The file of clients, and those that it names, are looked at no more often than this.
const LOOK: Duration = Duration::from_secs(1);

/// Issues and checks tokens.
pub struct Authenticator {
    path: PathBuf,
    key: Key,
    lifetime: Duration,
    clients: ArcSwap<Clients>,
    looked: Mutex<(Instant, clients::Versions)>,
}

impl Authenticator {
    /// Reads the file of clients. `lifetime` is that of tokens.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn new(path: PathBuf, key: Key, lifetime: Duration) -> Result<Self, ClientsError> {
        let clients = Clients::read(&path)?;
        Ok(Self {
            path,
            key,
            lifetime,
            looked: Mutex::new((Instant::now(), clients.files.clone())),
            clients: ArcSwap::from_pointee(clients),
        })
    }

    /// A token for a client that shows its secret or an assertion.
    ///
    /// # Errors
    /// As OAuth 2.0 says it, when it does not.
    pub fn grant(&self, tenant: &str, form: &[u8], now: Timestamp) -> Result<Grant, Refusal> {
        let clients = self.current();
        token::grant(&clients, &self.key, tenant, form, now, self.lifetime)
    }

    /// The client that a request comes from.
    ///
    /// # Errors
    /// 401 as ARM says it.
    pub fn check(&self, authorization: Option<&str>, now: Timestamp) -> Result<Arc<Client>, ArmError> {
        let clients = self.current();
        token::check(&clients, &self.key, authorization, now)
    }

    /// The clients as the file says now. While a changed file cannot be used, those before it count.
    fn current(&self) -> Arc<Clients> {
        let mut looked = self.looked.lock();
        let (at, files) = &mut *looked;
        if at.elapsed() >= LOOK {
            *at = Instant::now();
            let now: clients::Versions = files.iter().map(|(path, _)| clients::version(path)).collect();
            if now != *files {
                *files = now;
                match Clients::read(&self.path) {
                    Ok(clients) => {
                        tracing::info!(path = %self.path.display(), "The clients were read again.");
                        files.clone_from(&clients.files);
                        self.clients.store(Arc::new(clients));
                    }
                    Err(error) => tracing::error!(%error, "The clients stay as they were."),
                }
            }
        }
        self.clients.load_full()
    }
}
