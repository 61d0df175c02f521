//! The thread that writes: a transaction waits for the disk, which must not hold up what the runtime does.

use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::{Batch, Store, StoreError};

/// Hands batches to the thread. Dropping it closes the store once what was handed over is stored.
#[derive(Debug)]
pub struct Writer {
    batches: mpsc::Sender<(Batch, oneshot::Sender<Result<(), StoreError>>)>,
}

/// Resolves when the thread has closed the store.
#[derive(Debug)]
pub struct Closed(oneshot::Receiver<()>);

impl Closed {
    /// Waits until the store is closed. Its [`Writer`] must be dropped.
    pub async fn wait(self) {
        // A thread that has ended in any way has closed it.
        let _ = self.0.await;
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(store: Store) -> std::io::Result<(Self, Closed)> {
        Self::over(move |batch| store.write(batch))
    }

    /// Starts a thread that stores in another way.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn over<F>(mut write: F) -> std::io::Result<(Self, Closed)>
    where
        F: FnMut(&Batch) -> Result<(), StoreError> + Send + 'static,
    {
        // There is one caller, which waits for each batch.
        let (batches, mut queue) = mpsc::channel::<(Batch, oneshot::Sender<_>)>(1);
        let (ended, closed) = oneshot::channel();
        thread::Builder::new().name("store".to_owned()).spawn(move || {
            while let Some((batch, done)) = queue.blocking_recv() {
                // Nobody waits any more when the process ends.
                let _ = done.send(write(&batch));
            }
            drop(write);
            let _ = ended.send(());
        })?;
        Ok((Self { batches }, Closed(closed)))
    }

    /// Stores a batch.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let ended = || StoreError::Write {
            cause: "the thread that writes has ended".to_owned(),
        };
        let (done, result) = oneshot::channel();
        self.batches.send((batch, done)).await.map_err(|_| ended())?;
        result.await.map_err(|_| ended())?
    }
}
