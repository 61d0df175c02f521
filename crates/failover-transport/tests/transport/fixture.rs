//! Members on loopback addresses.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use failover::configuration::Version;
use failover::member::{FleetId, MemberId};
use failover::message::{Body, Header, Message};
use failover_transport::certificates::hub::Request;
use failover_transport::certificates::{Authority, Credentials, HubAuthority, Identity, Source, derived, provided};
use failover_transport::{CallsignKeys, Endpoint, Event, Limits, Listening, Rejection, Transport};
use rustls::pki_types::UnixTime;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long anything may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Long enough that no connection is idle for three of them within a test.
pub const RENEW: Duration = Duration::from_secs(100);

pub fn keys() -> &'static CallsignKeys {
    static KEYS: OnceLock<CallsignKeys> = OnceLock::new();
    KEYS.get_or_init(|| CallsignKeys::derive("federation").unwrap())
}

pub fn other_keys() -> &'static CallsignKeys {
    static KEYS: OnceLock<CallsignKeys> = OnceLock::new();
    KEYS.get_or_init(|| CallsignKeys::derive("confederation").unwrap())
}

/// Members sort by their names.
pub fn id(name: &str) -> MemberId {
    MemberId::new("7d0c7e4a-6f1e-4b0f-8f5d-0d9c1a2b3c4d", "default", name)
}

pub fn unix_now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

pub fn derived_credentials(keys: &CallsignKeys, name: &str) -> Credentials {
    let now = SystemTime::now();
    let identity = derived::identity(keys, &id(name), now).unwrap();
    let authority = derived::authority(keys, now).unwrap();
    Credentials::new(keys.id(), id(name), vec![identity], vec![authority], unix_now()).unwrap()
}

/// A certificate authority of the callsign.
pub struct Hub(HubAuthority);

/// `ca.crt`, `tls.crt` and `tls.key` of a member.
pub struct Files {
    pub ca: String,
    pub crt: String,
    pub key: String,
}

impl Hub {
    pub fn new() -> Self {
        Self(HubAuthority::create(keys().id(), SystemTime::now()).unwrap().0)
    }

    /// A certificate that was issued some days ago; it is valid for 30.
    pub fn issue(&self, name: &str, days_ago: u64) -> Files {
        let (request, key) = Request::new(keys(), &id(name)).unwrap();
        let at = SystemTime::now() - Duration::from_hours(24 * days_ago);
        let issued = self
            .0
            .issue(keys().id(), id(name).cluster(), &request, None, at)
            .unwrap();
        Files {
            ca: issued.authority,
            crt: issued.certificate,
            key: key.to_string(),
        }
    }
}

impl Files {
    pub fn read(&self) -> (Identity, Authority) {
        let [ca, crt, key] = [&self.ca, &self.crt, &self.key].map(|file| file.as_bytes());
        provided::read(Source::HubIssued, ca, crt, key).unwrap()
    }

    pub fn credentials(&self, name: &str, days_ago: u64) -> Credentials {
        let (identity, authority) = self.read();
        credentials(name, vec![identity], vec![authority], days_ago)
    }
}

/// Credentials that were put together some days ago.
pub fn credentials(name: &str, identities: Vec<Identity>, authorities: Vec<Authority>, days_ago: u64) -> Credentials {
    let now = Duration::from_secs(unix_now().as_secs() - days_ago * 24 * 3600);
    Credentials::new(
        keys().id(),
        id(name),
        identities,
        authorities,
        UnixTime::since_unix_epoch(now),
    )
    .unwrap()
}

pub fn transport() -> Transport {
    Transport::new(Limits::default())
}

/// A member in a process of its own, unless it is made with the transport of another one.
pub struct Member {
    pub id: MemberId,
    pub endpoint: Endpoint,
    pub transport: Transport,
    pub listening: Option<Listening>,
    events: mpsc::Receiver<Event>,
    /// Those that were passed over while waiting for another one.
    seen: VecDeque<Event>,
    seq: u64,
}

impl Member {
    /// A member that listens at a port of its own.
    pub async fn listening(name: &str) -> Self {
        let mut member = Self::new(&transport(), derived_credentials(keys(), name));
        member.listen("127.0.0.1:0".parse().unwrap()).await;
        member
    }

    pub fn new(transport: &Transport, credentials: Credentials) -> Self {
        let id = credentials.member().clone();
        let (endpoint, events) = transport.endpoint(credentials, RENEW);
        Self {
            id,
            endpoint,
            transport: transport.clone(),
            listening: None,
            events,
            seen: VecDeque::new(),
            seq: 0,
        }
    }

    pub async fn listen(&mut self, bind: SocketAddr) {
        self.listening = Some(self.endpoint.listen(bind).await.unwrap());
    }

    pub fn address(&self) -> SocketAddr {
        self.listening.as_ref().unwrap().local_address()
    }

    /// The next event that `wanted` recognises; others wait for who wants them.
    pub async fn expect<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        for at in 0..self.seen.len() {
            if let Some(found) = wanted(&self.seen[at]) {
                self.seen.remove(at);
                return found;
            }
        }
        loop {
            let event = match timeout(LIMIT, self.events.recv()).await {
                Ok(Some(event)) => event,
                ended => panic!("{}: {ended:?}; before it {:?}", self.id, self.seen),
            };
            if let Some(found) = wanted(&event) {
                return found;
            }
            self.seen.push_back(event);
        }
    }

    /// An event so far that nobody has waited for and that should not have happened.
    pub fn unexpected(&mut self, wrong: impl Fn(&Event) -> bool) -> Option<Event> {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push_back(event);
        }
        self.seen.iter().find(|event| wrong(event)).cloned()
    }

    pub async fn connected(&mut self, to: &MemberId) {
        self.expect(|event| matches!(event, Event::Connected { member, .. } if member == to).then_some(()))
            .await;
    }

    pub async fn disconnected(&mut self, from: &MemberId) {
        self.expect(|event| matches!(event, Event::Disconnected { member } if member == from).then_some(()))
            .await;
    }

    pub async fn rejected(&mut self) -> Rejection {
        self.expect(|event| match event {
            Event::Rejected(rejection) => Some(rejection.clone()),
            _ => None,
        })
        .await
    }

    pub async fn received(&mut self) -> Message {
        self.expect(|event| match event {
            Event::Received(message) => Some((**message).clone()),
            _ => None,
        })
        .await
    }

    pub fn message(&mut self, body: Body) -> Message {
        self.seq += 1;
        message(&self.id, self.seq, body)
    }

    /// Waits until a message is here.
    pub async fn receive(&mut self, wanted: &Message) {
        self.expect(|event| matches!(event, Event::Received(message) if **message == *wanted).then_some(()))
            .await;
    }

    /// Sends a message to a member that is connected and one back, and waits until both are there.
    pub async fn exchange(&mut self, with: &mut Self) {
        let message = self.message(Body::GetState);
        self.endpoint.send(&with.id, &message).unwrap();
        with.receive(&message).await;
        let message = with.message(Body::Handover { term: 7 });
        with.endpoint.send(&self.id, &message).unwrap();
        self.receive(&message).await;
    }

    pub async fn exchange_once_connected(&mut self, with: &mut Self) {
        self.connected(&with.id).await;
        self.exchange(with).await;
    }

    /// Keeps a connection to a member.
    pub fn reach(&self, to: &Self) {
        self.endpoint.set_peers([(to.id.clone(), to.address().to_string())]);
    }
}

pub fn message(sender: &MemberId, seq: u64, body: Body) -> Message {
    Message {
        header: Header {
            fleet: Some(FleetId::from("0b51a0f3-4a3e-4f52-9a54-3b9c8b5f2b10")),
            term: 3,
            version: Version { term: 3, number: 4 },
            sender: sender.clone(),
            writes: 5,
            seq,
        },
        body,
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(LIMIT, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}
