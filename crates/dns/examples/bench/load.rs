//! Closed-loop load: each client keeps a number of queries on their way.
//!
//! The load must cost less than the answers, or it would be what is measured: the queries of a client go through the
//! system in one piece.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmsg};

use super::{Failure, zone};

/// Datagrams per system call.
const BATCH: usize = 64;
/// Latencies are counted in buckets that grow by 2 %.
const GROWTH: f64 = 1.02;

/// A query without an answer for so long is lost. It is what dnsperf waits, too.
const LONGEST: Duration = Duration::from_secs(5);

/// The load of one run.
pub struct Load {
    server: SocketAddr,
    /// Clients, each with a socket of its own.
    clients: usize,
    /// Queries on their way per client.
    window: usize,
    stop: Stop,
}

/// When a run ends. Answers that are on their way then are waited for.
#[derive(Clone, Copy)]
pub enum Stop {
    /// After so many queries.
    Queries(u64),
    /// After a time.
    After(Duration),
}

struct Client {
    socket: UdpSocket,
    headers: MultiHeaders<SockaddrStorage>,
    /// When the query with this id was sent, if it is on its way.
    sent: Vec<Option<Instant>>,
    /// Ids whose query is to be sent.
    free: Vec<usize>,
    /// Queries that are sent together.
    packets: Vec<u8>,
    /// Position in the list of names.
    next: usize,
}

/// What became of the queries of a run.
#[derive(Default)]
pub struct Report {
    sent: u64,
    answered: u64,
    wrong: u64,
    lost: u64,
    /// Counts by bucket.
    latencies: Vec<u64>,
    /// From the first query to the last answer.
    took: Duration,
}

impl Load {
    pub fn new(server: SocketAddr, clients: usize, window: usize, stop: Stop) -> Self {
        Self {
            server,
            clients,
            window,
            stop,
        }
    }

    /// Runs the load.
    ///
    /// # Errors
    /// When the server's port is closed or the system refuses something.
    pub fn run(self) -> Result<Report, Failure> {
        let questions: Vec<Vec<u8>> = zone::names().map(|name| question(&name)).collect();
        let mut clients = (0..self.clients)
            .map(|index| Client::new(self.server, self.window, index * 7))
            .collect::<io::Result<Vec<_>>>()?;
        let mut report = Report::default();
        let mut buffers = vec![[0; 512]; BATCH];
        let began = Instant::now();
        let mut looked = began;
        let mut limit = match self.stop {
            Stop::Queries(queries) => queries,
            Stop::After(_) => u64::MAX,
        };
        while report.answered + report.lost < limit {
            let now = Instant::now();
            if let Stop::After(time) = self.stop
                && now - began >= time
            {
                limit = report.sent;
            }
            let answered = report.answered;
            for client in &mut clients {
                client.receive(&mut buffers, now, &mut report)?;
                client.send(&questions, limit, &mut report)?;
            }
            if report.answered > answered {
                report.took = began.elapsed();
            }
            if now - looked > LONGEST / 5 {
                looked = now;
                clients.iter_mut().for_each(|client| client.give_up(now, &mut report));
            }
        }
        Ok(report)
    }
}

impl Report {
    /// Queries.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Answers, wrong ones among them.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Queries without an answer, and those with a wrong one.
    pub fn failed(&self) -> u64 {
        self.lost + self.wrong
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of all answers did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = (self.answered as f64 * share) as u64;
        let mut seen = 0;
        for (bucket, count) in self.latencies.iter().enumerate() {
            seen += count;
            if seen > wanted {
                return Duration::from_nanos(GROWTH.powi(bucket as i32 + 1) as u64);
            }
        }
        Duration::ZERO
    }

    fn count(&mut self, latency: Duration) {
        let bucket = ((latency.as_nanos().max(1) as f64).ln() / GROWTH.ln()) as usize;
        if self.latencies.len() <= bucket {
            self.latencies.resize(bucket + 1, 0);
        }
        self.latencies[bucket] += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |share: f64| self.percentile(share).as_nanos() as f64 / 1000.0;
        write!(
            f,
            "{:.0} queries/s, p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, {} answered, {} wrong, {} lost",
            self.rate(),
            micros(0.5),
            micros(0.99),
            micros(0.999),
            self.answered,
            self.wrong,
            self.lost,
        )
    }
}

impl Client {
    fn new(server: SocketAddr, window: usize, next: usize) -> io::Result<Self> {
        let any: SocketAddr = if server.is_ipv6() {
            ([0u16; 8], 0).into()
        } else {
            ([0u8; 4], 0).into()
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            headers: MultiHeaders::preallocate(BATCH, None),
            sent: vec![None; window],
            free: (0..window).collect(),
            packets: Vec::new(),
            next,
        })
    }

    fn receive(&mut self, buffers: &mut [[u8; 512]], now: Instant, report: &mut Report) -> io::Result<()> {
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let lengths: Vec<usize> = match recvmmsg(self.socket.as_raw_fd(), &mut self.headers, &mut slices, flags, None) {
            Ok(messages) => messages.map(|message| message.bytes).collect(),
            Err(Errno::EAGAIN) => return Ok(()),
            // The server has closed its port.
            Err(error) => return Err(error.into()),
        };
        for (buffer, length) in buffers.iter().zip(lengths) {
            let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            let Some(sent) = self.sent.get_mut(id).and_then(Option::take) else {
                continue;
            };
            report.answered += 1;
            report.count(now - sent);
            report.wrong += u64::from(!is_good(&buffer[..length]));
            self.free.push(id);
        }
        Ok(())
    }

    fn send(&mut self, questions: &[Vec<u8>], limit: u64, report: &mut Report) -> io::Result<()> {
        let allowed = (limit.saturating_sub(report.sent) as usize)
            .min(self.free.len())
            .min(BATCH);
        let ids = self.free.split_off(self.free.len() - allowed);
        if ids.is_empty() {
            return Ok(());
        }
        self.packets.clear();
        let mut length = 0;
        for id in &ids {
            let begin = self.packets.len();
            self.packets.extend((*id as u16).to_be_bytes());
            self.packets.extend(&questions[self.next % questions.len()]);
            self.next += 1;
            length = self.packets.len() - begin;
        }
        let now = Instant::now();
        let sent = sendmsg::<()>(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&self.packets)],
            // The system makes a datagram of each query: all have one length.
            &[ControlMessage::UdpGsoSegments(&(length as u16))],
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        match sent {
            Ok(_) => {
                report.sent += ids.len() as u64;
                ids.into_iter().for_each(|id| self.sent[id] = Some(now));
            }
            Err(Errno::EAGAIN) => self.free.extend(ids),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn give_up(&mut self, now: Instant, report: &mut Report) {
        for (id, sent) in self.sent.iter_mut().enumerate() {
            if sent.is_some_and(|sent| now.saturating_duration_since(sent) > LONGEST) {
                *sent = None;
                report.lost += 1;
                self.free.push(id);
            }
        }
    }
}

/// A query for the A records of a name, without its id.
pub fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split_terminator('.') {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// No error, and at least one record in the answer section.
pub fn is_good(answer: &[u8]) -> bool {
    answer.len() >= 12 && answer[3] & 0xF == 0 && answer[7] > 0
}
