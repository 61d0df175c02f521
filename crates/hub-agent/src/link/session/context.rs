//! What every part of an open session needs: whom it is with, and the way to it.

use std::sync::Arc;
use std::time::Duration;

use kit::clock::Clock;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use wire::member as pb;
use wire::member::hub_message;

use super::super::auth::{Auth, Caller};
use super::super::config::{Config, Members};
use super::super::messages::{message, shutdown, superseded};
use super::super::metrics::Metrics;
use super::super::sessions::{SessionSlot, Sessions};

/// A member that does not read for this long is as good as gone.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// Messages to a member.
pub(in super::super) type Outbound = mpsc::Sender<Result<pb::HubMessage, Status>>;

/// The end of a session, with the message to the member, if one is due.
pub(in super::super) type End = Option<pb::Bye>;

/// One open session.
pub(in super::super) struct Context {
    pub cluster: String,
    pub caller: Arc<Caller>,
    pub auth: Arc<Auth>,
    pub sessions: Arc<Sessions>,
    pub config: Config,
    pub slot: SessionSlot,
    pub metrics: Metrics,
    pub members: Members,
    pub clock: Clock,
    pub outbound: Outbound,
    pub stop: CancellationToken,
    /// Until when the member may settle what is under way, once the hub agent ends.
    pub drained_at: Option<Instant>,
}

impl Context {
    /// Sends a message. What ends the session does not wait for it.
    pub(super) async fn send(&self, body: hub_message::Body) -> Result<(), End> {
        tokio::select! {
            // What can be sent is sent, also when the end has come meanwhile.
            biased;
            sent = tokio::time::timeout(SEND_WITHIN, self.outbound.send(Ok(message(body)))) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(None),
            },
            () = self.slot.signals.superseded.cancelled() => Err(Some(superseded(&self.cluster))),
            () = self.ending() => Err(Some(shutdown())),
        }
    }

    /// Whether the hub agent keeps running: nothing new is begun once it ends.
    pub(super) fn goes_on(&self) -> bool {
        self.drained_at.is_none()
    }

    /// Waits until the hub agent ends, or until the time that it gives its members then is over.
    async fn ending(&self) {
        match self.drained_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => self.stop.cancelled().await,
        }
    }
}
