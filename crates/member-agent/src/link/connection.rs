//! Keeps one stream to the hub: connects, greets, and comes back after a break.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Streaming};
use wire::member::member_hub_client::MemberHubClient;
use wire::member::{self as pb, hub_message, member_message};

use super::channel::{Channel, WelcomedBy};
use super::config::Config;
use super::dial::Dial;
use super::ended::Ended;
use super::retry::Retry;
use super::session::{Session, message};
use super::shared::Shared;
use super::topics;

const PROTOCOL: u32 = 1;
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// Messages on their way to the transport.
const OUTBOUND: usize = 64;
/// Ends of one reason in a row are logged once in this time; all of them are counted.
const LOG_PAUSE: Duration = Duration::from_secs(30);

/// What a member keeps between streams.
struct ResumeState {
    instance: String,
    incarnation: String,
    /// Since when the present stream is open.
    opened: Option<Instant>,
    /// The address that the hub's Drain names, for the next try only.
    target: Option<String>,
    /// The reason that was logged last, and when.
    logged: Option<(&'static str, Instant)>,
}

/// Keeps a stream open until `stop`.
pub(super) async fn run<D: Dial>(
    config: Config,
    dial: D,
    shared: Arc<Shared>,
    mut ready: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    match stop.run_until_cancelled(ready.wait_for(|ready| *ready)).await {
        Some(Ok(_)) => {}
        // The exports' side has ended, and with it everything.
        Some(Err(_)) | None => return,
    }
    let mut state = ResumeState {
        instance: uuid::Uuid::new_v4().to_string(),
        incarnation: String::new(),
        opened: None,
        target: None,
        logged: None,
    };
    let mut retry = Retry::new(config.reconnect);
    loop {
        let mut channels = topics::channels(&shared, &config.topics);
        let session = session(&config, &dial, &shared, &mut channels, &mut state);
        let ended = stop.run_until_cancelled(session).await;
        shared.metrics.connected.set(0);
        for channel in &mut channels {
            channel.closed().await;
        }
        let Some(ended) = ended else { return };
        shared.metrics.reconnects.with_label_values(&[ended.reason]).inc();
        let open = state.opened.take().map(|opened| opened.elapsed());
        let wait = retry.after(open, ended.cause);
        state.log(&ended, wait);
        state.target = ended.target;
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

impl ResumeState {
    fn log(&mut self, ended: &Ended, wait: Duration) {
        let again = |(reason, at): (&str, Instant)| reason == ended.reason && at.elapsed() < LOG_PAUSE;
        if self.logged.is_some_and(again) {
            return;
        }
        self.logged = Some((ended.reason, Instant::now()));
        tracing::info!(
            reason = ended.reason,
            text = ended.text,
            ?wait,
            "The session with the hub ended; connecting again. The flag --export-report=objects reports exports without one."
        );
    }
}

async fn session<D: Dial>(
    config: &Config,
    dial: &D,
    shared: &Arc<Shared>,
    channels: &mut [Box<dyn Channel>],
    state: &mut ResumeState,
) -> Ended {
    match open(config, dial, channels, state).await {
        Ok((outbound, inbound, welcome)) => {
            shared.metrics.connected.set(1);
            tracing::info!(address = config.address, "The session with the hub is open.");
            let by = match state.incarnation.as_str() {
                "" => WelcomedBy::First,
                same if same == welcome.hub_incarnation => WelcomedBy::Same,
                _ => WelcomedBy::New(config.spread),
            };
            channels.iter_mut().for_each(|channel| channel.welcomed(&welcome, by));
            state.incarnation.clone_from(&welcome.hub_incarnation);
            state.opened = Some(Instant::now());
            state.logged = None;
            Session::new(channels, &shared.wake, outbound, &welcome)
                .run(inbound)
                .await
        }
        Err(ended) => ended,
    }
}

type Opened = (mpsc::Sender<pb::MemberMessage>, Streaming<pb::HubMessage>, pb::Welcome);

/// Connects and greets.
async fn open<D: Dial>(
    config: &Config,
    dial: &D,
    channels: &[Box<dyn Channel>],
    state: &mut ResumeState,
) -> Result<Opened, Ended> {
    let transport = dial.connect(state.target.take()).await?;
    let (outbound, messages) = mpsc::channel(OUTBOUND);
    let mut hello = pb::Hello {
        protocol: PROTOCOL,
        cluster: config.cluster.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: config.epoch,
        instance: state.instance.clone(),
        hub_incarnation: state.incarnation.clone(),
        features: Some(pb::Features {
            traffic_manager: config.traffic_manager,
            networking: true,
        }),
        ..pb::Hello::default()
    };
    channels.iter().for_each(|channel| channel.greet(&mut hello));
    // The channel is new and empty, so the greeting has room.
    let _ = outbound.try_send(message(member_message::Body::Hello(hello)));
    let mut request = Request::new(ReceiverStream::new(messages));
    if let Some(authorization) = dial.authorization().await? {
        request.metadata_mut().insert("authorization", authorization);
    }
    let welcome = async {
        let answer = MemberHubClient::new(transport).session(request).await;
        let mut inbound = answer.map_err(|status| Ended::by_status(&status))?.into_inner();
        loop {
            return match inbound.message().await {
                // A message of a newer protocol.
                Ok(Some(pb::HubMessage { body: None })) => continue,
                Ok(Some(pb::HubMessage {
                    body: Some(hub_message::Body::Welcome(welcome)),
                })) if (1..=PROTOCOL).contains(&welcome.protocol) => Ok((inbound, welcome)),
                Ok(Some(pb::HubMessage {
                    body: Some(hub_message::Body::Bye(bye)),
                })) => Err(Ended::by_hub(&bye)),
                Ok(None) => Err(Ended::busy("closed", "The hub closed the stream before its welcome.")),
                Ok(other) => Err(Ended::refused(
                    "protocol",
                    format!("The hub answered {other:?} instead of a welcome."),
                )),
                Err(status) => Err(Ended::by_status(&status)),
            };
        }
    };
    match tokio::time::timeout(WELCOME_WITHIN, welcome).await {
        Ok(Ok((inbound, welcome))) => Ok((outbound, inbound, welcome)),
        Ok(Err(ended)) => Err(ended),
        Err(_) => Err(Ended::busy("timeout", "The hub did not answer the greeting in time.")),
    }
}

#[cfg(test)]
mod tests;
