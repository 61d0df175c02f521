//! The gRPC service: accepts a member's stream, or answers why not.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use kit::clock::Clock;
use kit::tls::Info;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use wire::convert::time_to_wire;
use wire::member::member_hub_server::{MemberHub, MemberHubServer};
use wire::member::{self as pb, hub_message, member_message};

use super::auth::{Auth, Caller, Proof, User};
use super::config::{Config, Members, Membership};
use super::identity;
use super::messages::{bye, message, not_a_member, protocol, shutdown, unavailable};
use super::metrics::Metrics;
use super::session::Session;
use super::session::context::{Context, Outbound};
use super::sessions::{SessionSlot, Sessions};
use super::topics::{self, Topics};
use crate::services::Services;

/// The protocol version of this hub.
const PROTOCOL: u32 = 1;
/// A member says who it is within this time.
pub(super) const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Messages that wait for a member that reads slowly; past this its stream stalls and the pings end it.
const OUTBOUND: usize = 64;
/// Messages up to this many times the limit are read, so that they can be refused by name instead of breaking the stream.
const READ_FACTOR: usize = 4;
/// A session is opened anew at least this often, however long its token lives.
const LONGEST_TOKEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Serves sessions.
#[derive(Clone)]
pub(super) struct Server {
    pub auth: Arc<Auth>,
    pub members: Members,
    pub sessions: Arc<Sessions>,
    pub services: Arc<Services>,
    pub topics: Topics,
    pub metrics: Metrics,
    pub clock: Clock,
    pub config: Config,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Server {
    /// The service, with a largest message in bytes.
    pub(super) fn service(self, limit: usize) -> MemberHubServer<Self> {
        MemberHubServer::new(self)
            .max_decoding_message_size(limit.saturating_mul(READ_FACTOR))
            .max_encoding_message_size(limit)
    }

    /// Runs one session to its end.
    async fn run_session(
        self,
        caller: Caller,
        expires: Option<Instant>,
        mut inbound: Streaming<pb::MemberMessage>,
        outbound: Outbound,
    ) {
        let greeted = self
            .stop
            .run_until_cancelled(self.greet(&caller.user, &mut inbound))
            .await;
        let (hello, slot, welcome) = match greeted.unwrap_or_else(|| Err(shutdown())) {
            Ok(greeted) => greeted,
            Err(bye) => {
                self.ended(&bye);
                let _ = outbound.try_send(Ok(message(hub_message::Body::Bye(bye))));
                return;
            }
        };
        let mut channels = topics::exports(&self.services, &self.metrics, &slot.signals.topics, &welcome);
        channels.extend(self.topics.channels(&hello.cluster, slot.returning));
        let welcome = hub_message::Body::Welcome(self.welcome(&hello, welcome));
        if outbound.send(Ok(message(welcome))).await.is_err() {
            return;
        }
        let context = Context {
            cluster: hello.cluster,
            caller: Arc::new(caller),
            auth: Arc::clone(&self.auth),
            sessions: Arc::clone(&self.sessions),
            config: self.config.clone(),
            slot,
            metrics: self.metrics.clone(),
            members: Arc::clone(&self.members),
            clock: self.clock,
            outbound,
            stop: self.stop.clone(),
            drained_at: None,
        };
        if let Some(bye) = Session::new(context, channels, expires).run(inbound).await {
            self.ended(&bye);
        }
    }

    fn ended(&self, bye: &pb::Bye) {
        let reason = bye.reason();
        self.metrics.ended.with_label_values(&[reason.as_str_name()]).inc();
    }

    /// Waits for the first message and checks that this caller may report for that cluster now.
    async fn greet(
        &self,
        user: &User,
        inbound: &mut Streaming<pb::MemberMessage>,
    ) -> Result<(pb::Hello, SessionSlot, pb::Welcome), pb::Bye> {
        let first = tokio::time::timeout(HELLO_WITHIN, inbound.message()).await;
        let Ok(Ok(Some(pb::MemberMessage {
            body: Some(member_message::Body::Hello(hello)),
        }))) = first
        else {
            return Err(protocol("The first message must be Hello, within 10 s."));
        };
        let cluster = &hello.cluster;
        if hello.protocol == 0 || !api::names::dns_subdomain_errors(cluster).is_empty() {
            return Err(protocol("Hello must name a protocol version and a MemberCluster."));
        }
        if (self.members)(cluster) == Membership::None {
            return Err(not_a_member(cluster));
        }
        match self.auth.may_report(user, cluster).await {
            Ok(true) => {}
            Ok(false) => {
                let text = format!("The user {} may not report the exports of {cluster}.", user.username);
                tracing::warn!(
                    user = user.username,
                    cluster,
                    "A session was refused: the user may not report for it."
                );
                return Err(bye(pb::ByeReason::Forbidden, text));
            }
            Err(error) => return Err(unavailable(&error)),
        }
        match self.sessions.enter(&hello, self.clock.now()) {
            Some((slot, welcome)) => Ok((hello, slot, welcome)),
            None => Err(bye(
                pb::ByeReason::Superseded,
                format!("A newer agent of {cluster} has connected."),
            )),
        }
    }

    /// Who calls, by token or client certificate, and until when that holds.
    async fn identify(
        &self,
        request: &Request<Streaming<pb::MemberMessage>>,
    ) -> Result<(Caller, Option<jiff::Timestamp>), Status> {
        let Some(token) = bearer(request.metadata()) else {
            // The handshake has checked the certificate against the authority.
            let connection = request.extensions().get::<Info>();
            let shown = connection.and_then(|connection| connection.certificates.first());
            let named = shown.and_then(|certificate| identity::of_certificate(certificate));
            let (user, until) = named.ok_or_else(|| {
                Status::unauthenticated(
                    "The call carries neither a bearer token in its authorization metadata nor a client certificate.",
                )
            })?;
            let proof = Proof::Certificate;
            return Ok((Caller { proof, user }, Some(until)));
        };
        match self.auth.authenticate(&token).await {
            Ok(Some(user)) => {
                let until = identity::token_expiry(&token);
                let proof = Proof::Token(token);
                Ok((Caller { proof, user }, until))
            }
            Ok(None) => Err(Status::unauthenticated("The hub does not accept the bearer token.")),
            Err(error) => Err(Status::unavailable(format!(
                "The hub cannot check the token now: {error}"
            ))),
        }
    }

    /// Completes a welcome that says how each topic continues.
    fn welcome(&self, hello: &pb::Hello, topics: pb::Welcome) -> pb::Welcome {
        pb::Welcome {
            protocol: hello.protocol.min(PROTOCOL),
            window: self.config.window,
            max_message: self.config.max_message,
            ping_interval_ms: u64::try_from(self.config.ping_interval.as_millis()).unwrap_or(u64::MAX),
            server_time: Some(time_to_wire(self.clock.now())),
            ..topics
        }
    }
}

#[tonic::async_trait]
impl MemberHub for Server {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (caller, until) = self.identify(&request).await?;
        let left = until.map(|at| {
            let left = Duration::try_from(at.duration_since(self.clock.now()));
            left.unwrap_or_default().min(LONGEST_TOKEN)
        });
        // The hub's answer may be a minute old, and an outdated agent must not replace one that is not.
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Status::unauthenticated("The bearer token or certificate has expired."));
        }
        let expires = left.map(|left| Instant::now() + left);
        if let Some(connection) = request.extensions().get::<Info>() {
            connection.usage.mark();
        }
        let (outbound, answers) = mpsc::channel(OUTBOUND);
        let server = self.clone();
        self.tasks
            .spawn(server.run_session(caller, expires, request.into_inner(), outbound));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

fn bearer(metadata: &MetadataMap) -> Option<String> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim().to_owned())
}
