//! Keeps one stream to the hub: greets, sends what the outbox holds, takes in answers, and comes back after a break.

use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::{Outgoing, Refused, Resume};
use fairway_core::link::{ExportKey, Verdict};
use kit::backoff::Backoff;
use rand::Rng as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Streaming};
use wire::convert;
use wire::member::member_hub_client::MemberHubClient;
use wire::member::{self as pb, hub_message, member_message};

use super::{Config, News, Shared};

const PROTOCOL: u32 = 1;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// Messages on their way to the transport.
const OUTBOUND: usize = 64;
/// Silence of this many ping intervals ends a stream.
const MISSED_PINGS: u32 = 3;
/// A stream that lasted this long was healthy: the back-off starts anew.
const HEALTHY: Duration = Duration::from_secs(10);
/// Whatever the hub says, no wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Waits after the hub could not write a change; the hub names the shortest.
const UNAVAILABLE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));

/// What a member remembers between streams.
struct Memory {
    instance: String,
    incarnation: String,
    /// Since when the present stream is open.
    opened: Option<Instant>,
}

/// Why a stream ended.
struct Ended {
    reason: &'static str,
    text: String,
    retry_after: Option<Duration>,
}

/// Keeps a stream open until `stop`.
pub(super) async fn run(
    config: Config,
    shared: Arc<Shared>,
    mut ready: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    match stop.run_until_cancelled(ready.wait_for(|ready| *ready)).await {
        Some(Ok(_)) => {}
        // The exports' side has ended, and with it everything.
        Some(Err(_)) | None => return,
    }
    let mut memory = Memory {
        instance: uuid::Uuid::new_v4().to_string(),
        incarnation: String::new(),
        opened: None,
    };
    let mut failures = 0;
    loop {
        let ended = stop.run_until_cancelled(session(&config, &shared, &mut memory)).await;
        shared.metrics.connected.set(0);
        let Some(ended) = ended else { return };
        shared.outbox.lock().disconnected();
        shared.metrics.reconnects.with_label_values(&[ended.reason]).inc();
        failures = failures_after(failures, memory.opened.take().map(|opened| opened.elapsed()));
        let wait = jittered(config.reconnect, failures).max(ended.retry_after.unwrap_or_default());
        tracing::info!(
            reason = ended.reason,
            text = ended.text,
            ?wait,
            "The session with the hub ended; connecting again."
        );
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Failures in a row after a try whose stream was open for so long. However long a try took, only an open stream says
/// that the hub can be reached.
fn failures_after(failures: u32, open: Option<Duration>) -> u32 {
    if open.is_some_and(|open| open >= HEALTHY) {
        1
    } else {
        failures.saturating_add(1)
    }
}

/// Full jitter: anything up to the exponential wait, but never at once.
fn jittered([first, longest]: [Duration; 2], failures: u32) -> Duration {
    let full = first
        .saturating_mul(1 << u32::saturating_sub(failures, 1).min(10))
        .min(longest);
    full.mul_f64(rand::rng().random_range(0.1..=1.0))
}

async fn session(config: &Config, shared: &Shared, memory: &mut Memory) -> Ended {
    match open(config, shared, memory).await {
        Ok((outbound, inbound, welcome)) => {
            shared.metrics.connected.set(1);
            tracing::info!(address = config.address, "The session with the hub is open.");
            let resume = resume(config, memory, &welcome);
            memory.incarnation.clone_from(&welcome.hub_incarnation);
            memory.opened = Some(Instant::now());
            Talk::new(shared, outbound, resume, &welcome).run(inbound).await
        }
        Err(ended) => ended,
    }
}

type Opened = (mpsc::Sender<pb::MemberMessage>, Streaming<pb::HubMessage>, pb::Welcome);

/// Connects and greets.
async fn open(config: &Config, shared: &Shared, memory: &Memory) -> Result<Opened, Ended> {
    let channel = connect(config).await.map_err(|text| failed("connect", text))?;
    let token = tokio::fs::read_to_string(&config.token_file).await;
    let token = token.map_err(|err| {
        failed(
            "token",
            format!("The token file {} cannot be read: {err}", config.token_file.display()),
        )
    })?;
    let (outbound, messages) = mpsc::channel(OUTBOUND);
    let hello = pb::Hello {
        protocol: PROTOCOL,
        cluster: config.cluster.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: config.epoch,
        instance: memory.instance.clone(),
        hub_incarnation: memory.incarnation.clone(),
        last_acked: shared.outbox.lock().last_acked(),
        features: Some(pb::Features {
            traffic_manager: false,
            networking: true,
        }),
    };
    // The channel is new and empty, so the greeting has room.
    let _ = outbound.try_send(message(member_message::Body::Hello(hello)));
    let mut request = Request::new(ReceiverStream::new(messages));
    let bearer = MetadataValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| failed("token", "The token file holds characters that no token has.".to_owned()))?;
    request.metadata_mut().insert("authorization", bearer);
    let welcome = async {
        let answer = MemberHubClient::new(channel).session(request).await;
        let mut inbound = answer
            .map_err(|status| failed("refused", status.message().to_owned()))?
            .into_inner();
        match inbound.message().await {
            Ok(Some(pb::HubMessage {
                body: Some(hub_message::Body::Welcome(welcome)),
            })) => Ok((inbound, welcome)),
            Ok(Some(pb::HubMessage {
                body: Some(hub_message::Body::Bye(bye)),
            })) => Err(farewell(&bye)),
            Ok(None) => Err(failed(
                "closed",
                "The hub closed the stream before its welcome.".to_owned(),
            )),
            Ok(other) => Err(failed(
                "protocol",
                format!("The hub answered {other:?} instead of a welcome."),
            )),
            Err(status) => Err(failed("refused", status.message().to_owned())),
        }
    };
    match tokio::time::timeout(WELCOME_WITHIN, welcome).await {
        Ok(Ok((inbound, welcome))) => Ok((outbound, inbound, welcome)),
        Ok(Err(ended)) => Err(ended),
        Err(_) => Err(failed(
            "timeout",
            "The hub did not answer the greeting in time.".to_owned(),
        )),
    }
}

async fn connect(config: &Config) -> Result<Channel, String> {
    // Any other scheme would be spoken in plain text, with the token in it.
    if !is_https(&config.address) {
        return Err(format!(
            "The address {} cannot be used: sessions are always encrypted, so it must begin with https://.",
            config.address
        ));
    }
    let ca = tokio::fs::read(&config.ca_file)
        .await
        .map_err(|err| format!("The file {} cannot be read: {err}.", config.ca_file.display()))?;
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let Some(name) = &config.server_name {
        tls = tls.domain_name(name);
    }
    let endpoint = Endpoint::from_shared(config.address.clone())
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|err| {
            format!(
                "The address {} cannot be used: {}.",
                config.address,
                kit::error::chain(&err)
            )
        })?;
    endpoint
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|err| {
            format!(
                "The hub at {} cannot be reached: {}.",
                config.address,
                kit::error::chain(&err)
            )
        })
}

/// Whether an address is a URL whose scheme is encrypted.
pub(crate) fn is_https(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// How the session continues, and when its first report may go out.
fn resume(config: &Config, memory: &Memory, welcome: &pb::Welcome) -> (Instant, Resume) {
    let resume = match welcome.resume() {
        pb::ResumeMode::Continue => Resume::Continue {
            next_seq: welcome.next_seq,
        },
        pb::ResumeMode::FullSync | pb::ResumeMode::Unspecified => Resume::FullSync { sync_id: sync_id() },
    };
    let new_leader = !memory.incarnation.is_empty() && memory.incarnation != welcome.hub_incarnation;
    let wait = if new_leader {
        config.spread.mul_f64(rand::rng().random_range(0.0..1.0))
    } else {
        Duration::ZERO
    };
    (Instant::now() + wait, resume)
}

/// An open stream.
///
/// It never waits for room to send without reading meanwhile: two sides that both only sent would wait for each other.
struct Talk<'a> {
    shared: &'a Shared,
    outbound: mpsc::Sender<pb::MemberMessage>,
    /// The message that goes out next.
    next: Option<pb::MemberMessage>,
    /// When and how reports begin to flow.
    begin: Option<(Instant, Resume)>,
    window: usize,
    /// The newest ping to answer.
    ping: Option<u64>,
    heard: Instant,
    silence: Duration,
    /// When what the hub could not write is sent again.
    release: Option<Instant>,
    unavailable: u32,
}

impl<'a> Talk<'a> {
    fn new(
        shared: &'a Shared,
        outbound: mpsc::Sender<pb::MemberMessage>,
        begin: (Instant, Resume),
        welcome: &pb::Welcome,
    ) -> Self {
        let interval = Duration::from_millis(welcome.ping_interval_ms.max(100)).min(LONGEST_WAIT);
        Self {
            shared,
            outbound,
            next: None,
            begin: Some(begin),
            window: usize::try_from(welcome.window).unwrap_or(1),
            ping: None,
            heard: Instant::now(),
            silence: interval * (MISSED_PINGS + 1),
            release: None,
            unavailable: 0,
        }
    }

    /// Runs the stream to its end.
    async fn run(mut self, mut inbound: Streaming<pb::HubMessage>) -> Ended {
        // A sender of its own, so that waiting for room borrows nothing of the rest.
        let outbound = self.outbound.clone();
        loop {
            if self.next.is_none() {
                self.next = self.due();
            }
            tokio::select! {
                room = outbound.reserve(), if self.next.is_some() => match (room, self.next.take()) {
                    (Ok(room), Some(message)) => room.send(message),
                    (Ok(_), None) => {}
                    (Err(_), _) => return failed("closed", "The stream to the hub is closed.".to_owned()),
                },
                received = inbound.message() => match received {
                    Ok(Some(pb::HubMessage { body })) => {
                        self.heard = Instant::now();
                        if let Some(ended) = body.and_then(|body| self.take(body)) {
                            return ended;
                        }
                    }
                    Ok(None) => return failed("closed", "The hub closed the stream.".to_owned()),
                    Err(status) => return failed("broken", status.message().to_owned()),
                },
                () = self.shared.wake.notified(), if self.next.is_none() => {}
                () = tokio::time::sleep_until(self.heard + self.silence) => {
                    return failed("silent", "The hub was silent for too long.".to_owned());
                }
                () = until(self.release) => {
                    self.release = None;
                    self.shared.outbox.lock().release();
                }
                () = until(self.begin.as_ref().map(|(at, _)| *at)) => {
                    if let Some((_, resume)) = self.begin.take() {
                        let withdrawn = self.shared.outbox.lock().connected(resume, self.window);
                        self.revisit(withdrawn);
                    }
                }
            }
        }
    }

    /// The next message that may be sent now.
    fn due(&mut self) -> Option<pb::MemberMessage> {
        if let Some(nonce) = self.ping.take() {
            return Some(message(member_message::Body::Pong(pb::Pong { nonce })));
        }
        if let Some((key, verdict_seq)) = self.shared.shown.lock().pop_first() {
            let key = Some((&key).into());
            return Some(message(member_message::Body::VerdictAck(pb::VerdictAck {
                key,
                verdict_seq,
            })));
        }
        let mut outbox = self.shared.outbox.lock();
        let next = outbox.pop();
        let open = i64::try_from(outbox.unacknowledged()).unwrap_or(i64::MAX);
        self.shared.metrics.unacknowledged.set(open);
        Some(match next? {
            Outgoing::SyncBegin { sync_id } => message(member_message::Body::SyncBegin(pb::SyncBegin { sync_id })),
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change,
            } => {
                // The hub answers anew, so an earlier refusal does not stand any more.
                let mut news = self.shared.news.lock();
                if matches!(news.get(&key), Some(News::Refused(_))) {
                    news.remove(&key);
                }
                convert::change_to_wire(seq, sync_id, &key, &change)
            }
            Outgoing::SyncEnd {
                sync_id,
                count,
                digest,
                kept,
            } => message(member_message::Body::SyncEnd(pb::SyncEnd {
                sync_id,
                count,
                digest: digest.to_vec(),
                kept: kept.iter().map(Into::into).collect(),
            })),
        })
    }

    /// Takes one message in. Returns the end when it is one.
    fn take(&mut self, body: hub_message::Body) -> Option<Ended> {
        use hub_message::Body;
        match body {
            Body::Ack(ack) => {
                // An acknowledgement follows each refusal as well; what waits to be sent again shows that there was one.
                if self.release.is_none() {
                    self.unavailable = 0;
                }
                let withdrawn = self.shared.outbox.lock().ack(ack.seq);
                self.shared.answered();
                self.revisit(withdrawn);
            }
            Body::Nack(nack) => self.refused(&nack),
            Body::Verdict(verdict) => {
                if let Ok((seq, key, verdict)) = convert::verdict(verdict) {
                    self.judged(key, seq, verdict);
                }
            }
            Body::Resync(resync) => {
                tracing::info!(reason = resync.reason, "The hub asks for a full sync.");
                let mut outbox = self.shared.outbox.lock();
                // Before reports flow, the sync that is asked for is yet to come; otherwise it starts now.
                match &mut self.begin {
                    Some((_, resume)) => *resume = Resume::FullSync { sync_id: sync_id() },
                    None => outbox.start_sync(sync_id()),
                }
            }
            Body::Ping(ping) => self.ping = Some(ping.nonce),
            Body::Drain(_) => return Some(failed("drain", "The hub asks to connect elsewhere.".to_owned())),
            Body::Bye(bye) => return Some(farewell(&bye)),
            Body::Welcome(_) => return Some(failed("protocol", "The hub welcomed twice.".to_owned())),
        }
        None
    }

    /// Shows a verdict. While the newest report of the export stands refused, the hub judges what it recorded before,
    /// and that must not hide the refusal.
    fn judged(&self, key: ExportKey, seq: u64, verdict: Verdict) {
        let stands_refused = matches!(self.shared.news.lock().get(&key), Some(News::Refused(_)));
        if !stands_refused {
            let told = false;
            tell(self.shared, key, News::Verdict { seq, verdict, told });
        }
    }

    fn refused(&mut self, nack: &pb::Nack) {
        let code = convert::nack_code(nack.code());
        let refused = self.shared.outbox.lock().nack(nack.seq, code);
        self.shared.answered();
        match refused {
            Refused::Outdated => {}
            Refused::Held => {
                // What is refused while others wait goes out with them.
                if self.release.is_none() {
                    self.unavailable = self.unavailable.saturating_add(1);
                }
                let least = Duration::from_millis(nack.retry_after_ms).min(LONGEST_WAIT);
                let wait = UNAVAILABLE.delay(self.unavailable).max(least);
                self.release.get_or_insert(Instant::now() + wait);
            }
            Refused::Final => {
                let Ok(key) = convert::key(nack.key.clone()) else {
                    return;
                };
                let (code, text) = (code.as_str(), &nack.message);
                self.shared.metrics.refused.with_label_values(&[code]).inc();
                tracing::warn!(export = %key, code, message = text, "The hub refused an export.");
                tell(
                    self.shared,
                    key,
                    News::Refused(format!("The hub refused the export ({code}): {text}")),
                );
            }
        }
    }

    fn revisit(&self, keys: Vec<ExportKey>) {
        keys.into_iter().for_each(|key| (self.shared.revisit)(key));
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn tell(shared: &Shared, key: ExportKey, news: News) {
    shared.news.lock().insert(key.clone(), news);
    (shared.revisit)(key);
}

fn farewell(bye: &pb::Bye) -> Ended {
    let retry_after = Some(Duration::from_millis(bye.retry_after_ms).min(LONGEST_WAIT));
    let reason = match bye.reason() {
        pb::ByeReason::Superseded => "superseded",
        pb::ByeReason::Unauthenticated => "unauthenticated",
        pb::ByeReason::Forbidden => "forbidden",
        pb::ByeReason::NotAMember => "not_a_member",
        pb::ByeReason::NotLeader => "not_leader",
        pb::ByeReason::Protocol => "protocol",
        pb::ByeReason::Shutdown => "shutdown",
        pb::ByeReason::Unspecified => "unspecified",
    };
    Ended {
        reason,
        text: bye.message.clone(),
        retry_after,
    }
}

fn failed(reason: &'static str, text: String) -> Ended {
    Ended {
        reason,
        text,
        retry_after: None,
    }
}

fn message(body: member_message::Body) -> pb::MemberMessage {
    pb::MemberMessage { body: Some(body) }
}

fn sync_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_that_was_open_for_a_while_resets_the_back_off() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(
            failures_after(5, None),
            6,
            "a hub that does not answer is asked ever less often"
        );
        assert_eq!(failures_after(5, seconds(9)), 6);
        assert_eq!(failures_after(5, seconds(10)), 1);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_take_a_random_part() {
        let bounds = [Duration::from_millis(500), Duration::from_secs(30)];
        for (failures, most) in [(1, 500), (2, 1000), (5, 8000), (7, 30_000), (4_000_000, 30_000)] {
            let most = Duration::from_millis(most);
            for _ in 0..50 {
                let wait = jittered(bounds, failures);
                assert!(wait <= most && wait >= most / 10, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn only_encrypted_addresses_are_used() {
        assert!(is_https("https://hub:9444") && is_https("HTTPS://hub"));
        assert!(!is_https("http://hub:9444") && !is_https("hub:9444") && !is_https(""));
    }
}
