//! A server over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::*;
use dns::metrics::Values;
use dns::{Catalog, Config, Metrics, RateLimit, Routing, Server, TcpLimits, Zones};
use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a test waits for what must happen.
const TIME_LIMIT: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    zones: Arc<Zones>,
    metrics: Arc<Metrics>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: DropGuard,
}

fn start(change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..Config::default()
    };
    change(&mut config);
    let (zones, metrics) = (Arc::new(Zones::new(catalog())), Arc::new(Metrics::default()));
    let server = Server::bind(&config, zones.clone(), metrics.clone()).unwrap();
    let address = server.addresses()[0];
    let stop = CancellationToken::new();
    Running {
        address,
        zones,
        metrics,
        task: tokio::spawn(server.run(stop.clone())),
        stop: stop.drop_guard(),
    }
}

async fn udp(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> Message {
    let mut buffer = [0; 4096];
    let length = timeout(TIME_LIMIT, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn exchange(socket: &UdpSocket, packet: &[u8]) -> Message {
    socket.send(packet).await.unwrap();
    receive(socket).await
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

async fn read_framed(stream: &mut TcpStream) -> Message {
    let mut length = [0; 2];
    timeout(TIME_LIMIT, stream.read_exact(&mut length))
        .await
        .unwrap()
        .unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    timeout(TIME_LIMIT, stream.read_exact(&mut message))
        .await
        .unwrap()
        .unwrap();
    Message::from_vec(&message).unwrap()
}

/// Waits for the server to close a connection; what it sends until then.
async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = timeout(TIME_LIMIT, stream.read_to_end(&mut rest)).await.unwrap();
    rest
}

fn count(metrics: &Metrics, family: &str, label: &str) -> u64 {
    let families = metrics.families();
    let family = families.iter().find(|known| known.name == family).unwrap();
    match &family.values {
        Values::Counters(counters) => {
            let named = counters
                .iter()
                .filter(|(labels, _)| labels.iter().any(|(_, value)| *value == label));
            named.map(|(_, count)| count).sum()
        }
        Values::Gauge(value) => *value,
        Values::Histogram { count, .. } => *count,
    }
}

#[tokio::test]
async fn a_burst_from_many_clients_is_answered_by_several_sockets() {
    let running = start(|config| config.udp_sockets = 3);
    let packet = query("plain.tm.example", A);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let socket = udp(running.address).await;
        for id in 0..50u16 {
            let mut packet = packet.clone();
            packet[..2].copy_from_slice(&id.to_be_bytes());
            socket.send(&packet).await.unwrap();
        }
        sockets.push(socket);
    }
    for socket in &sockets {
        let mut ids = Vec::new();
        for _ in 0..50 {
            let answer = receive(socket).await;
            assert_eq!(answer.answers.len(), 3);
            ids.push(answer.metadata.id);
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..50).collect::<Vec<_>>());
    }
    assert_eq!(count(&running.metrics, "dns_queries_total", "NOERROR"), 1000);
    assert_eq!(count(&running.metrics, "dns_query_duration_seconds", ""), 1000);
}

#[tokio::test]
async fn both_families_are_served_on_the_wildcard_address() {
    let running = start(|config| config.listen = vec!["[::]:0".parse().unwrap()]);
    for loopback in ["127.0.0.1", "::1"] {
        let socket = udp(SocketAddr::new(loopback.parse().unwrap(), running.address.port())).await;
        assert_eq!(
            exchange(&socket, &query("plain.tm.example", A)).await.answers.len(),
            3,
            "{loopback}"
        );
    }
}

#[tokio::test]
async fn what_must_not_be_answered_is_not() {
    let running = start(|_| {});
    let socket = udp(running.address).await;
    let mut response = query("plain.tm.example", A);
    response[2] |= 0x80;
    socket.send(&response).await.unwrap();
    socket.send(&[1, 2, 3]).await.unwrap();
    socket.send(&[]).await.unwrap();
    socket.send(&[0; 5000]).await.unwrap();
    let mut packet = query("plain.tm.example", A);
    packet[0] = 1;
    let answer = exchange(&socket, &packet).await;
    assert_eq!(
        answer.metadata.id, 0x01EF,
        "the first answer is that to the last packet"
    );
    let dropped = |reason| count(&running.metrics, "dns_dropped_total", reason);
    assert_eq!(
        (dropped("response"), dropped("too_short"), dropped("too_long")),
        (1, 2, 1)
    );
}

#[tokio::test]
async fn truncated_answers_come_in_full_over_tcp() {
    let running = start(|_| {});
    let packet = query("many.tm.example", AAAA);
    let answer = exchange(&udp(running.address).await, &packet).await;
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    assert_eq!(count(&running.metrics, "dns_truncated_total", ""), 0);
    assert_eq!(running.metrics.truncated.get(), 1);
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&framed(&packet)).await.unwrap();
    let answer = read_framed(&mut stream).await;
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 100);
}

#[tokio::test]
async fn queries_over_tcp_are_pipelined_and_may_arrive_in_pieces() {
    let running = start(|_| {});
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let mut all = Vec::new();
    for id in 0..600u16 {
        // Every tenth answer is long, so that answers fill more than one write.
        let mut packet = query(
            if id % 10 == 0 {
                "many.tm.example"
            } else {
                "plain.tm.example"
            },
            A,
        );
        packet[..2].copy_from_slice(&id.to_be_bytes());
        all.extend(framed(&packet));
    }
    let (mut reading, mut writing) = stream.split();
    let write = async {
        for piece in all.chunks(7) {
            writing.write_all(piece).await.unwrap();
        }
    };
    let read = async {
        for id in 0..600u16 {
            let length = timeout(TIME_LIMIT, reading.read_u16()).await.unwrap().unwrap();
            let mut message = vec![0; usize::from(length)];
            timeout(TIME_LIMIT, reading.read_exact(&mut message))
                .await
                .unwrap()
                .unwrap();
            let answer = Message::from_vec(&message).unwrap();
            assert_eq!(answer.metadata.id, id);
            assert_eq!(answer.answers.len(), if id % 10 == 0 { 100 } else { 3 });
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_connection_ends_with_what_no_client_sends() {
    let running = start(|_| {});
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let mut response = query("plain.tm.example", A);
    response[2] |= 0x80;
    let both = [framed(&query("plain.tm.example", A)), framed(&response)].concat();
    stream.write_all(&both).await.unwrap();
    assert_eq!(
        read_framed(&mut stream).await.answers.len(),
        3,
        "what came before is answered"
    );
    assert_eq!(read_to_end(&mut stream).await, []);
}

#[tokio::test]
async fn idle_and_slow_connections_are_closed() {
    let running = start(|config| {
        config.tcp = TcpLimits {
            idle: Duration::from_millis(200),
            query: Duration::from_millis(200),
            ..TcpLimits::default()
        }
    });
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(read_to_end(&mut idle).await, []);
    // Octet by octet: the time of a query runs from its first one.
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    let trickle = async {
        loop {
            // Ends with the connection.
            if slow.write_all(&[0]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            // The second octet makes the length 0: keep it that of a long query.
            if slow.write_all(&[255]).await.is_err() {
                return;
            }
            let mut octet = [0];
            match slow.try_read(&mut octet) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    };
    timeout(TIME_LIMIT, trickle).await.unwrap();
    assert_eq!(count(&running.metrics, "dns_connections_total", "timed_out"), 2);
}

#[tokio::test]
async fn who_does_not_take_answers_is_cut_off() {
    let running = start(|config| config.tcp.write = Duration::from_millis(200));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let queries = framed(&query("many.tm.example", AAAA)).repeat(1000);
    let write = async { while stream.write_all(&queries).await.is_ok() {} };
    timeout(TIME_LIMIT, write).await.unwrap();
    assert_eq!(count(&running.metrics, "dns_connections_total", "timed_out"), 1);
}

#[tokio::test]
async fn connections_have_limits_per_client_and_in_all() {
    for (connections, per_client) in [(2, 10), (10, 2)] {
        let running = start(|config| {
            config.tcp = TcpLimits {
                connections,
                connections_per_client: per_client,
                ..TcpLimits::default()
            }
        });
        let open = async || {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            // The server may have closed it already.
            let _ = stream.write_all(&framed(&query("plain.tm.example", A))).await;
            stream
        };
        let mut first = open().await;
        read_framed(&mut first).await;
        let mut second = open().await;
        read_framed(&mut second).await;
        assert_eq!(read_to_end(&mut open().await).await, [], "the third");
        assert_eq!(count(&running.metrics, "dns_connections", ""), 2);
        drop(first);
        // The place is free once the server has seen the end of the connection.
        let again = async {
            loop {
                let mut stream = open().await;
                if !matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)) {
                    return;
                }
            }
        };
        timeout(TIME_LIMIT, again).await.unwrap();
        assert!(count(&running.metrics, "dns_connections_total", "refused") >= 1);
    }
}

#[tokio::test]
async fn responses_are_limited_over_udp_alone() {
    let running = start(|config| {
        config.rate_limit = RateLimit {
            responses_per_second: 1,
            burst_seconds: 5,
            slip: 2,
            exempt: Vec::new(),
            ..RateLimit::default()
        }
    });
    let began = Instant::now();
    let socket = udp(running.address).await;
    let packet = query("plain.tm.example", A);
    for _ in 0..45 {
        socket.send(&packet).await.unwrap();
    }
    let (mut full, mut truncated) = (0, 0);
    let total = |full: u64, truncated: u64| full + truncated + running.metrics.limited_dropped.get();
    while total(full, truncated) < 45 {
        assert!(began.elapsed() < TIME_LIMIT);
        // Those that are still on their way may all be dropped.
        let Ok(answer) = timeout(Duration::from_millis(50), receive(&socket)).await else {
            continue;
        };
        match answer.metadata.truncation {
            true => truncated += 1,
            false => full += 1,
        }
        assert_eq!(answer.answers.len(), if answer.metadata.truncation { 0 } else { 3 });
    }
    let earned = 5 + began.elapsed().as_secs() + 1;
    assert!((5..=earned).contains(&full), "{full} of {earned}");
    assert_eq!(truncated, running.metrics.limited_truncated.get());
    assert!(truncated > 0 && running.metrics.limited_dropped.get().abs_diff(truncated) <= 1);
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&framed(&packet).repeat(20)).await.unwrap();
    for _ in 0..20 {
        assert_eq!(read_framed(&mut stream).await.answers.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_neither_loses_queries_nor_mixes_zones() {
    let running = start(|_| {});
    // Each version answers one name with two records, whose addresses say which version it is.
    let version = |number: u8| {
        let addresses = format!("192.0.2.{number} 198.51.100.{number}");
        Catalog::new(&[zone(
            "tm.example.",
            [("app", entry(1, Routing::All, [endpoint("a", &addresses, 1)]))],
        )])
        .unwrap()
    };
    running.zones.publish(version(0));
    let done = Arc::new(AtomicBool::new(false));
    let (zones, ended) = (running.zones.clone(), done.clone());
    let publisher = std::thread::spawn(move || {
        let mut published = 0u64;
        while !ended.load(Ordering::Relaxed) {
            zones.publish(version((published % 256) as u8));
            published += 1;
        }
        published
    });
    let socket = udp(running.address).await;
    for _ in 0..2000 {
        let answer = exchange(&socket, &query("app.tm.example", A)).await;
        let mut last = answer
            .answers
            .iter()
            .map(|record| record.data.to_string().rsplit_once('.').unwrap().1.to_owned());
        let (first, second) = (last.next().unwrap(), last.next().unwrap());
        assert_eq!(first, second);
    }
    done.store(true, Ordering::Relaxed);
    assert!(publisher.join().unwrap() > 1);
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_nothing_behind() {
    let running = start(|_| {});
    assert_eq!(
        exchange(&udp(running.address).await, &query("plain.tm.example", A))
            .await
            .answers
            .len(),
        3
    );
    running.task.abort();
    assert!(
        timeout(TIME_LIMIT, running.task)
            .await
            .unwrap()
            .unwrap_err()
            .is_cancelled()
    );
    // The thread ends on its own time.
    let freed = async {
        while std::net::UdpSocket::bind(running.address).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(TIME_LIMIT, freed).await.unwrap();
    drop(running.stop);
}

#[tokio::test]
async fn stopping_ends_connections_and_frees_the_port() {
    let running = start(|config| config.udp_sockets = 2);
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&framed(&query("plain.tm.example", A))).await.unwrap();
    read_framed(&mut stream).await;
    drop(running.stop);
    timeout(TIME_LIMIT, running.task).await.unwrap().unwrap().unwrap();
    assert_eq!(read_to_end(&mut stream).await, []);
    let config = Config {
        listen: vec![running.address],
        ..Config::default()
    };
    Server::bind(&config, running.zones, running.metrics).unwrap();
}
