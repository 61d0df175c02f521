//! Keeps one stream to the hub: connects, greets, and comes back after a break.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::Resume;
use rand::Rng as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use wire::member::member_hub_client::MemberHubClient;
use wire::member::{self as pb, hub_message, member_message};

use super::talk::{Talk, message, sync_id};
use super::{Config, Identity, Shared};

const PROTOCOL: u32 = 1;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// Messages on their way to the transport.
const OUTBOUND: usize = 64;
/// A stream that lasted this long was healthy: the back-off starts anew.
const HEALTHY: Duration = Duration::from_secs(10);
/// Whatever the hub says, no wait is longer than this.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Members that were all told to come back at the same time do so over the first of these times, and over the second
/// when they were told so again and again.
const SPREAD: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What a member remembers between streams.
struct Memory {
    instance: String,
    incarnation: String,
    /// Since when the present stream is open.
    opened: Option<Instant>,
    /// Where the hub asked to connect to, for the next try only.
    target: Option<String>,
}

/// Why a stream ended.
pub(super) struct Ended {
    reason: &'static str,
    text: String,
    retry_after: Option<Duration>,
    target: Option<String>,
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
        target: None,
    };
    let mut failures = 0;
    loop {
        let ended = stop.run_until_cancelled(session(&config, &shared, &mut memory)).await;
        shared.metrics.connected.set(0);
        let Some(ended) = ended else { return };
        shared.outbox.lock().disconnected();
        shared.metrics.reconnects.with_label_values(&[ended.reason]).inc();
        failures = failures_after(failures, memory.opened.take().map(|opened| opened.elapsed()));
        let wait = wait(config.reconnect, failures, ended.retry_after.unwrap_or_default());
        memory.target = ended.target;
        tracing::info!(
            reason = ended.reason,
            text = ended.text,
            ?wait,
            "The session with the hub ended; connecting again. The flag --export-report=objects reports exports without one."
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

/// The wait before the next try. A hub that names one can be reached, so the wait hardly grows; but it tells many members
/// the same, and each adds a part of its own.
fn wait(bounds: [Duration; 2], failures: u32, least: Duration) -> Duration {
    if least.is_zero() {
        return jittered(bounds, failures);
    }
    let [narrow, wide] = SPREAD;
    let spread = exponential(bounds, failures).clamp(narrow, wide);
    least + spread.mul_f64(rand::rng().random_range(0.0..1.0))
}

/// Full jitter: anything up to the exponential wait, but never at once.
fn jittered(bounds: [Duration; 2], failures: u32) -> Duration {
    exponential(bounds, failures).mul_f64(rand::rng().random_range(0.1..=1.0))
}

fn exponential([first, longest]: [Duration; 2], failures: u32) -> Duration {
    first
        .saturating_mul(1 << u32::saturating_sub(failures, 1).min(10))
        .min(longest)
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
async fn open(config: &Config, shared: &Shared, memory: &mut Memory) -> Result<Opened, Ended> {
    let target = memory.target.take();
    let channel = connect(config, target).await.map_err(|text| failed("connect", text))?;
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
    if let Identity::TokenFile(file) = &config.identity {
        let token = read(file).await.map_err(|text| failed("token", text))?;
        let token = String::from_utf8_lossy(&token);
        let bearer = MetadataValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| failed("token", "The token file holds characters that no token has.".to_owned()))?;
        request.metadata_mut().insert("authorization", bearer);
    }
    let welcome = async {
        let answer = MemberHubClient::new(channel).session(request).await;
        let mut inbound = answer.map_err(refusal)?.into_inner();
        loop {
            return match inbound.message().await {
                // A message of a newer protocol.
                Ok(Some(pb::HubMessage { body: None })) => continue,
                Ok(Some(pb::HubMessage {
                    body: Some(hub_message::Body::Welcome(welcome)),
                })) if (1..=PROTOCOL).contains(&welcome.protocol) => Ok((inbound, welcome)),
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
                Err(status) => Err(refusal(status)),
            };
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

fn refusal(status: Status) -> Ended {
    let reason = match status.code() {
        Code::Unauthenticated => "unauthenticated",
        _ => "refused",
    };
    failed(reason, status.message().to_owned())
}

async fn read(file: &Path) -> Result<Vec<u8>, String> {
    let read = tokio::fs::read(file).await;
    read.map_err(|err| format!("The file {} cannot be read: {err}.", file.display()))
}

/// Connects to the configured address, or to the one that the hub asked for; either way the certificate is checked for
/// the same name.
async fn connect(config: &Config, target: Option<String>) -> Result<Channel, String> {
    // Any other scheme would be spoken in plain text, with the token in it.
    if !is_https(&config.address) {
        return Err(format!(
            "The address {} cannot be used: sessions are always encrypted, so it must begin with https://.",
            config.address
        ));
    }
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&config.ca_file).await?));
    let name = config.server_name.clone().or_else(|| host(&config.address));
    if let Some(name) = name {
        tls = tls.domain_name(name);
    }
    if let Identity::Certificate { cert, key } = &config.identity {
        tls = tls.identity(transport::Identity::from_pem(read(cert).await?, read(key).await?));
    }
    let address = target
        .and_then(|target| encrypted(&target))
        .unwrap_or_else(|| config.address.clone());
    let endpoint = Endpoint::from_shared(address)
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

/// The host of a URL.
fn host(address: &str) -> Option<String> {
    let uri: http::Uri = address.parse().ok()?;
    uri.host().map(|host| host.trim_matches(['[', ']']).to_owned())
}

/// An address that the hub names, as a URL; none when it would not be encrypted.
fn encrypted(target: &str) -> Option<String> {
    let url = if target.contains("://") {
        target.to_owned()
    } else {
        format!("https://{target}")
    };
    (!target.is_empty() && is_https(&url)).then_some(url)
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

pub(super) fn farewell(bye: &pb::Bye) -> Ended {
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
        target: None,
    }
}

pub(super) fn failed(reason: &'static str, text: String) -> Ended {
    Ended {
        reason,
        text,
        retry_after: None,
        target: None,
    }
}

/// The end of a stream that the hub asked for.
pub(super) fn drained(target: String) -> Ended {
    Ended {
        target: (!target.is_empty()).then_some(target),
        ..failed("drain", "The hub asked to connect elsewhere.".to_owned())
    }
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
    fn members_that_are_told_the_same_wait_do_not_come_back_together() {
        let bounds = [Duration::from_millis(500), Duration::from_secs(30)];
        let second = Duration::from_secs(1);
        let waits: Vec<Duration> = (0..50).map(|_| wait(bounds, 1, second)).collect();
        assert!(
            waits.iter().all(|wait| (second..second * 2).contains(wait)),
            "{waits:?}"
        );
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*most - *least > second / 4, "{waits:?}");
        let half_a_minute = wait(bounds, 1, second * 30);
        assert!(
            (second * 30..=second * 31).contains(&half_a_minute),
            "{half_a_minute:?}"
        );
        assert!(wait(bounds, 1, Duration::ZERO) <= second / 2);
        // Who is told again and again that another replica leads comes soon after one does.
        let late: Vec<Duration> = (0..50).map(|_| wait(bounds, 20, second)).collect();
        assert!(late.iter().all(|wait| (second..second * 5).contains(wait)), "{late:?}");
    }

    #[test]
    fn a_target_is_used_only_when_it_is_encrypted() {
        assert_eq!(encrypted("hub-2:9444").as_deref(), Some("https://hub-2:9444"));
        assert_eq!(encrypted("https://hub-2:9444").as_deref(), Some("https://hub-2:9444"));
        assert_eq!(encrypted("http://hub-2:9444"), None);
        assert_eq!(encrypted(""), None);
        assert_eq!(host("https://hub:9444").as_deref(), Some("hub"));
        assert_eq!(host("https://[::1]:9444").as_deref(), Some("::1"));
    }

    #[test]
    fn only_encrypted_addresses_are_used() {
        assert!(is_https("https://hub:9444") && is_https("HTTPS://hub"));
        assert!(!is_https("http://hub:9444") && !is_https("hub:9444") && !is_https(""));
    }
}
