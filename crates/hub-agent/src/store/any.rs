//! Indexes of different kinds behind one face, for whoever runs them and folds answers into them.

use futures::future::BoxFuture;
use kit::ObjectKey;
use kit::index::Index;
use kube::Client;
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// An index of whatever kind.
pub trait AnyIndex: Send + Sync {
    /// What is wrong with the watch, as a sentence.
    fn trouble(&self) -> Option<String>;
    /// Takes in the answer to a write.
    ///
    /// # Errors
    /// When the object cannot be read.
    fn fold(&self, object: Value) -> Result<(), String>;
    /// Takes in that a deletion removed the object at once.
    fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>);
    /// Waits for the first list to be complete.
    fn wait_synced(&self) -> BoxFuture<'_, ()>;
    /// Lists and watches until stopped.
    fn run(self: Arc<Self>, client: Client, stop: CancellationToken) -> BoxFuture<'static, ()>;
}

impl<T: Send + Sync + 'static> AnyIndex for Index<T> {
    fn trouble(&self) -> Option<String> {
        Index::trouble(self)
    }

    fn fold(&self, object: Value) -> Result<(), String> {
        Index::fold(self, object)
    }

    fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>) {
        Index::fold_deleted(self, key, uid);
    }

    fn wait_synced(&self) -> BoxFuture<'_, ()> {
        Box::pin(Index::synced(self))
    }

    fn run(self: Arc<Self>, client: Client, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { Index::run(&self, client, stop).await })
    }
}
