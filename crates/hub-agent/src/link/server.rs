//! The gRPC service: lets a member in, or tells it why not.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::session::{Admission, Greeting};
use futures::Stream;
use jiff::SignedDuration;
use kit::clock::Clock;
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
use super::identity;
use super::metrics::Metrics;
use super::records::Records;
use super::sessions::{Place, Sessions};
use super::stream::{Conversation, Progress, shutdown};
use super::tls::Incoming;
use super::{Config, Members, Membership};

/// The protocol version that this hub speaks.
const PROTOCOL: u32 = 1;
/// A member says who it is within this time.
pub(super) const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Messages that wait for a member that reads slowly; past this its stream stalls and the pings end it.
const OUTBOUND: usize = 64;
/// A cluster that is no member asks again after this time.
const NOT_A_MEMBER_RETRY: Duration = Duration::from_secs(30);
/// Messages up to this many times the limit are read, so that they can be refused by name instead of breaking the stream.
const READ_FACTOR: usize = 4;
pub(super) const KEEPALIVE: Duration = Duration::from_secs(20);
/// A session is opened anew at least this often, however long its token lives.
const LONGEST_TOKEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Serves sessions.
#[derive(Clone)]
pub(super) struct Server {
    pub auth: Arc<Auth>,
    pub members: Members,
    pub sessions: Arc<Sessions>,
    pub records: Arc<Records>,
    pub metrics: Metrics,
    pub clock: Clock,
    pub config: Config,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

/// Messages to a member.
pub(super) type Outbound = mpsc::Sender<Result<pb::HubMessage, Status>>;

impl Server {
    /// Serves the connections until the token is cancelled.
    pub(super) async fn serve(self, incoming: Incoming) -> Result<(), String> {
        let stop = self.stop.clone();
        let limit = usize::try_from(self.config.max_message).unwrap_or(usize::MAX);
        let service = MemberHubServer::new(self)
            .max_decoding_message_size(limit.saturating_mul(READ_FACTOR))
            .max_encoding_message_size(limit);
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(HELLO_WITHIN))
            .max_concurrent_streams(Some(4))
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await
            .map_err(|err| {
                format!(
                    "The members' sessions are no longer served: {}.",
                    kit::error::chain(&err)
                )
            })
    }

    /// Runs one session to its end.
    async fn converse(
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
        let (hello, place, admission) = match greeted.unwrap_or_else(|| Err(shutdown())) {
            Ok(greeted) => greeted,
            Err(bye) => {
                self.ended(&bye);
                let _ = outbound.try_send(Ok(message(hub_message::Body::Bye(bye))));
                return;
            }
        };
        if outbound.send(Ok(self.welcome(&hello, &admission))).await.is_err() {
            return;
        }
        let next_seq = match admission {
            Admission::Continue { next_seq } => Some(next_seq),
            Admission::FullSync | Admission::Superseded => None,
        };
        let mut conversation = Conversation {
            cluster: hello.cluster,
            caller: Arc::new(caller),
            sessions: Arc::clone(&self.sessions),
            config: self.config.clone(),
            auth: Arc::clone(&self.auth),
            place,
            records: Arc::clone(&self.records),
            metrics: self.metrics.clone(),
            members: Arc::clone(&self.members),
            clock: self.clock,
            confirm_after: SignedDuration::try_from(self.config.confirm_after).unwrap_or(SignedDuration::MAX),
            expires,
            outbound,
            stop: self.stop.clone(),
            progress: Progress::new(next_seq),
        };
        if let Some(bye) = conversation.run(inbound).await {
            self.ended(&bye);
        }
    }

    fn ended(&self, bye: &pb::Bye) {
        let reason = bye.reason();
        self.metrics.ended.with_label_values(&[reason.as_str_name()]).inc();
    }

    /// Waits for the first message and checks that this caller may speak for that cluster now.
    async fn greet(
        &self,
        user: &User,
        inbound: &mut Streaming<pb::MemberMessage>,
    ) -> Result<(pb::Hello, Place, Admission), pb::Bye> {
        let first = tokio::time::timeout(HELLO_WITHIN, inbound.message()).await;
        let Ok(Ok(Some(pb::MemberMessage {
            body: Some(member_message::Body::Hello(hello)),
        }))) = first
        else {
            return Err(bye(
                pb::ByeReason::Protocol,
                "The first message must be Hello, within 10 s.",
            ));
        };
        let cluster = &hello.cluster;
        if hello.protocol == 0 || !api::names::dns_subdomain_errors(cluster).is_empty() {
            return Err(bye(
                pb::ByeReason::Protocol,
                "Hello must name a protocol version and a MemberCluster.",
            ));
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
                    "A session was refused: the user may not speak for it."
                );
                return Err(bye(pb::ByeReason::Forbidden, text));
            }
            Err(error) => return Err(unavailable(&error)),
        }
        let greeting = Greeting {
            epoch: hello.epoch,
            instance: hello.instance.clone(),
            hub_incarnation: hello.hub_incarnation.clone(),
            last_acked: hello.last_acked,
        };
        match self.sessions.enter(cluster, &greeting, self.clock.now()) {
            Some((place, admission)) => Ok((hello, place, admission)),
            None => Err(bye(
                pb::ByeReason::Superseded,
                format!("A newer agent speaks for {cluster}."),
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
            let certificates = request.peer_certs();
            let shown = certificates.as_ref().and_then(|all| all.first());
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

    fn welcome(&self, hello: &pb::Hello, admission: &Admission) -> pb::HubMessage {
        let (resume, next_seq) = match admission {
            Admission::Continue { next_seq } => (pb::ResumeMode::Continue, *next_seq),
            Admission::FullSync | Admission::Superseded => (pb::ResumeMode::FullSync, 0),
        };
        message(hub_message::Body::Welcome(pb::Welcome {
            protocol: hello.protocol.min(PROTOCOL),
            hub_incarnation: self.sessions.incarnation().to_owned(),
            resume: resume.into(),
            next_seq,
            window: self.config.window,
            max_message: self.config.max_message,
            ping_interval_ms: u64::try_from(self.config.ping_interval.as_millis()).unwrap_or(u64::MAX),
            server_time: Some(time_to_wire(self.clock.now())),
        }))
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
        // The hub's answer may be a minute old, and an outdated agent must not take the place of one that is not.
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Status::unauthenticated("The bearer token or certificate has expired."));
        }
        let expires = left.map(|left| Instant::now() + left);
        let (outbound, answers) = mpsc::channel(OUTBOUND);
        let server = self.clone();
        self.tasks
            .spawn(server.converse(caller, expires, request.into_inner(), outbound));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

fn bearer(metadata: &MetadataMap) -> Option<String> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim().to_owned())
}

/// A message around a body.
pub(super) fn message(body: hub_message::Body) -> pb::HubMessage {
    pb::HubMessage { body: Some(body) }
}

/// A farewell with its reason.
pub(super) fn bye(reason: pb::ByeReason, text: impl Into<String>) -> pb::Bye {
    pb::Bye {
        reason: reason.into(),
        message: text.into(),
        retry_after_ms: 0,
    }
}

/// The farewell to a cluster that is no member (any more).
pub(super) fn not_a_member(cluster: &str) -> pb::Bye {
    pb::Bye {
        retry_after_ms: u64::try_from(NOT_A_MEMBER_RETRY.as_millis()).unwrap_or_default(),
        ..bye(
            pb::ByeReason::NotAMember,
            format!("There is no MemberCluster {cluster}."),
        )
    }
}

fn unavailable(error: &kit::Error) -> pb::Bye {
    bye(
        pb::ByeReason::Shutdown,
        format!("The hub cannot check the caller's rights now: {error}"),
    )
}
