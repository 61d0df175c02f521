//! Keeps one stream to the hub: greets, sends what the outbox holds, takes in answers, and comes back after a break.

use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::{Outgoing, Resume};
use fairway_core::link::{ExportKey, NackCode};
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
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Messages on their way to the transport.
const OUTBOUND: usize = 64;
/// First and longest wait before a reconnect; a random part of it is taken (networking 16.6).
const BACKOFF: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// Members spread their full syncs over this time when the hub has a new leader.
const SPREAD: Duration = Duration::from_secs(10);
/// Silence of this many ping intervals ends a stream.
const MISSED_PINGS: u32 = 3;

/// What a member remembers between streams.
struct Memory {
    instance: String,
    incarnation: String,
}

/// Why a stream ended.
struct Ended {
    reason: &'static str,
    text: String,
    retry_after: Option<Duration>,
    /// The stream was healthy: the back-off starts anew.
    opened: bool,
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
    };
    let mut failures = 0;
    loop {
        let Some(ended) = stop.run_until_cancelled(session(&config, &shared, &mut memory)).await else {
            return;
        };
        shared.metrics.connected.set(0);
        shared.outbox.lock().disconnected();
        shared.metrics.reconnects.with_label_values(&[ended.reason]).inc();
        failures = if ended.opened { 1 } else { failures + 1 };
        let wait = ended.retry_after.unwrap_or_default().max(jittered(failures));
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

/// Full jitter: anything up to the exponential wait, but never at once.
fn jittered(failures: u32) -> Duration {
    let [first, longest] = BACKOFF;
    let full = first
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(longest);
    full.mul_f64(rand::rng().random_range(0.1..=1.0))
}

async fn session(config: &Config, shared: &Shared, memory: &mut Memory) -> Ended {
    match open(config, shared, memory).await {
        Ok((outbound, inbound, welcome)) => {
            shared.metrics.connected.set(1);
            tracing::info!(address = config.address, "The session with the hub is open.");
            let mut ended = converse(shared, memory, &outbound, inbound, welcome).await;
            ended.opened = true;
            ended
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

/// Runs an open stream to its end.
async fn converse(
    shared: &Shared,
    memory: &mut Memory,
    outbound: &mpsc::Sender<pb::MemberMessage>,
    mut inbound: Streaming<pb::HubMessage>,
    welcome: pb::Welcome,
) -> Ended {
    let resume = match welcome.resume() {
        pb::ResumeMode::Continue => Resume::Continue {
            next_seq: welcome.next_seq,
        },
        pb::ResumeMode::FullSync | pb::ResumeMode::Unspecified => Resume::FullSync { sync_id: sync_id() },
    };
    if !memory.incarnation.is_empty() && memory.incarnation != welcome.hub_incarnation {
        let wait = SPREAD.mul_f64(rand::rng().random_range(0.0..1.0));
        tokio::time::sleep(wait).await;
    }
    memory.incarnation.clone_from(&welcome.hub_incarnation);
    shared
        .outbox
        .lock()
        .connected(resume, usize::try_from(welcome.window).unwrap_or(1));
    let silence = Duration::from_millis(welcome.ping_interval_ms.max(100)).saturating_mul(MISSED_PINGS + 1);
    let mut heard = Instant::now();
    let mut release: Option<Instant> = None;
    loop {
        if let Err(ended) = flush(shared, outbound).await {
            return ended;
        }
        tokio::select! {
            received = inbound.message() => match received {
                Ok(Some(pb::HubMessage { body })) => {
                    heard = Instant::now();
                    match body.map(|body| take(shared, body)) {
                        Some(Taken::Ended(ended)) => return ended,
                        Some(Taken::Answer(answer)) => if let Err(ended) = send(outbound, answer).await { return ended },
                        Some(Taken::RetryAfter(wait)) => release = Some(Instant::now() + wait),
                        Some(Taken::Nothing) | None => {}
                    }
                }
                Ok(None) => return failed("closed", "The hub closed the stream.".to_owned()),
                Err(status) => return failed("broken", status.message().to_owned()),
            },
            () = shared.wake.notified() => {}
            () = tokio::time::sleep_until(heard + silence) => {
                return failed("silent", "The hub was silent for too long.".to_owned());
            }
            () = tokio::time::sleep_until(release.unwrap_or(heard)), if release.is_some() => {
                release = None;
                shared.outbox.lock().release();
            }
        }
    }
}

/// Sends everything that may be sent now.
async fn flush(shared: &Shared, outbound: &mpsc::Sender<pb::MemberMessage>) -> Result<(), Ended> {
    loop {
        // The lock is given back before the message waits for room.
        let next = shared.outbox.lock().pop();
        let Some(next) = next else { break };
        let next = match next {
            Outgoing::SyncBegin { sync_id } => message(member_message::Body::SyncBegin(pb::SyncBegin { sync_id })),
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change,
            } => convert::change_to_wire(seq, sync_id, &key, &change),
            Outgoing::SyncEnd { sync_id, count, digest } => message(member_message::Body::SyncEnd(pb::SyncEnd {
                sync_id,
                count,
                digest: digest.to_vec(),
            })),
        };
        send(outbound, next).await?;
    }
    let shown = std::mem::take(&mut *shared.shown.lock());
    for (key, verdict_seq) in shown {
        let ack = pb::VerdictAck {
            key: Some((&key).into()),
            verdict_seq,
        };
        send(outbound, message(member_message::Body::VerdictAck(ack))).await?;
    }
    let open = shared.outbox.lock().unacknowledged();
    shared
        .metrics
        .unacknowledged
        .set(i64::try_from(open).unwrap_or(i64::MAX));
    Ok(())
}

async fn send(outbound: &mpsc::Sender<pb::MemberMessage>, message: pb::MemberMessage) -> Result<(), Ended> {
    match tokio::time::timeout(SEND_WITHIN, outbound.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(failed("closed", "The stream to the hub is closed.".to_owned())),
        Err(_) => Err(failed("stalled", "The hub does not read what is sent.".to_owned())),
    }
}

/// What came of a message.
enum Taken {
    Nothing,
    Answer(pb::MemberMessage),
    RetryAfter(Duration),
    Ended(Ended),
}

fn take(shared: &Shared, body: hub_message::Body) -> Taken {
    use hub_message::Body;
    match body {
        Body::Ack(ack) => {
            let withdrawn = shared.outbox.lock().ack(ack.seq);
            shared.withdrawn.lock().extend(withdrawn.iter().cloned());
            withdrawn.into_iter().for_each(|key| (shared.revisit)(key));
            Taken::Nothing
        }
        Body::Nack(nack) => refused(shared, &nack),
        Body::Verdict(verdict) => {
            if let Ok((seq, key, verdict)) = convert::verdict(verdict) {
                tell(shared, key, News::Verdict(seq, verdict));
            }
            Taken::Nothing
        }
        Body::Resync(resync) => {
            tracing::info!(reason = resync.reason, "The hub asks for a full sync.");
            shared.outbox.lock().start_sync(sync_id());
            Taken::Nothing
        }
        Body::Ping(ping) => Taken::Answer(message(member_message::Body::Pong(pb::Pong { nonce: ping.nonce }))),
        Body::Drain(_) => Taken::Ended(failed("drain", "The hub asks to connect elsewhere.".to_owned())),
        Body::Bye(bye) => Taken::Ended(farewell(&bye)),
        Body::Welcome(_) => Taken::Ended(failed("protocol", "The hub welcomed twice.".to_owned())),
    }
}

fn refused(shared: &Shared, nack: &pb::Nack) -> Taken {
    let code = convert::nack_code(nack.code());
    let retry = shared.outbox.lock().nack(nack.seq, code);
    if retry {
        return Taken::RetryAfter(Duration::from_millis(nack.retry_after_ms.max(100)));
    }
    if code != NackCode::Unavailable
        && let Ok(key) = convert::key(nack.key.clone())
    {
        tracing::warn!(export = %key, code = code.as_str(), message = nack.message, "The hub refused an export.");
        tell(
            shared,
            key,
            News::Refused(format!(
                "The hub refused the export ({}): {}",
                code.as_str(),
                nack.message
            )),
        );
    }
    Taken::Nothing
}

fn tell(shared: &Shared, key: ExportKey, news: News) {
    shared.news.lock().insert(key.clone(), news);
    (shared.revisit)(key);
}

fn farewell(bye: &pb::Bye) -> Ended {
    let retry_after = (bye.retry_after_ms > 0).then(|| Duration::from_millis(bye.retry_after_ms));
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
        opened: false,
    }
}

fn failed(reason: &'static str, text: String) -> Ended {
    Ended {
        reason,
        text,
        retry_after: None,
        opened: false,
    }
}

fn message(body: member_message::Body) -> pb::MemberMessage {
    pb::MemberMessage { body: Some(body) }
}

fn sync_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
