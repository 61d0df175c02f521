//! Many members and one hub that goes away, in one process and under tokio's paused time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;

use fairway_core::services::{ExportKey, ExportReport, PublicIp, ServiceRef};
use futures::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::io::DuplexStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel as Transport, Endpoint, Server};
use tonic::{Response, Status};
use wire::member::member_hub_server::{MemberHub, MemberHubServer};

use super::super::config::Identity;
use super::super::metrics::Metrics;
use super::*;

/// Changes are on the hub within this time of its return.
const WITHIN: Duration = Duration::from_secs(3);

/// What happens to connections while the hub is away.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// They are refused at once.
    Refused,
    /// Nobody answers.
    Swallowed,
    /// A proxy answers in the hub's place that there is none.
    Answered,
}

#[derive(Clone)]
struct Hub(Arc<Inner>);

struct Inner {
    connections: mpsc::UnboundedSender<Result<DuplexStream, Infallible>>,
    state: Mutex<State>,
}

struct State {
    incarnation: u32,
    outage: Option<Outage>,
    /// Ends the streams of this term.
    term: CancellationToken,
    /// When each stream was opened.
    opened: Vec<Instant>,
    /// When each report of a version came, by the cluster.
    reports: BTreeMap<(String, String), Instant>,
    /// Full syncs that have come to their end.
    syncs: usize,
}

impl Hub {
    fn start() -> Self {
        let (connections, incoming) = mpsc::unbounded_channel();
        let hub = Self(Arc::new(Inner {
            connections,
            state: Mutex::new(State {
                incarnation: 1,
                outage: None,
                term: CancellationToken::new(),
                opened: Vec::new(),
                reports: BTreeMap::new(),
                syncs: 0,
            }),
        }));
        let serve = Server::builder()
            .add_service(MemberHubServer::new(hub.clone()))
            .serve_with_incoming(UnboundedReceiverStream::new(incoming));
        tokio::spawn(async move { serve.await.unwrap() });
        hub
    }

    fn leave(&self, outage: Outage) {
        let mut state = self.0.state.lock();
        state.outage = Some(outage);
        state.term.cancel();
    }

    fn come_back(&self) {
        let mut state = self.0.state.lock();
        state.outage = None;
        state.incarnation += 1;
        state.term = CancellationToken::new();
        state.opened.clear();
        state.reports.clear();
        state.syncs = 0;
    }

    /// Waits until something is true, for longer than anything may take.
    async fn until(&self, what: &str, check: impl Fn(&State) -> bool) {
        for _ in 0..6000 {
            if check(&self.0.state.lock()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}

impl Dial for Hub {
    async fn connect(&self, _target: Option<String>) -> Result<Transport, Ended> {
        let outage = self.0.state.lock().outage;
        if let Some(outage) = outage {
            return Err(match outage {
                Outage::Refused => Ended::away("connect", "The hub is away."),
                Outage::Swallowed => {
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    Ended::away("connect", "The hub is away.")
                }
                Outage::Answered => Ended::by_status(&Status::unavailable("There is no upstream.")),
            });
        }
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.0.connections.send(Ok(theirs)).unwrap();
        let mut ours = Some(TokioIo::new(ours));
        let once = tower::service_fn(move |_: http::Uri| {
            let ours = ours.take();
            async move {
                ours.ok_or(std::io::ErrorKind::NotConnected)
                    .map_err(std::io::Error::from)
            }
        });
        let endpoint = Endpoint::from_static("http://hub");
        Ok(endpoint.connect_with_connector(once).await.unwrap())
    }

    async fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Ended> {
        Ok(None)
    }
}

#[tonic::async_trait]
impl MemberHub for Hub {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (hub, mut inbound) = (self.clone(), request.into_inner());
        let (outbound, answers) = mpsc::unbounded_channel();
        let (term, incarnation) = {
            let mut state = self.0.state.lock();
            state.opened.push(Instant::now());
            (state.term.clone(), state.incarnation)
        };
        tokio::spawn(async move {
            let say = |body| {
                outbound
                    .send(Ok(pb::HubMessage { body: Some(body) }))
                    .unwrap_or_default()
            };
            let mut cluster = String::new();
            let session = async {
                while let Some(Ok(message)) = inbound.next().await {
                    match message.body.unwrap() {
                        member_message::Body::Hello(hello) => {
                            cluster = hello.cluster;
                            say(hub_message::Body::Welcome(pb::Welcome {
                                protocol: 1,
                                hub_incarnation: incarnation.to_string(),
                                resume: pb::ResumeMode::FullSync.into(),
                                window: 256,
                                ping_interval_ms: 3_600_000,
                                ..pb::Welcome::default()
                            }));
                        }
                        member_message::Body::Export(report) => {
                            let version = report.service.unwrap().resource_version;
                            let key = (cluster.clone(), version);
                            hub.0.state.lock().reports.entry(key).or_insert(Instant::now());
                            say(hub_message::Body::Ack(pb::Ack { seq: report.seq }));
                        }
                        member_message::Body::SyncEnd(_) => hub.0.state.lock().syncs += 1,
                        _ => {}
                    }
                }
            };
            term.run_until_cancelled(session).await;
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(answers))))
    }
}

/// A member with one export; what it is to report.
fn member(hub: &Hub, name: &str) -> Arc<Shared> {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let shared = Arc::new(Shared::new(metrics, |_| {}));
    export(&shared, "1");
    let config = Config::new(
        "https://hub".to_owned(),
        "absent".into(),
        Identity::TokenFile("absent".into()),
        name.to_owned(),
    );
    let (_, ready) = watch::channel(true);
    tokio::spawn(run(
        config,
        hub.clone(),
        Arc::clone(&shared),
        ready,
        CancellationToken::new(),
    ));
    shared
}

fn export(shared: &Shared, version: &str) {
    let key = ExportKey {
        namespace: "app".to_owned(),
        name: "web".to_owned(),
    };
    let report = ExportReport {
        service: ServiceRef {
            resource_version: version.to_owned(),
            ..ServiceRef::default()
        },
        exported_since: None,
        ports: Vec::new(),
        service_type: "ClusterIP".to_owned(),
        weight: None,
        internal_load_balancer: false,
        public_ip: PublicIp::default(),
        is_ready: None,
        endpoint: fairway_core::services::EndpointSettings::default(),
    };
    shared.outbox.lock().set(key, report);
    shared.wake.notify_one();
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_changes_arrive_within_three_seconds_and_the_fleet_does_not_come_back_at_once() {
    const MEMBERS: usize = 100;
    for (outage, seconds) in [
        (Outage::Refused, 75),
        (Outage::Swallowed, 75),
        (Outage::Answered, 75),
        (Outage::Refused, 20),
    ] {
        let hub = Hub::start();
        let members: Vec<_> = (0..MEMBERS).map(|number| member(&hub, &format!("m{number}"))).collect();
        hub.until("everybody has synced", |state| state.syncs == MEMBERS).await;
        hub.leave(outage);
        tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
        members.iter().for_each(|member| export(member, "2"));
        tokio::time::sleep(Duration::from_secs(seconds - seconds / 2)).await;
        hub.come_back();
        let back = Instant::now();
        let changed = |state: &State| state.reports.keys().filter(|(_, version)| version == "2").count();
        hub.until("every change has arrived", |state| changed(state) == MEMBERS)
            .await;
        let mut opened: Vec<Duration> = {
            let state = hub.0.state.lock();
            let last = state.reports.values().max().unwrap().duration_since(back);
            assert!(
                last <= WITHIN,
                "{outage:?} of {seconds} s: the last change came {last:?} later"
            );
            state.opened.iter().map(|at| at.duration_since(back)).collect()
        };
        assert_eq!(opened.len(), MEMBERS, "one stream each");
        opened.sort();
        let busiest = opened
            .iter()
            .map(|from| {
                opened
                    .iter()
                    .filter(|at| (*from..*from + Duration::from_millis(100)).contains(*at))
                    .count()
            })
            .max();
        assert!(busiest <= Some(MEMBERS / 3), "{outage:?} of {seconds} s: {opened:?}");
        hub.until("everybody has synced anew", |state| state.syncs == MEMBERS)
            .await;
        assert!(
            back.elapsed() > WITHIN,
            "full syncs are spread over more time than changes"
        );
    }
}
