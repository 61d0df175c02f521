//! A hub by hand: a test decides what each stream gets.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use wire::convert;
use wire::member::member_hub_server::{MemberHub, MemberHubServer};
use wire::member::{self as pb, hub_message, member_message};

use crate::world::{TIME_LIMIT, World};

/// The hub; members find it where [`World`] would serve them.
pub struct Stub {
    streams: mpsc::Receiver<Session>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// One stream of a member.
pub struct Session {
    pub inbound: Streaming<pb::MemberMessage>,
    outbound: mpsc::Sender<Result<pb::HubMessage, Status>>,
}

struct Service(mpsc::Sender<Session>);

#[tonic::async_trait]
impl MemberHub for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbound, answers) = mpsc::channel(64);
        let inbound = request.into_inner();
        let taken = self.0.send(Session { inbound, outbound }).await;
        taken.map_err(|_| Status::unavailable("The test is over."))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl World {
    /// A hub by hand in place of the real half.
    pub fn stub(&self) -> Stub {
        let pem = |file: &str| std::fs::read(self.folder.join(file)).unwrap();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(pem("tls.crt"), pem("tls.key")));
        let (sender, streams) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(MemberHubServer::new(Service(sender)))
            .serve_with_shutdown(
                format!("127.0.0.1:{}", self.port).parse().unwrap(),
                stop.clone().cancelled_owned(),
            );
        let server = tokio::spawn(async move { server.await.unwrap() });
        Stub { streams, stop, server }
    }
}

impl Stub {
    /// The next stream of a member, greeted: it is to report everything, and gets pings so often.
    pub async fn welcome(&mut self, ping_interval: Duration) -> Session {
        let next = tokio::time::timeout(TIME_LIMIT, self.streams.recv()).await;
        let mut session = next.expect("a member connects").unwrap();
        session
            .wait(|body| matches!(body, member_message::Body::Hello(_)).then_some(()))
            .await;
        session
            .say(hub_message::Body::Welcome(pb::Welcome {
                protocol: 1,
                hub_incarnation: "by hand".to_owned(),
                resume: pb::ResumeMode::FullSync.into(),
                window: 16,
                max_message: 1 << 20,
                ping_interval_ms: u64::try_from(ping_interval.as_millis()).unwrap(),
                server_time: Some(convert::time_to_wire(self.now())),
                ..pb::Welcome::default()
            }))
            .await;
        session
    }

    /// The hub's clock, which is not that of its members.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() - SignedDuration::from_hours(3)
    }

    /// Ends the hub; its streams must be dropped before.
    pub async fn end(self) {
        drop(self.streams);
        self.stop.cancel();
        self.server.await.unwrap();
    }
}

impl Session {
    pub async fn say(&self, body: hub_message::Body) {
        self.outbound
            .send(Ok(pb::HubMessage { body: Some(body) }))
            .await
            .unwrap();
    }

    /// Reads up to the first message that the test picks.
    pub async fn wait<T>(&mut self, pick: impl Fn(member_message::Body) -> Option<T>) -> T {
        let read = async {
            loop {
                let message = self.inbound.message().await.unwrap().expect("the stream lasts");
                if let Some(found) = message.body.and_then(&pick) {
                    return found;
                }
            }
        };
        tokio::time::timeout(TIME_LIMIT, read).await.expect("the message comes")
    }

    /// Reads up to the report of an export.
    pub async fn reported(&mut self, name: &str) -> pb::ExportReport {
        self.wait(|body| match body {
            member_message::Body::Export(report) if report.key.as_ref().is_some_and(|key| key.name == name) => {
                Some(report)
            }
            _ => None,
        })
        .await
    }

    /// Judges a report to be without conflict.
    pub async fn accept(&self, number: u64, report: &pb::ExportReport) {
        self.say(hub_message::Body::Verdict(pb::Verdict {
            verdict_seq: number,
            key: report.key.clone(),
            service_uid: report.service.clone().unwrap_or_default().uid,
            conflict: pb::Conflict::NoConflict.into(),
            reason: "NoConflictFound".to_owned(),
            message: "The test accepts it.".to_owned(),
            for_seq: report.seq,
        }))
        .await;
    }
}
