//! The key that signs tokens. Instances that share it take each other's tokens.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Shortest key, in bytes.
const SHORTEST: usize = 32;

/// A key for tokens.
pub struct Key(hmac::Key);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("The key of tokens {} cannot be used: {cause}.", path.display())]
pub struct KeyError {
    path: PathBuf,
    cause: String,
}

impl Key {
    /// The key in a file: its bytes, at least 32.
    ///
    /// # Errors
    /// When it cannot be read or is too short.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bytes = std::fs::read(path).map_err(|err| error(path, err.to_string()))?;
        if bytes.len() < SHORTEST {
            return Err(error(path, format!("it has less than {SHORTEST} bytes")));
        }
        Ok(Self::new(&bytes))
    }

    /// The key in a file that is made when there is none, readable for its owner alone.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn read_or_make(path: &Path) -> Result<Self, KeyError> {
        if path.exists() {
            return Self::read(path);
        }
        let mut bytes = [0; SHORTEST];
        let random = SystemRandom::new().fill(&mut bytes);
        random.map_err(|_| error(path, "the system gives no random bytes".to_owned()))?;
        // Under another name first: a key that is cut short would be refused at every start.
        let fresh = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)
        };
        write().map_err(|err| error(path, err.to_string()))?;
        Ok(Self::new(&bytes))
    }

    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    pub(super) fn sign(&self, text: &str) -> Vec<u8> {
        hmac::sign(&self.0, text.as_bytes()).as_ref().to_vec()
    }

    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        hmac::verify(&self.0, text.as_bytes(), signature).is_ok()
    }
}

fn error(path: &Path, cause: String) -> KeyError {
    KeyError {
        path: path.to_owned(),
        cause,
    }
}
