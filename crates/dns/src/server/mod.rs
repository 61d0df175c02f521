//! The shell around [`crate::respond`]: sockets, connections, limits and counters.

mod tcp;
mod udp;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Zones};
use crate::metrics::Metrics;
use crate::rate_limit::{Decision, Kind, RateLimit, RateLimiter};
use crate::respond::{Context, Dropped, Outcome, Transport, respond, respond_failure, truncate};
use crate::wire::Rcode;

pub use tcp::TcpLimits;

/// What a server listens on and within which limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses for both UDP and TCP. On a machine with several addresses list them one by one: answers to queries
    /// that arrive on a wildcard address leave from the one that the system picks for the client.
    pub listen: Vec<SocketAddr>,
    /// UDP sockets per address, each with a thread of its own. The system spreads clients over them.
    pub udp_sockets: usize,
    /// The longest answer over UDP. 1232 octets pass every network without fragments.
    pub max_udp_payload: u16,
    /// Limit of responses over UDP per client network.
    pub rate_limit: RateLimit,
    /// Limits of connections.
    pub tcp: TcpLimits,
}

impl Default for Config {
    /// Port 53 of every address, one UDP socket.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 53)],
            udp_sockets: 1,
            max_udp_payload: 1232,
            rate_limit: RateLimit::default(),
            tcp: TcpLimits::default(),
        }
    }
}

/// A server whose sockets are open.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    udp: Vec<std::net::UdpSocket>,
    tcp: Vec<std::net::TcpListener>,
    addresses: Vec<SocketAddr>,
}

/// What all sockets share.
#[derive(Debug)]
struct Shared {
    zones: Arc<Zones>,
    metrics: Arc<Metrics>,
    limiter: RateLimiter,
    started: Instant,
    max_udp_payload: u16,
    tcp: TcpLimits,
}

impl Server {
    /// Opens the sockets. An address with port 0 gets a port that is free for UDP and TCP.
    pub fn bind(config: &Config, zones: Arc<Zones>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let mut server = Self {
            shared: Arc::new(Shared {
                zones,
                metrics,
                limiter: RateLimiter::new(config.rate_limit.clone()),
                started: Instant::now(),
                max_udp_payload: config.max_udp_payload,
                tcp: config.tcp.clone(),
            }),
            udp: Vec::new(),
            tcp: Vec::new(),
            addresses: Vec::new(),
        };
        for address in &config.listen {
            server.listen(*address, config.udp_sockets.max(1))?;
        }
        Ok(server)
    }

    /// The addresses with their ports, in the order of [`Config::listen`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn listen(&mut self, address: SocketAddr, udp_sockets: usize) -> io::Result<()> {
        const TRIES: usize = 20;
        for _ in 1..TRIES {
            match self.try_listen(address, udp_sockets) {
                // The port that the system picked for UDP is taken for TCP: let it pick another.
                Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        self.try_listen(address, udp_sockets)
    }

    fn try_listen(&mut self, mut address: SocketAddr, udp_sockets: usize) -> io::Result<()> {
        let shared_port = udp_sockets > 1;
        let mut sockets = Vec::new();
        for _ in 0..udp_sockets {
            let socket = udp_socket(address, shared_port)?;
            address.set_port(socket.local_addr()?.port());
            sockets.push(socket);
        }
        let listener = tcp_listener(address)?;
        self.udp.append(&mut sockets);
        self.tcp.push(listener);
        self.addresses.push(address);
        Ok(())
    }

    /// Serves until `stop` is cancelled. Each UDP socket has a thread of its own, so that nothing else that runs in the
    /// program holds answers up; connections are served where this is called.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        // However this ends, threads and connections end with it.
        let stop = stop.child_token();
        let _guard = stop.clone().drop_guard();
        let mut tasks = tokio::task::JoinSet::new();
        for (index, socket) in self.udp.into_iter().enumerate() {
            let mut thread = udp::UdpThread::start(self.shared.clone(), socket, index)?;
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {
                        thread.stop().await;
                        Ok(())
                    }
                    error = thread.failed() => Err(error),
                }
            });
        }
        let connections = tcp::Connections::new(&self.shared.tcp);
        for listener in self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.spawn(tcp::serve(
                self.shared.clone(),
                listener,
                connections.clone(),
                stop.clone(),
            ));
        }
        while let Some(result) = tasks.join_next().await {
            result.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Answers one packet within the limits and counts it. Returns whether `out` holds something to send, and when it
    /// was done.
    fn answer(
        &self,
        catalog: &Catalog,
        packet: &[u8],
        context: &Context,
        began: Duration,
        out: &mut Vec<u8>,
    ) -> (bool, Duration) {
        let base = out.len();
        let outcome = catch_unwind(AssertUnwindSafe(|| respond(catalog, packet, context, out)));
        let ended = self.now();
        let send = match outcome {
            Ok(outcome) => self.settle(outcome, context, ended, out),
            Err(_) => {
                self.metrics.failures.add(1);
                tracing::error!(
                    packet = %packet.escape_ascii(),
                    "A DNS query could not be answered because of an error in this program; please report it."
                );
                out.truncate(base);
                respond_failure(packet, out);
                out.len() > base
            }
        };
        self.metrics.took(ended.saturating_sub(began));
        (send, ended)
    }

    /// Counts an outcome and applies the rate limit to it.
    fn settle(&self, outcome: Outcome, context: &Context, now: Duration, out: &mut Vec<u8>) -> bool {
        let metrics = &self.metrics;
        let (record_type, rcode, positive, truncated, question_end) = match outcome {
            Outcome::Dropped(Dropped::TooShort) => {
                metrics.dropped_short.add(1);
                return false;
            }
            Outcome::Dropped(Dropped::Response) => {
                metrics.dropped_response.add(1);
                return false;
            }
            Outcome::Answered {
                record_type,
                rcode,
                positive,
                truncated,
                question_end,
            } => (record_type, rcode, positive, truncated, question_end),
        };
        let tcp = context.transport == Transport::Tcp;
        metrics.answered(tcp, record_type, rcode);
        metrics.truncated.add(u64::from(truncated));
        if tcp {
            // Who holds a connection has shown that the address is its own.
            return true;
        }
        let kind = match rcode {
            Rcode::NoError if positive => Kind::Positive,
            Rcode::NoError | Rcode::NxDomain => Kind::Negative,
            _ => Kind::Error,
        };
        match self.limiter.check(context.source, kind, now) {
            Decision::Send => true,
            Decision::Truncate => {
                metrics.limited_truncated.add(1);
                truncate(out, question_end);
                true
            }
            Decision::Drop => {
                metrics.limited_dropped.add(1);
                false
            }
        }
    }
}

/// How long a socket rests after a failure of the system: longer with each in a row, with a random part.
#[derive(Debug, Default)]
struct BackOff {
    failures: u32,
}

impl BackOff {
    const LONGEST: u64 = 1000;

    fn after_failure(&mut self, random: &mut impl Rng) -> Duration {
        let longest = (10 << self.failures.min(7)).min(Self::LONGEST);
        self.failures += 1;
        Duration::from_millis(random.random_range(longest / 2..=longest))
    }

    fn after_success(&mut self) {
        self.failures = 0;
    }
}

fn udp_socket(address: SocketAddr, shared_port: bool) -> io::Result<std::net::UdpSocket> {
    /// Takes bursts; the system gives as much of it as it allows.
    const BUFFER: usize = 4 << 20;
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if shared_port {
        socket.set_reuse_port(true)?;
    }
    dual_stack(&socket, address)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp_listener(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    const BACKLOG: i32 = 1024;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    dual_stack(&socket, address)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The IPv6 wildcard serves IPv4 as well, whatever the system's default.
fn dual_stack(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address.is_ipv6() && address.ip().is_unspecified() {
        true => socket.set_only_v6(false),
        false => Ok(()),
    }
}
