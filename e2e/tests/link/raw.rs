//! A scripted member: the protocol by hand, so that a test decides what is sent and when the stream breaks.

use std::collections::BTreeSet;
use std::time::Duration;

use fairway_core::link::NackCode;
use fairway_core::link::outbox::{Outbox, Outgoing, Resume};
use fairway_core::services::{
    ExportChange, ExportKey, ExportReport, Exports, PublicIp, ServicePort, ServiceRef, TargetPort, WithdrawReason,
    Withdrawal,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};
use wire::convert;
use wire::member::member_hub_client::MemberHubClient;
use wire::member::{self as pb, hub_message, member_message};
use wire::topic::MemberTopic;

use crate::world::World;

/// How long the hub may take to answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A member by hand.
pub struct Raw {
    pub hello: pb::Hello,
    pub token: Option<String>,
    pub outbox: Outbox<Exports>,
    pub stream: Option<Stream>,
    channel: Channel,
    syncs: u32,
}

/// An open stream.
pub struct Stream {
    pub outbound: mpsc::Sender<pb::MemberMessage>,
    pub inbound: Streaming<pb::HubMessage>,
}

/// How the hub answers a greeting.
#[derive(Debug)]
pub enum Answer {
    Welcome(pb::Welcome),
    Bye(pb::Bye),
    Status(Status),
}

pub fn key(namespace: &str, name: &str) -> ExportKey {
    ExportKey {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

pub fn report(name: &str, port: i32) -> ExportReport {
    ExportReport {
        service: ServiceRef {
            uid: format!("uid-{name}"),
            resource_version: port.to_string(),
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
        },
        exported_since: jiff::Timestamp::from_second(1_700_000_000).ok(),
        ports: vec![ServicePort {
            name: String::new(),
            protocol: "TCP".to_owned(),
            app_protocol: None,
            port,
            target_port: Some(TargetPort::Number(8080)),
        }],
        service_type: "ClusterIP".to_owned(),
        weight: None,
        internal_load_balancer: false,
        public_ip: PublicIp::default(),
        is_ready: None,
        endpoint: fairway_core::services::EndpointSettings::default(),
    }
}

pub fn withdrawal() -> Withdrawal {
    Withdrawal {
        service_uid: String::new(),
        reason: WithdrawReason::ExportDeleted,
    }
}

impl World {
    /// A joined member by hand, with an open session.
    pub async fn raw(&self, name: &str) -> Raw {
        self.join(name).await;
        let token = self.token(name).await;
        let mut raw = self.caller(name, Some(token)).await;
        raw.open().await;
        raw
    }

    /// A caller that names a cluster and shows a token, not connected yet.
    pub async fn caller(&self, cluster: &str, token: Option<String>) -> Raw {
        let ca = Certificate::from_pem(std::fs::read(self.folder.join("ca.crt")).unwrap());
        let tls = ClientTlsConfig::new().ca_certificate(ca);
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{}", self.port)).unwrap();
        Raw {
            hello: pb::Hello {
                protocol: 1,
                cluster: cluster.to_owned(),
                instance: "raw".to_owned(),
                ..pb::Hello::default()
            },
            token,
            outbox: Outbox::new(),
            stream: None,
            channel: endpoint.tls_config(tls).unwrap().connect_lazy(),
            syncs: 0,
        }
    }
}

impl Raw {
    /// Connects and greets; the answer may be anything. The hub may still be on its way up.
    pub async fn greet(&mut self) -> Answer {
        self.hello.last_acked = self.outbox.last_acked();
        let hello = member_message::Body::Hello(self.hello.clone());
        loop {
            let (outbound, messages) = mpsc::channel(1024);
            outbound
                .send(pb::MemberMessage {
                    body: Some(hello.clone()),
                })
                .await
                .unwrap();
            let mut request = Request::new(ReceiverStream::new(messages));
            if let Some(token) = &self.token {
                let bearer = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
                request.metadata_mut().insert("authorization", bearer);
            }
            let mut inbound = match MemberHubClient::new(self.channel.clone()).session(request).await {
                Ok(answer) => answer.into_inner(),
                Err(status) if status.code() == tonic::Code::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Err(status) => return Answer::Status(status),
            };
            return match tokio::time::timeout(TIME_LIMIT, inbound.message()).await.unwrap() {
                Ok(Some(pb::HubMessage {
                    body: Some(hub_message::Body::Welcome(welcome)),
                })) => {
                    self.hello.hub_incarnation.clone_from(&welcome.hub_incarnation);
                    self.stream = Some(Stream { outbound, inbound });
                    Answer::Welcome(welcome)
                }
                Ok(Some(pb::HubMessage {
                    body: Some(hub_message::Body::Bye(bye)),
                })) => Answer::Bye(bye),
                Ok(other) => panic!("the hub answered {other:?}"),
                Err(status) => Answer::Status(status),
            };
        }
    }

    /// Opens a session, which must succeed, and resumes as the hub says. Nothing is sent yet.
    pub async fn open(&mut self) -> pb::Welcome {
        let answer = self.greet().await;
        let Answer::Welcome(welcome) = answer else {
            panic!("no welcome but {answer:?}")
        };
        self.syncs += 1;
        let resume = match welcome.resume() {
            pb::ResumeMode::Continue => Resume::Continue {
                next_seq: welcome.next_seq,
            },
            _ => Resume::FullSync {
                sync_id: format!("sync-{}", self.syncs),
            },
        };
        self.outbox.connected(resume, 256);
        welcome
    }

    pub fn report(&mut self, namespace: &str, name: &str, port: i32) {
        self.outbox.set(key(namespace, name), report(name, port));
    }

    pub fn withdraw(&mut self, namespace: &str, name: &str) {
        self.outbox.remove(key(namespace, name), withdrawal());
    }

    /// Sends the next message that is due. Returns whether there was one.
    pub async fn send_next(&mut self) -> bool {
        let Some(next) = self.outbox.pop() else { return false };
        let body = Some(Exports::to_hub(next));
        self.send(pb::MemberMessage { body }).await;
        true
    }

    /// Sends a change under a number, whatever the outbox holds.
    pub async fn send_change(&self, seq: u64, key: ExportKey, change: ExportChange) {
        let change = Outgoing::Change {
            seq,
            sync_id: None,
            key,
            change,
        };
        let body = Some(Exports::to_hub(change));
        self.send(pb::MemberMessage { body }).await;
    }

    pub async fn send(&self, message: pb::MemberMessage) {
        self.stream.as_ref().unwrap().outbound.send(message).await.unwrap();
    }

    /// The next message of the hub; `None` when the stream has ended. Pings are answered on the way.
    pub async fn receive(&mut self) -> Option<hub_message::Body> {
        loop {
            let stream = self.stream.as_mut()?;
            let message = tokio::time::timeout(TIME_LIMIT, stream.inbound.message()).await;
            match message.expect("the hub says something").ok()??.body? {
                hub_message::Body::Ping(ping) => {
                    let pong = member_message::Body::Pong(pb::Pong { nonce: ping.nonce });
                    let _ = stream.outbound.send(pb::MemberMessage { body: Some(pong) }).await;
                }
                body => return Some(body),
            }
        }
    }

    /// Sends everything that is due and waits until it is acknowledged; verdicts are acknowledged on the way.
    pub async fn settle(&mut self) {
        loop {
            while self.send_next().await {}
            if self.outbox.unacknowledged() == 0 {
                return;
            }
            match self.receive().await.expect("the session lasts") {
                hub_message::Body::Ack(ack) => {
                    self.outbox.ack(ack.seq);
                }
                hub_message::Body::Nack(nack) => {
                    self.outbox.nack(nack.seq, convert::nack_code(nack.code()));
                    if nack.code() == pb::NackCode::Unavailable {
                        self.outbox.release();
                    }
                }
                hub_message::Body::Resync(_) => self.sync_anew(),
                hub_message::Body::Verdict(verdict) => {
                    let ack = pb::VerdictAck {
                        key: verdict.key,
                        verdict_seq: verdict.verdict_seq,
                    };
                    let body = Some(member_message::Body::VerdictAck(ack));
                    self.send(pb::MemberMessage { body }).await;
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    pub fn sync_anew(&mut self) {
        self.syncs += 1;
        self.outbox.start_sync(format!("sync-{}", self.syncs));
    }

    /// The refusal of one change.
    pub async fn refusal(&mut self, seq: u64, key: ExportKey, change: ExportChange) -> (NackCode, String) {
        self.send_change(seq, key, change).await;
        loop {
            match self.receive().await.expect("the session lasts") {
                hub_message::Body::Nack(nack) => {
                    assert_eq!(nack.seq, seq);
                    return (convert::nack_code(nack.code()), nack.message);
                }
                hub_message::Body::Ack(_) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// Breaks the stream off.
    pub fn cut(&mut self) {
        self.stream = None;
        self.outbox.disconnected();
    }

    /// What this member exports, as namespaced names.
    pub fn names(&self) -> BTreeSet<String> {
        self.outbox.desired().keys().map(ToString::to_string).collect()
    }
}
