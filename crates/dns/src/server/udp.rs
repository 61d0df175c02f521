//! Queries in datagrams: taken from the socket and answered in batches, with one system call each.
//!
//! Threads wait within the call that receives. With an event loop each query of a quiet server would cost twice as
//! many system calls: every answer makes the socket writable again, which is an event as well.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    MsgFlags, MultiHeaders, Shutdown, SockaddrStorage, recvfrom, recvmmsg, sendmmsg, sendto, shutdown,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;

use super::{BackOff, Shared};
use crate::respond::{Context, Transport};

/// Datagrams per system call.
const BATCH: usize = 32;
/// After a batch of one, so many datagrams are received one by one before a batch is received again: for a single
/// datagram `recvfrom` and `sendto` cost less than calls for several, and under load the next batch comes soon.
const SINGLES: usize = 8;
/// Longer queries than this are not read; those of common clients have less than 100 octets.
const MAX_QUERY: usize = 4096;
/// One more octet than a query may have shows which datagrams are longer.
const BUFFER: usize = MAX_QUERY + 1;
/// How long answers wait for a socket that takes no more, before they are given up.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// A thread that serves one socket. It ends when this is dropped.
pub(super) struct UdpThread {
    socket: Arc<UdpSocket>,
    stopping: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
}

impl UdpThread {
    pub fn start(shared: Arc<Shared>, socket: UdpSocket, index: usize) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        let socket = Arc::new(socket);
        let stopping = Arc::new(AtomicBool::new(false));
        let (ending, ended) = oneshot::channel();
        let (served, stop) = (socket.clone(), stopping.clone());
        let body = move || {
            serve(&shared, &served, &stop);
            // Whoever waits for the end expects the port to be free.
            drop(served);
            // Nobody waits for the end any more when the server was dropped.
            let _ = ending.send(());
        };
        std::thread::Builder::new()
            .name(format!("dns-udp-{index}"))
            .spawn(body)?;
        Ok(Self {
            socket,
            stopping,
            ended,
        })
    }

    /// Waits for the thread to end by itself, which it does only by a fault of this program.
    pub async fn failed(&mut self) -> io::Error {
        // A sender that is gone is a thread that has panicked.
        let _ = (&mut self.ended).await;
        io::Error::other("A thread of the DNS server ended by itself.")
    }

    /// Ends the thread and waits for it.
    pub async fn stop(mut self) {
        self.end();
        let _ = (&mut self.ended).await;
    }

    /// Lets the thread end, without waiting for it.
    fn end(&self) {
        self.stopping.store(true, Ordering::Release);
        // Fails because the socket is not connected, and wakes a thread that waits in it nevertheless: Linux does that
        // on purpose (inet_shutdown). Later calls to receive return at once.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Read);
    }
}

impl Drop for UdpThread {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(shared: &Shared, socket: &UdpSocket, stopping: &AtomicBool) {
    let mut batch = Batch::new();
    let mut random = SmallRng::from_os_rng();
    let mut back_off = BackOff::default();
    loop {
        let received = batch.receive(socket);
        if stopping.load(Ordering::Acquire) {
            return;
        }
        match received {
            Ok(()) => {
                back_off.after_success();
                batch.answer(shared, &mut random);
                batch.send(shared, socket);
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(error) => {
                // Such as a lack of memory; errors of peers do not arrive at a socket without a connection.
                shared.metrics.receive_errors.add(1);
                tracing::warn!(%error, "Receiving DNS queries failed; trying again.");
                std::thread::sleep(back_off.after_failure(&mut random));
            }
        }
    }
}

/// The buffers of one socket. Queries and answers of a batch have the same index.
struct Batch {
    queries: Box<[[u8; BUFFER]; BATCH]>,
    received: MultiHeaders<SockaddrStorage>,
    /// How many datagrams are received one by one before the next batch.
    singles: usize,
    /// Length and sender of each query.
    senders: Vec<(usize, SockaddrStorage)>,
    answers: Vec<Vec<u8>>,
    /// Index of the answer and its receiver.
    to_send: Vec<usize>,
    receivers: Vec<Option<SockaddrStorage>>,
    sent: MultiHeaders<SockaddrStorage>,
}

impl Batch {
    fn new() -> Self {
        Self {
            queries: vec![[0; BUFFER]; BATCH]
                .try_into()
                .unwrap_or_else(|_| Box::new([[0; BUFFER]; BATCH])),
            received: MultiHeaders::preallocate(BATCH, None),
            singles: 0,
            senders: Vec::with_capacity(BATCH),
            answers: (0..BATCH).map(|_| Vec::with_capacity(512)).collect(),
            to_send: Vec::with_capacity(BATCH),
            receivers: Vec::with_capacity(BATCH),
            sent: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Waits for a datagram and takes it, mostly with those that have arrived behind it.
    fn receive(&mut self, socket: &UdpSocket) -> nix::Result<()> {
        self.senders.clear();
        if let Some(left) = self.singles.checked_sub(1) {
            self.singles = left;
            let [query, ..] = self.queries.as_mut();
            let (length, sender) = recvfrom(socket.as_raw_fd(), query)?;
            self.senders.extend(sender.map(|sender| (length, sender)));
            return Ok(());
        }
        let mut slices = self.queries.each_mut().map(|query| [IoSliceMut::new(query)]);
        let flags = MsgFlags::MSG_WAITFORONE;
        for message in recvmmsg(socket.as_raw_fd(), &mut self.received, &mut slices, flags, None)? {
            self.senders
                .extend(message.address.map(|sender| (message.bytes, sender)));
        }
        if self.senders.len() == 1 {
            self.singles = SINGLES;
        }
        Ok(())
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
            let Some(packet) = query.get(..*length).filter(|packet| packet.len() <= MAX_QUERY) else {
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
    fn send(&mut self, shared: &Shared, socket: &UdpSocket) {
        let mut done = 0;
        while done < self.to_send.len() {
            match self.send_from(socket, done) {
                Ok(sent) => done += sent.max(1),
                Err(Errno::EINTR) => {}
                Err(error) => {
                    // Time is up for all of them; other errors belong to the first answer that was not sent.
                    let given_up = if error == Errno::EAGAIN {
                        self.to_send.len() - done
                    } else {
                        1
                    };
                    shared.metrics.send_errors.add(given_up as u64);
                    tracing::debug!(%error, "DNS answers could not be sent.");
                    done += given_up;
                }
            }
        }
    }

    /// Sends answers from this one on, at least one. Returns how many.
    fn send_from(&mut self, socket: &UdpSocket, begin: usize) -> nix::Result<usize> {
        let waiting = self.to_send.get(begin..).unwrap_or_default();
        let receivers = self.receivers.get(begin..).unwrap_or_default();
        let answers = waiting.iter().filter_map(|index| self.answers.get(*index));
        if let [Some(receiver)] = receivers {
            for answer in answers {
                sendto(socket.as_raw_fd(), answer, receiver, MsgFlags::empty())?;
            }
            return Ok(1);
        }
        let slices: Vec<[IoSlice<'_>; 1]> = answers.map(|answer| [IoSlice::new(answer)]).collect();
        let flags = MsgFlags::empty();
        Ok(sendmmsg(socket.as_raw_fd(), &mut self.sent, &slices, receivers, [], flags)?.count())
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
