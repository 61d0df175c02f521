//! One connection while it lasts.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use failover::message::Message;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::certificates::Source;
use crate::frame::{self, Decoder};
use crate::handshake::Established;
use crate::wire;

/// A connection as those who send on it see it.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub queue: mpsc::Sender<Bytes>,
    /// Ends it at once.
    pub stop: CancellationToken,
    /// Ends it once what is on its way has arrived.
    pub retire: CancellationToken,
    /// The address that was dialled; none when the other side has dialled.
    pub dialled: Option<String>,
    pub opened: Instant,
    /// Where the other side's certificate comes from.
    pub source: Source,
}

impl Handle {
    /// Queues a frame. A connection whose queue is full is ended: its other side takes nothing, and what waits is stale.
    pub fn send(&self, frame: Bytes) -> bool {
        let queued = self.queue.try_send(frame).is_ok();
        if !queued {
            self.stop.cancel();
        }
        queued
    }
}

/// Limits of one connection.
pub(crate) struct Bounds {
    pub write: Duration,
    /// Who has dialled replaces a connection of this age; one that is twice as old is ended.
    pub age: Duration,
    /// Three renew intervals: a live peer sends something in each.
    pub idle: watch::Receiver<Duration>,
}

/// Why a connection has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("it was replaced or is no longer wanted")]
    Closed,
    #[error("the other side has closed it")]
    ByPeer,
    #[error("nothing has arrived for {0:?}")]
    Idle(Duration),
    #[error("the other side takes nothing")]
    Stuck,
    #[error("the other side sent what no member sends ({0})")]
    Malformed(String),
    #[error("it failed ({0})")]
    Io(#[from] io::Error),
}

/// Carries frames in both directions until one of them ends. `receive` gets every message, and holds up the other
/// side while it is not done.
pub(crate) async fn run<F: Future<Output = ()>>(
    established: Established,
    queue: mpsc::Receiver<Bytes>,
    handle: &Handle,
    bounds: Bounds,
    receive: impl FnMut(Message) -> F,
) -> Ended {
    let Established {
        stream, decoder, peer, ..
    } = established;
    let (reader, mut writer) = tokio::io::split(stream);
    let retired = async {
        handle.retire.cancelled().await;
        sleep(bounds.write).await;
    };
    let ended = tokio::select! {
        biased;
        () = handle.stop.cancelled() => Ended::Closed,
        () = retired => Ended::Closed,
        () = sleep(bounds.age * 2) => Ended::Closed,
        ended = write(&mut writer, queue, bounds.write) => ended,
        ended = read(reader, decoder, peer.member.as_str(), bounds.idle, receive) => ended,
    };
    // Says goodbye if the other side still listens; it finds out in any case.
    let _ = timeout(Duration::from_secs(1), writer.shutdown()).await;
    ended
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), mut queue: mpsc::Receiver<Bytes>, limit: Duration) -> Ended {
    while let Some(frame) = queue.recv().await {
        let written = timeout(limit, async {
            writer.write_all(&frame).await?;
            writer.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ended::Stuck,
        }
    }
    Ended::Closed
}

async fn read<F: Future<Output = ()>>(
    mut reader: impl AsyncRead + Unpin,
    mut decoder: Decoder,
    peer: &str,
    mut idle: watch::Receiver<Duration>,
    mut receive: impl FnMut(Message) -> F,
) -> Ended {
    let mut last = Instant::now();
    loop {
        loop {
            let message = match decoder.next(frame::LONGEST) {
                Ok(Some(bytes)) => wire::decode(&bytes).map_err(|error| error.to_string()),
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            match message {
                Ok(message) if message.header.sender.as_str() == peer => receive(message).await,
                Ok(message) => {
                    let why = format!("a message of {} on a connection of {peer}", message.header.sender);
                    return Ended::Malformed(why);
                }
                Err(why) => return Ended::Malformed(why),
            }
            // What this side itself takes long for is no silence of the other one.
            last = Instant::now();
        }
        let limit = *idle.borrow_and_update();
        match timeout_at(last + limit, reader.read_buf(decoder.buffer())).await {
            Ok(Ok(0)) => return Ended::ByPeer,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            // The limit may have been raised in the meantime.
            Err(_) if last + *idle.borrow() > Instant::now() => {}
            Err(_) => return Ended::Idle(limit),
        }
    }
}
