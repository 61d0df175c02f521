//! The state on disk, in one redb file.
//!
//! redb because it is one file with transactions that survive kill -9 and power loss, written in Rust alone, with a stable
//! file format and steady releases; the data is small, so a log-structured store would only add files and threads.
//! A transaction is durable once it is committed: what was answered is stored.
//!
//! The file is read once, at the start, with every checksum verified. A damaged file is set aside under another name, never
//! deleted, and the store starts empty: the hub agent writes everything again with its next pass. Until then the store
//! knows that it is recovering, also over further restarts.

mod batch;
mod file;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::state::State;

pub use batch::Batch;
pub use file::Store;
pub use writer::{Closed, Writer};

/// A store and what it holds.
#[derive(Debug)]
pub struct Opened {
    /// To write to.
    pub store: Store,
    /// What was stored.
    pub state: State,
    /// Whether everything has to be written again by a hub agent: since this start or an earlier one.
    pub recovering: bool,
    /// Where it comes from.
    pub source: Source,
}

/// Where a store's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the file.
    File,
    /// There was no file.
    New,
    /// The file was damaged.
    Damaged {
        /// Where it is now.
        set_aside: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

/// Why there is no store, or why something is not stored. The texts are full sentences.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The directory or file cannot be used.
    #[error("The store {} cannot be used: {cause}. Give a directory on a disk that this process may write to.", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Another process uses it.
    #[error("The store {} is in use by another process. Give each instance a directory of its own.", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error("The store {} has format {format}, which this version does not know. Start the newer version, or move the file away and let the hub agent write everything again.", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// A transaction failed. Nothing of it is stored.
    #[error("The change cannot be stored: {cause}. See to the disk of the store.")]
    Write {
        /// Why.
        cause: String,
    },
}
