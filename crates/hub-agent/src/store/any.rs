//! Indexes of different kinds behind one face, for whoever runs them.

use futures::future::BoxFuture;
use kit::controller::Fold;
use kit::events::Recorder;
use kit::index::Index;
use kube::Client;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// An index of whatever kind.
pub trait AnyIndex: Fold {
    /// Records events on objects that cannot be read, until stopped.
    fn report_unreadable(
        self: Arc<Self>,
        recorder: Recorder,
        component: &'static str,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()>;
    /// What is wrong with the watch, as a sentence.
    fn trouble(&self) -> Option<String>;
    /// Waits for the first list to be complete.
    fn wait_synced(&self) -> BoxFuture<'_, ()>;
    /// Lists and watches until stopped.
    fn run(self: Arc<Self>, client: Client, stop: CancellationToken) -> BoxFuture<'static, ()>;
}

impl<T: Send + Sync + 'static> AnyIndex for Index<T> {
    fn report_unreadable(
        self: Arc<Self>,
        recorder: Recorder,
        component: &'static str,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let reporting = Index::report_unreadable(&self, &recorder, component);
            stop.run_until_cancelled(reporting).await;
        })
    }

    fn trouble(&self) -> Option<String> {
        Index::trouble(self)
    }

    fn wait_synced(&self) -> BoxFuture<'_, ()> {
        Box::pin(Index::synced(self))
    }

    fn run(self: Arc<Self>, client: Client, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { Index::run(&self, client, stop).await })
    }
}
