//! Closed-loop load: each client keeps a number of queries on their way.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use super::zone;

/// Datagrams per system call.
const BATCH: usize = 64;
/// Latencies are counted in buckets that grow by 2 %.
const GROWTH: f64 = 1.02;

#[derive(clap::Args)]
pub struct Load {
    /// Address of the server.
    #[arg(long, default_value = "127.0.0.1:5300")]
    server: SocketAddr,
    /// Clients, each with a socket of its own.
    #[arg(long, default_value_t = 20)]
    clients: usize,
    /// Queries on their way per client.
    #[arg(long, default_value_t = 10)]
    window: usize,
    /// Queries in all.
    #[arg(long, default_value_t = 2_000_000)]
    queries: u64,
    /// The server's process, whose processor time is printed as well.
    #[arg(long)]
    pid: Option<u32>,
    /// What the line begins with.
    #[arg(long, default_value = "")]
    label: String,
}

struct Client {
    socket: UdpSocket,
    headers: MultiHeaders<SockaddrStorage>,
    /// When the query with this id was sent, if it is on its way.
    sent: Vec<Option<Instant>>,
    /// Ids whose query is to be sent.
    free: Vec<usize>,
    packets: Vec<Vec<u8>>,
    /// Position in the list of names.
    next: usize,
}

#[derive(Default)]
struct Totals {
    sent: u64,
    answered: u64,
    wrong: u64,
    lost: u64,
    latencies: Vec<u64>,
}

impl Load {
    /// Runs the load; a query without an answer within `patience` is lost.
    pub fn run(self, patience: Duration) -> Result<String, Box<dyn std::error::Error>> {
        let questions: Vec<Vec<u8>> = zone::names().map(|name| question(&name)).collect();
        let mut clients = (0..self.clients)
            .map(|index| Client::new(self.server, self.window, index * 7))
            .collect::<io::Result<Vec<_>>>()?;
        let mut totals = Totals::default();
        let mut buffers = vec![[0; 512]; BATCH];
        let processor = || self.pid.map(processor_time).transpose();
        let (began, processor_began) = (Instant::now(), processor()?);
        let mut looked = began;
        while totals.answered + totals.lost < self.queries {
            let now = Instant::now();
            for client in &mut clients {
                client.receive(&mut buffers, now, &mut totals)?;
                client.send(&questions, self.queries, &mut totals)?;
            }
            if now - looked > patience {
                looked = now;
                clients
                    .iter_mut()
                    .for_each(|client| client.give_up(now, patience, &mut totals));
            }
        }
        let took = began.elapsed();
        let rate = totals.answered as f64 / took.as_secs_f64();
        let micros = |share: f64| totals.percentile(share).as_nanos() as f64 / 1000.0;
        let mut line = format!(
            "{} {rate:.0} queries/s, p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, {} answered, {} wrong, {} lost",
            self.label,
            micros(0.5),
            micros(0.99),
            micros(0.999),
            totals.answered,
            totals.wrong,
            totals.lost,
        );
        if let (Some((user, system)), Some((user_end, system_end))) = (processor_began, processor()?) {
            let of = |used: Duration| used.as_secs_f64() * 1e6 / totals.answered as f64;
            let (user, system) = (user_end - user, system_end - system);
            let share = 100.0 * (user + system).as_secs_f64() / took.as_secs_f64();
            line += &format!(
                ", {:.2} us of the server's processor time a query (user {:.2}, system {:.2}; {share:.0} % of one core)",
                of(user + system),
                of(user),
                of(system),
            );
        }
        Ok(line)
    }
}

impl Totals {
    fn took(&mut self, latency: Duration) {
        let bucket = ((latency.as_nanos() as f64).ln() / GROWTH.ln()) as usize;
        if self.latencies.len() <= bucket {
            self.latencies.resize(bucket + 1, 0);
        }
        self.latencies[bucket] += 1;
    }

    fn percentile(&self, share: f64) -> Duration {
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
            packets: vec![Vec::new(); window],
            next,
        })
    }

    fn receive(&mut self, buffers: &mut [[u8; 512]], now: Instant, totals: &mut Totals) -> io::Result<()> {
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
            totals.answered += 1;
            totals.took(now - sent);
            // No error, and at least one record in the answer section.
            totals.wrong += u64::from(length < 12 || buffer[3] & 0xF != 0 || buffer[7] == 0);
            self.free.push(id);
        }
        Ok(())
    }

    fn send(&mut self, questions: &[Vec<u8>], limit: u64, totals: &mut Totals) -> io::Result<()> {
        let allowed = (limit.saturating_sub(totals.sent) as usize)
            .min(self.free.len())
            .min(BATCH);
        let ids = self.free.split_off(self.free.len() - allowed);
        if ids.is_empty() {
            return Ok(());
        }
        for id in &ids {
            let packet = &mut self.packets[*id];
            packet.clear();
            packet.extend((*id as u16).to_be_bytes());
            packet.extend(&questions[self.next % questions.len()]);
            self.next += 1;
        }
        let slices: Vec<_> = ids.iter().map(|id| [IoSlice::new(&self.packets[*id])]).collect();
        let none: Vec<Option<SockaddrStorage>> = vec![None; ids.len()];
        let mut headers = MultiHeaders::preallocate(ids.len(), None);
        let now = Instant::now();
        let sent = match sendmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            &slices,
            none,
            [],
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(sent) => sent.count(),
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(error.into()),
        };
        drop(slices);
        for (index, id) in ids.into_iter().enumerate() {
            if index < sent {
                self.sent[id] = Some(now);
                totals.sent += 1;
            } else {
                self.free.push(id);
            }
        }
        Ok(())
    }

    fn give_up(&mut self, now: Instant, patience: Duration, totals: &mut Totals) {
        for (id, sent) in self.sent.iter_mut().enumerate() {
            if sent.is_some_and(|sent| now.saturating_duration_since(sent) > patience) {
                *sent = None;
                totals.lost += 1;
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

/// Processor time of all threads of a process so far: in the program and in the system.
pub fn processor_time(pid: u32) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the program's name in parentheses: user time is field 14, system time field 15, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let time = |field: usize| {
        fields[field]
            .parse()
            .map(|ticks: u64| Duration::from_millis(ticks * 10))
    };
    Ok((time(11)?, time(12)?))
}
