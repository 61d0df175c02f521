//! A scripted hub that breaks its streams off at every point, against the real member half.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use wire::member::member_hub_server::{MemberHub, MemberHubServer};
use wire::member::{self as pb, hub_message, member_message};

use crate::world::{EXPORTS, FINE, World, equal, eventually};

/// The last that happens on a stream before it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Hello,
    Welcome,
    SyncBegin,
    Export,
    SyncEnd,
    Ack,
    Unavailable,
    Verdict,
    Ping,
    Resync,
    SyncAfterResync,
}

const SCRIPT: [Last; 11] = [
    Last::Hello,
    Last::Welcome,
    Last::SyncBegin,
    Last::Export,
    Last::SyncEnd,
    Last::Ack,
    Last::Unavailable,
    Last::Verdict,
    Last::Ping,
    Last::Resync,
    Last::SyncAfterResync,
];

#[derive(Clone)]
struct Fake {
    script: Arc<Mutex<VecDeque<Last>>>,
    /// What was played to its end.
    played: watch::Sender<usize>,
}

type Sender = mpsc::Sender<Result<pb::HubMessage, Status>>;

#[tonic::async_trait]
impl MemberHub for Fake {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let next = self.script.lock().pop_front();
        let Some(last) = next else {
            return Err(Status::unavailable("The script is at its end."));
        };
        let (outbound, answers) = mpsc::channel(64);
        let (played, script) = (self.played.clone(), Arc::clone(&self.script));
        let inbound = request.into_inner();
        tokio::spawn(async move {
            match play(last, inbound, &outbound).await {
                Some(()) => played.send_modify(|count| *count += 1),
                // The member broke off first, so the scene is played again.
                None => script.lock().push_front(last),
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// Reads up to the first message that the test picks.
async fn wait<T>(
    inbound: &mut Streaming<pb::MemberMessage>,
    pick: impl Fn(member_message::Body) -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(found) = inbound.message().await.ok()??.body.and_then(&pick) {
            return Some(found);
        }
    }
}

/// Plays one stream up to its last event. `None` when the member ended it before.
async fn play(last: Last, mut inbound: Streaming<pb::MemberMessage>, outbound: &Sender) -> Option<()> {
    use member_message::Body;
    let say = async |body| outbound.send(Ok(pb::HubMessage { body: Some(body) })).await.ok();
    wait(&mut inbound, |body| matches!(body, Body::Hello(_)).then_some(())).await?;
    if last == Last::Hello {
        return Some(());
    }
    say(hub_message::Body::Welcome(pb::Welcome {
        protocol: 1,
        hub_incarnation: format!("fake-{last:?}"),
        resume: pb::ResumeMode::FullSync.into(),
        window: 2,
        max_message: 1 << 20,
        ping_interval_ms: 10_000,
        ..pb::Welcome::default()
    }))
    .await?;
    match last {
        Last::Hello | Last::Welcome => {}
        Last::SyncBegin => wait(&mut inbound, |body| matches!(body, Body::SyncBegin(_)).then_some(())).await?,
        Last::Ping => {
            say(hub_message::Body::Ping(pb::Ping { nonce: 7 })).await?;
            wait(&mut inbound, |body| {
                matches!(body, Body::Pong(pong) if pong.nonce == 7).then_some(())
            })
            .await?;
        }
        Last::Export | Last::Ack | Last::Unavailable | Last::Verdict => {
            let export = wait(&mut inbound, |body| match body {
                Body::Export(export) => Some(export),
                _ => None,
            })
            .await?;
            if let Some(answer) = answer(last, export) {
                say(answer).await?;
            }
        }
        Last::SyncEnd => synced(&mut inbound, outbound).await?,
        Last::Resync | Last::SyncAfterResync => {
            synced(&mut inbound, outbound).await?;
            let reason = "A test asks for everything.".to_owned();
            say(hub_message::Body::Resync(pb::Resync { reason })).await?;
            if last == Last::SyncAfterResync {
                synced(&mut inbound, outbound).await?;
            }
        }
    }
    Some(())
}

/// Acknowledges what comes until the end of a full sync.
async fn synced(inbound: &mut Streaming<pb::MemberMessage>, outbound: &Sender) -> Option<()> {
    loop {
        let seq = match inbound.message().await.ok()??.body? {
            member_message::Body::Export(export) => export.seq,
            member_message::Body::SyncEnd(_) => return Some(()),
            _ => continue,
        };
        let body = Some(hub_message::Body::Ack(pb::Ack { seq }));
        outbound.send(Ok(pb::HubMessage { body })).await.ok()?;
    }
}

fn answer(last: Last, export: pb::ExportReport) -> Option<hub_message::Body> {
    match last {
        Last::Ack => Some(hub_message::Body::Ack(pb::Ack { seq: export.seq })),
        Last::Unavailable => Some(hub_message::Body::Nack(pb::Nack {
            seq: export.seq,
            key: export.key,
            code: pb::NackCode::Unavailable.into(),
            message: "The hub cannot write now.".to_owned(),
            retry_after_ms: 10,
        })),
        // A judgement that the next hub does not share, under a higher number than it will ever use here.
        Last::Verdict => Some(hub_message::Body::Verdict(pb::Verdict {
            verdict_seq: 1_000_000,
            key: export.key,
            service_uid: export.service.map(|service| service.uid).unwrap_or_default(),
            conflict: pb::Conflict::Conflict.into(),
            reason: "ConflictFound".to_owned(),
            message: "Another export was first.".to_owned(),
            for_seq: export.seq,
        })),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_gets_over_a_hub_that_breaks_off_anywhere() {
    let mut world = World::new().await;
    let mut member = world.member("m1").await;
    for name in ["a", "b", "c", "d", "e"] {
        member.exported_service(name, 80).await;
    }
    let (played, mut progress) = watch::channel(0);
    let fake = Fake {
        script: Arc::new(Mutex::new(SCRIPT.into())),
        played,
    };
    let pem = |file: &str| std::fs::read(world.folder.join(file)).unwrap();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(pem("tls.crt"), pem("tls.key")));
    let stop = CancellationToken::new();
    let server = Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_service(MemberHubServer::new(fake.clone()))
        .serve_with_shutdown(
            format!("127.0.0.1:{}", world.port).parse().unwrap(),
            stop.clone().cancelled_owned(),
        );
    let server = tokio::spawn(server);
    member.start();
    let all = progress.wait_for(|played| *played == SCRIPT.len());
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("the whole script is played")
        .unwrap();
    // Nobody has acknowledged the withdrawal, so the export stays until the hub that takes over has.
    member.delete(&EXPORTS, "e").await;
    assert!(member.get_export("e").await.is_some());
    stop.cancel();
    server.await.unwrap().unwrap();

    world.start();
    world.converged(&member).await;
    for name in ["a", "b", "c", "d"] {
        member.shows(name, FINE).await;
    }
    member.shows("e", "gone").await;
    eventually("nothing waits for the hub", || async {
        let metrics = member.metrics.as_ref().unwrap();
        equal((metrics.connected.get(), metrics.unacknowledged.get()), (1, 0))
    })
    .await;
    member.stop().await;
    world.stop().await;
}
