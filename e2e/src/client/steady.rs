//! Requests at a steady rate, in the background, whatever happens to the fleet meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Client, Request, seconds};

/// Requests under way at a time; with so many the next ones wait, and the rate falls.
const UNDER_WAY: usize = 512;

/// A moment in a row of requests.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    /// In seconds since the first request.
    pub at: f64,
    /// What happened.
    pub text: String,
}

/// All requests of a client, and what happened meanwhile.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// By the time at which they began.
    pub requests: Vec<Request>,
    /// By time.
    pub marks: Vec<Mark>,
}

/// A client that makes requests until it is stopped.
pub struct Steady {
    begun: Instant,
    shared: Arc<Shared>,
    made: watch::Receiver<usize>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

struct Shared {
    requests: Mutex<Vec<Request>>,
    marks: Mutex<Vec<Mark>>,
    count: watch::Sender<usize>,
}

impl Steady {
    /// Starts with so many requests a second.
    pub fn start(client: Client, rate: u32) -> Self {
        let (count, made) = watch::channel(0);
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            marks: Mutex::default(),
            count,
        });
        let (begun, stop) = (Instant::now(), CancellationToken::new());
        let task = tokio::spawn(run(client, rate, begun, Arc::clone(&shared), stop.clone()));
        Self {
            begun,
            shared,
            made,
            task,
            stop: stop.drop_guard(),
        }
    }

    /// Seconds since the first request.
    pub fn now(&self) -> f64 {
        seconds(self.begun.elapsed())
    }

    /// Notes that something happened now, and returns when that is.
    pub fn mark(&self, text: &str) -> f64 {
        let at = self.now();
        let text = text.to_owned();
        self.shared.marks.lock().push(Mark { at, text });
        at
    }

    /// Requests that are answered or have failed.
    pub fn made(&self) -> usize {
        *self.made.borrow()
    }

    /// The last so many requests, oldest first.
    pub fn last(&self, count: usize) -> Vec<Request> {
        let requests = self.shared.requests.lock();
        let from = requests.len().saturating_sub(count);
        requests.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits until so many requests are answered or have failed.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn made_at_least(&mut self, count: usize, within: Duration) -> Result<()> {
        let reached = async { self.made.wait_for(|made| *made >= count).await.map(|_| ()) };
        match timeout(within, reached).await {
            Ok(reached) => reached.context("the client has ended"),
            Err(_) => bail!("{} of {count} requests after {within:?}", self.made()),
        }
    }

    /// Makes no further requests, waits for those under way and returns all.
    ///
    /// # Errors
    /// When the client has ended before.
    pub async fn stop(self) -> Result<Record> {
        ensure!(!self.task.is_finished(), "the client has ended by itself");
        drop(self.stop);
        self.task.await.context("the client broke")?;
        let mut requests = std::mem::take(&mut *self.shared.requests.lock());
        requests.sort_by(|one, other| one.at.total_cmp(&other.at));
        let marks = std::mem::take(&mut *self.shared.marks.lock());
        Ok(Record { requests, marks })
    }
}

async fn run(client: Client, rate: u32, begun: Instant, shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
    // What a busy machine missed is made up for, so that the rate holds on average.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else {
            break;
        };
        let (client, shared) = (client.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let request = client.request(begun).await;
            shared.requests.lock().push(request);
            shared.count.send_modify(|count| *count += 1);
            drop(place);
        });
    }
    // All places are free again once every request has ended.
    let all = u32::try_from(UNDER_WAY).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, UdpSocket};

    use super::super::Resolver;
    use super::super::resolver::tests::answer;
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    /// A server of one name, and what it names: an HTTP server that answers with its cluster.
    async fn serve() -> (Client, JoinHandle<()>) {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let resolver = Resolver::new(udp.local_addr().expect("an address"));
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
                let _ = udp.send_to(&answer(&buffer[..length], false), client).await;
            }
        });
        // The address of `answer`.
        let listener = TcpListener::bind("127.1.2.3:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let response = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nmember-1\n";
                let _ = stream.write_all(response).await;
            }
        });
        (Client::new(resolver, "a.tm.example.com", port), server)
    }

    #[tokio::test]
    async fn requests_go_on_while_the_server_fails_and_each_is_kept_with_its_outcome() {
        let (client, server) = serve().await;
        let mut steady = Steady::start(client, 500);
        steady.made_at_least(20, WITHIN).await.expect("requests are made");
        let failing = steady.mark("the server ends");
        server.abort();
        while steady.last(1).iter().all(|request| request.outcome.is_ok()) {
            let next = steady.made() + 1;
            steady.made_at_least(next, WITHIN).await.expect("requests are made");
        }
        let record = steady.stop().await.expect("it runs");
        assert!(record.requests.len() > 20, "{}", record.requests.len());
        assert!(record.requests.is_sorted_by(|one, other| one.at <= other.at));
        for request in &record.requests {
            match &request.outcome {
                Ok(cluster) => assert_eq!(cluster, "member-1"),
                Err(_) => assert!(request.at + request.took > failing, "{request:?}"),
            }
        }
        assert!(record.requests.iter().any(|request| request.outcome.is_err()));
        assert_eq!(record.marks.len(), 1);
    }
}
