//! Queries over connections: pipelined, within limits of number and time.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{BackOff, Shared};
use crate::respond::{Context, Transport};

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections at the same time. More are closed at once.
    pub connections: usize,
    /// Connections of one client address at the same time.
    pub connections_per_client: usize,
    /// A connection without a query for this long is closed.
    pub idle: Duration,
    /// A query must be here this long after its first octet.
    pub query: Duration,
    /// Answers must be taken within this time.
    pub write: Duration,
}

impl Default for TcpLimits {
    /// 1000 connections, 50 of one client; 10 s of rest, 5 s for a query or for taking answers.
    fn default() -> Self {
        Self {
            connections: 1000,
            connections_per_client: 50,
            idle: Duration::from_secs(10),
            query: Duration::from_secs(5),
            write: Duration::from_secs(5),
        }
    }
}

/// Answers are written when they reach this size, even if more queries are waiting.
const WRITE_AT: usize = 64 << 10;
/// Octets of the length before each message.
const PREFIX: usize = 2;

/// Open connections by client, across all listeners.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    limits: (usize, usize),
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// The right to one connection.
struct Permit {
    connections: Connections,
    client: IpAddr,
}

impl Connections {
    pub fn new(limits: &TcpLimits) -> Self {
        Self {
            limits: (limits.connections, limits.connections_per_client),
            open: Arc::default(),
        }
    }

    fn permit(&self, client: IpAddr) -> Option<Permit> {
        let (all, per_client) = self.limits;
        let mut open = self.open.lock();
        if open.all >= all || open.by_client.get(&client).is_some_and(|own| *own >= per_client) || per_client == 0 {
            return None;
        }
        open.all += 1;
        *open.by_client.entry(client).or_default() += 1;
        Some(Permit {
            connections: self.clone(),
            client,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        open.all -= 1;
        if let Some(own) = open.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

/// Accepts connections until it is stopped; connections end at the same time.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    connections: Connections,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut random = SmallRng::from_os_rng();
    let mut back_off = BackOff::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => {
                back_off.after_success();
                accepted
            }
            Err(error) => {
                // A connection that ended before it was accepted, or a lack of descriptors or memory.
                shared.metrics.receive_errors.add(1);
                tracing::warn!(%error, "Accepting a DNS connection failed; trying again.");
                let rest = tokio::time::sleep(back_off.after_failure(&mut random));
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = rest => {}
                }
                continue;
            }
        };
        let client = peer.ip().to_canonical();
        let Some(permit) = connections.permit(client) else {
            shared.metrics.connections_refused.add(1);
            continue;
        };
        let (shared, stop) = (shared.clone(), stop.clone());
        shared.metrics.connections_opened.add(1);
        let mut connection = Connection {
            shared,
            stream,
            client,
            random: SmallRng::from_rng(&mut random),
            input: Vec::new(),
            output: Vec::new(),
        };
        tokio::spawn(async move {
            let ended = tokio::select! {
                () = stop.cancelled() => Ok(()),
                ended = connection.serve() => ended,
            };
            connection.shared.metrics.connections_closed.add(1);
            match ended {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    connection.shared.metrics.connections_timed_out.add(1);
                }
                // The client went away, which is its right.
                Ok(()) | Err(_) => {}
            }
            drop(permit);
        });
    }
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    client: IpAddr,
    random: SmallRng,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    /// Answers queries in the order in which they arrive until the client closes, is too slow or sends nonsense.
    async fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let limits = self.shared.tcp.clone();
        let mut deadline = Instant::now() + limits.idle;
        loop {
            let partial = !self.input.is_empty();
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.input)).await;
            if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                return Ok(());
            }
            let answered = self.answer_all().await?;
            deadline = match (self.input.is_empty(), answered) {
                (true, _) => Instant::now() + limits.idle,
                // More octets of the query whose time runs already.
                (false, false) if partial => deadline,
                (false, _) => Instant::now() + limits.query,
            };
        }
    }

    /// Answers the queries that are complete; whether there was one.
    async fn answer_all(&mut self) -> io::Result<bool> {
        let mut at = 0;
        loop {
            let waiting = self.input.get(at..).unwrap_or_default();
            let Some((prefix, rest)) = waiting.split_first_chunk::<PREFIX>() else {
                break;
            };
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some(query) = rest.get(..length) else {
                break;
            };
            at += PREFIX + length;
            let context = Context {
                source: self.client,
                transport: Transport::Tcp,
                draw: self.random.random(),
            };
            let begin = self.output.len();
            let shared = &self.shared;
            self.output.extend_from_slice(&[0; PREFIX]);
            let catalog = shared.zones.current();
            // Messages are written behind others, but their offsets count from their own beginning.
            let (send, _) = shared.answer(&catalog, query, &context, shared.now(), &mut self.output);
            drop(catalog);
            if !send {
                // Who sends what no client sends gets no further.
                self.output.truncate(begin);
                self.flush().await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
            let length = (self.output.len() - begin - PREFIX) as u16;
            if let Some(place) = self.output.get_mut(begin..begin + PREFIX) {
                place.copy_from_slice(&length.to_be_bytes());
            }
            if self.output.len() >= WRITE_AT {
                self.flush().await?;
            }
        }
        self.input.drain(..at);
        self.flush().await?;
        Ok(at > 0)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.shared.tcp.write, self.stream.write_all(&self.output)).await;
        self.output.clear();
        written.map_err(|_| io::ErrorKind::TimedOut)?
    }
}
