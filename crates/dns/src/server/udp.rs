//! Queries in datagrams: taken from the socket and answered in batches, with one system call each.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{BackOff, Shared};
use crate::respond::{Context, Transport};

/// Datagrams per system call.
const BATCH: usize = 64;
/// Longer queries than this are not read; those of common clients have less than 100 octets.
const MAX_QUERY: usize = 4096;
/// How long answers wait for a socket that takes no more, before they are given up.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// Serves one socket on the calling thread until it is stopped.
pub(super) fn run_thread(shared: Arc<Shared>, socket: std::net::UdpSocket, stop: CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(async move {
        let socket = UdpSocket::from_std(socket)?;
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            result = serve(&shared, &socket) => result,
        }
    })
}

async fn serve(shared: &Shared, socket: &UdpSocket) -> io::Result<()> {
    let mut batch = Batch::new();
    let mut random = SmallRng::from_os_rng();
    let mut back_off = BackOff::default();
    loop {
        socket.readable().await?;
        match batch.receive(socket) {
            Ok(()) => {
                back_off.after_success();
                batch.answer(shared, &mut random);
                batch.send(shared, socket).await?;
                // Lets the token and timers of this thread have their turn under load.
                tokio::task::consume_budget().await;
            }
            Err(error) => {
                // Such as a lack of memory; errors of peers do not arrive at a socket without a connection.
                shared.metrics.receive_errors.add(1);
                tracing::warn!(%error, "Receiving DNS queries failed; trying again.");
                tokio::time::sleep(back_off.after_failure(&mut random)).await;
            }
        }
    }
}

/// The buffers of one socket. Queries and answers of a batch have the same index.
struct Batch {
    queries: Box<[[u8; MAX_QUERY]; BATCH]>,
    received: MultiHeaders<SockaddrStorage>,
    /// Length and sender of each query.
    senders: Vec<(usize, SockaddrStorage)>,
    answers: Vec<Vec<u8>>,
    /// Index of the answer and its receiver.
    to_send: Vec<usize>,
    receivers: Vec<Option<SockaddrStorage>>,
}

impl Batch {
    fn new() -> Self {
        Self {
            queries: vec![[0; MAX_QUERY]; BATCH]
                .try_into()
                .unwrap_or_else(|_| Box::new([[0; MAX_QUERY]; BATCH])),
            received: MultiHeaders::preallocate(BATCH, None),
            senders: Vec::with_capacity(BATCH),
            answers: (0..BATCH).map(|_| Vec::with_capacity(512)).collect(),
            to_send: Vec::with_capacity(BATCH),
            receivers: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what has arrived, which may be nothing.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let Self {
            queries,
            received,
            senders,
            ..
        } = self;
        senders.clear();
        let mut slices = queries.each_mut().map(|query| [IoSliceMut::new(query)]);
        let result = socket.try_io(Interest::READABLE, || {
            let messages = recvmmsg(socket.as_raw_fd(), received, &mut slices, MsgFlags::MSG_DONTWAIT, None)?;
            for message in messages {
                // Datagrams that did not fit get a length that no query has.
                let cut = message.flags.contains(MsgFlags::MSG_TRUNC);
                let length = if cut { usize::MAX } else { message.bytes };
                senders.extend(message.address.map(|address| (length, address)));
            }
            // A batch that is not full has emptied the socket: it is ready again when the next datagram arrives.
            if senders.len() < BATCH {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match result {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            result => result,
        }
    }

    /// Answers all queries of the batch from one catalog.
    fn answer(&mut self, shared: &Shared, random: &mut SmallRng) {
        self.to_send.clear();
        self.receivers.clear();
        let catalog = shared.zones.current();
        let transport = Transport::Udp {
            max_payload: shared.max_udp_payload,
        };
        let mut began = shared.now();
        let slots = self
            .senders
            .iter()
            .zip(self.queries.iter())
            .zip(&mut self.answers)
            .enumerate();
        for (index, (((length, sender), query), answer)) in slots {
            let Some(packet) = query.get(..*length) else {
                shared.metrics.dropped_long.add(1);
                continue;
            };
            // Port 0 cannot be answered.
            let Some(source) = address_of(sender).filter(|source| source.port() != 0) else {
                shared.metrics.dropped_short.add(1);
                continue;
            };
            let context = Context {
                source: source.ip().to_canonical(),
                transport,
                draw: random.random(),
            };
            answer.clear();
            let (send, ended) = shared.answer(&catalog, packet, &context, began, answer);
            began = ended;
            if send {
                self.to_send.push(index);
                self.receivers.push(Some(*sender));
            }
        }
    }

    /// Sends all answers of the batch. What the system refuses is counted and given up: the client asks again.
    async fn send(&self, shared: &Shared, socket: &UdpSocket) -> io::Result<()> {
        let deadline = Instant::now() + SEND_TIMEOUT;
        let mut done = 0;
        while done < self.to_send.len() {
            match socket.try_io(Interest::WRITABLE, || self.send_from(socket, done)) {
                Ok(sent) => done += sent.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match timeout_at(deadline, socket.writable()).await {
                        Ok(writable) => writable?,
                        Err(_) => {
                            shared.metrics.send_errors.add((self.to_send.len() - done) as u64);
                            return Ok(());
                        }
                    }
                }
                Err(error) => {
                    // An error belongs to the first answer that was not sent.
                    shared.metrics.send_errors.add(1);
                    tracing::debug!(%error, "A DNS answer could not be sent.");
                    done += 1;
                }
            }
        }
        Ok(())
    }

    fn send_from(&self, socket: &UdpSocket, begin: usize) -> io::Result<usize> {
        let waiting = self.to_send.get(begin..).unwrap_or_default();
        let answers = waiting.iter().filter_map(|index| self.answers.get(*index));
        let slices: Vec<[IoSlice<'_>; 1]> = answers.map(|answer| [IoSlice::new(answer)]).collect();
        let receivers = self.receivers.get(begin..).unwrap_or_default();
        let mut headers = MultiHeaders::preallocate(slices.len(), None);
        let flags = MsgFlags::MSG_DONTWAIT;
        Ok(sendmmsg(socket.as_raw_fd(), &mut headers, &slices, receivers, [], flags)?.count())
    }
}

fn address_of(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(address) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(address.ip()), address.port()));
    }
    storage
        .as_sockaddr_in6()
        .map(|address| SocketAddr::new(IpAddr::V6(address.ip()), address.port()))
}
