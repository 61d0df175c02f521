//! Topics beside exports, in both directions, over the real session: two that exist in these tests alone, registered as
//! any other would be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::digester::Digester;
use fairway_core::link::{Change, Refusal, Topic};
use kit::clock::Clock;
use kit::link::{Handler, Options, Outbox, Outboxes};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::WireTopic;
use wire::convert::Missing;

use crate::world::{FINE, Member, World, equal, eventually};

/// Texts by name: notes go from the hub to members, readings the other way.
#[derive(Clone, Debug, PartialEq)]
struct Texts<const TO_HUB: bool>;

type Notes = Texts<false>;
type Readings = Texts<true>;

impl<const TO_HUB: bool> Topic for Texts<TO_HUB> {
    const NAME: &'static str = if TO_HUB { "readings" } else { "notes" };
    type Key = String;
    type State = String;
    type Removal = ();

    fn digest(key: &String, state: &String, digester: &mut Digester) {
        digester.text(key);
        digester.text(state);
    }
}

fn text(bytes: &[u8]) -> Result<String, Missing> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Missing("text"))
}

impl<const TO_HUB: bool> WireTopic for Texts<TO_HUB> {
    fn key_to_wire(key: &String) -> Vec<u8> {
        key.clone().into_bytes()
    }
    fn key(bytes: &[u8]) -> Result<String, Missing> {
        text(bytes)
    }
    fn state_to_wire(state: &String) -> Vec<u8> {
        state.clone().into_bytes()
    }
    fn state(bytes: &[u8]) -> Result<String, Missing> {
        text(bytes)
    }
    fn removal_to_wire((): &()) -> Vec<u8> {
        Vec::new()
    }
    fn removal(_: &[u8]) -> Result<(), Missing> {
        Ok(())
    }
}

/// What a receiver has recorded.
#[derive(Default)]
struct Store {
    recorded: Mutex<BTreeMap<String, String>>,
    counts: Mutex<Counts>,
    takes: Duration,
}

#[derive(Default)]
struct Counts {
    carried_out: usize,
    running: usize,
    most: usize,
}

impl<const TO_HUB: bool> Handler<Texts<TO_HUB>> for Store {
    async fn carry_out(&self, key: &String, change: &Change<Texts<TO_HUB>>) -> Result<(), Refusal> {
        {
            let mut counts = self.counts.lock();
            counts.carried_out += 1;
            counts.running += 1;
            counts.most = counts.most.max(counts.running);
        }
        tokio::time::sleep(self.takes).await;
        self.counts.lock().running -= 1;
        match change {
            Change::Set(state) => self.recorded.lock().insert(key.clone(), state.clone()),
            Change::Remove(()) => self.recorded.lock().remove(key),
        };
        Ok(())
    }

    fn recorded(&self) -> BTreeSet<String> {
        self.recorded.lock().keys().cloned().collect()
    }

    async fn remove(&self, key: &String) -> Result<(), Refusal> {
        self.recorded.lock().remove(key);
        Ok(())
    }
}

impl Store {
    fn carried_out(&self) -> usize {
        self.counts.lock().carried_out
    }

    async fn holds(&self, expected: &BTreeMap<String, String>) {
        eventually("what was sent is recorded", || async {
            equal(&*self.recorded.lock(), expected)
        })
        .await;
    }
}

/// What the hub knows: notes for each member, and readings of each.
#[derive(Clone, Default)]
struct Hub {
    notes: Arc<Outboxes<Notes>>,
    readings: Arc<Mutex<BTreeMap<String, Arc<Store>>>>,
}

impl Hub {
    /// Starts the hub's half with the topics.
    fn start(&self, world: &mut World) {
        let readings = Arc::clone(&self.readings);
        let options = Options {
            window: 8,
            ..Options::new(Clock::System)
        };
        world.topics = hub_agent::link::Topics::default()
            .send(Arc::clone(&self.notes))
            .receive::<Readings, Store>(options, move |member| {
                Arc::clone(readings.lock().entry(member.to_owned()).or_default())
            });
        world.start();
    }

    fn readings(&self, member: &str) -> Arc<Store> {
        Arc::clone(self.readings.lock().entry(member.to_owned()).or_default())
    }
}

/// What a member knows: its readings, and the hub's notes.
struct Side {
    readings: Arc<Outbox<Readings>>,
    notes: Arc<Store>,
}

impl Side {
    fn new(takes: Duration) -> Self {
        Self {
            readings: Arc::default(),
            notes: Arc::new(Store {
                takes,
                ..Store::default()
            }),
        }
    }

    /// Starts the member's half with the topics.
    fn start(&self, member: &mut Member) {
        let options = Options {
            window: 4,
            ..Options::new(Clock::System)
        };
        member.config.topics = member_agent::link::Topics::default()
            .send(Arc::clone(&self.readings))
            .receive::<Notes>(options, Arc::clone(&self.notes));
        member.start();
    }
}

/// A way to the hub whose connections can be cut.
struct Way {
    port: u16,
    cut: Arc<Mutex<CancellationToken>>,
}

impl Way {
    async fn to(hub: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, cut) = (
            listener.local_addr().unwrap().port(),
            Arc::<Mutex<CancellationToken>>::default(),
        );
        let until = Arc::clone(&cut);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let until = until.lock().clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", hub)).await else {
                        return;
                    };
                    let copied = tokio::io::copy_bidirectional(&mut near, &mut far);
                    // However it ends, both connections are closed.
                    let _ = until.run_until_cancelled(copied).await;
                });
            }
        });
        Self { port, cut }
    }

    /// Cuts all connections.
    fn cut(&self) {
        std::mem::take(&mut *self.cut.lock()).cancel();
    }
}

fn texts(number: usize, state: &str) -> BTreeMap<String, String> {
    (0..number).map(|key| (format!("k{key}"), state.to_owned())).collect()
}

fn coalesced<T: Topic>() -> u64 {
    let runtime = kit::metrics::runtime().unwrap();
    runtime.coalesced.with_label_values(&[T::NAME]).get()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_go_both_ways_across_broken_streams_and_new_processes() {
    const MANY: usize = 60;
    let mut world = World::new().await;
    let hub = Hub::default();
    hub.start(&mut world);
    let mut member = world.member("m1").await;
    let way = Way::to(world.port).await;
    member.config.address = format!("https://127.0.0.1:{}", way.port);
    let side = Side::new(Duration::from_millis(2));
    side.start(&mut member);
    let (notes, readings) = (hub.notes.of("m1"), hub.readings("m1"));
    let everywhere = async |number: usize, state: &str| {
        let expected = texts(number, state);
        side.notes.holds(&expected).await;
        readings.holds(&expected).await;
        eventually("all is acknowledged", || async {
            equal((notes.is_settled(), side.readings.is_settled()), (true, true))
        })
        .await;
    };
    let set = |number: usize, state: &str| {
        for (key, state) in texts(number, state) {
            notes.set(key.clone(), state.clone());
            side.readings.set(key, state);
        }
    };

    // What is known before the session, and what changes while it is open. Exports are not disturbed.
    set(MANY / 2, "1");
    everywhere(MANY / 2, "1").await;
    set(MANY, "2");
    everywhere(MANY, "2").await;
    member.exported_service("web", 80).await;
    member.shows("web", FINE).await;
    let most = [&side.notes, &readings].map(|store| store.counts.lock().most);
    assert!(most[0] <= 4 && most[1] <= 8, "{most:?} at a time in windows of 4 and 8");

    // Streams that break.
    for round in 0..5 {
        set(MANY, &format!("round {round}"));
        way.cut();
    }
    everywhere(MANY, "round 4").await;

    // What happens while there is no stream is sent once, as it is in the end.
    world.stop().await;
    let (before, first) = (side.readings.is_settled(), readings.carried_out());
    assert!(before);
    let replaced = coalesced::<Readings>();
    for state in ["a", "b", "c"] {
        set(MANY, state);
    }
    assert!(coalesced::<Readings>() - replaced >= 2 * MANY as u64);
    // The hub is another process, which knows one note less and has never sent it. What it knew of readings is recorded.
    let next = Hub {
        notes: Arc::default(),
        readings: Arc::clone(&hub.readings),
    };
    for (key, state) in texts(MANY - 1, "c") {
        next.notes.of("m1").set(key, state);
    }
    next.start(&mut world);
    side.notes.holds(&texts(MANY - 1, "c")).await;
    readings.holds(&texts(MANY, "c")).await;
    let notes = next.notes.of("m1");
    eventually("all is acknowledged", || async {
        equal((notes.is_settled(), side.readings.is_settled()), (true, true))
    })
    .await;
    // Each change once, and again by the full sync.
    let changes = readings.carried_out() - first;
    assert!((MANY..=2 * MANY).contains(&changes), "{changes}");

    // The member is another process: it gets everything, and its first full sync removes nothing by surprise.
    member.stop().await;
    let anew = Side::new(Duration::ZERO);
    for (key, state) in texts(MANY - 1, "c") {
        anew.readings.set(key, state);
    }
    anew.start(&mut member);
    anew.notes.holds(&texts(MANY - 1, "c")).await;
    readings.holds(&texts(MANY - 1, "c")).await;

    // Removals.
    for key in texts(MANY - 1, "c").into_keys() {
        notes.remove(key.clone(), ());
        anew.readings.remove(key, ());
    }
    anew.notes.holds(&BTreeMap::new()).await;
    readings.holds(&BTreeMap::new()).await;

    // Nothing is kept for a member that has left.
    assert_eq!(next.notes.len(), 1);
    world.memberships.lock().remove("m1");
    member.stop().await;
    eventually("the member is forgotten", || async { equal(next.notes.len(), 0) }).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_the_other_side_does_not_know_disturbs_nothing() {
    let mut world = World::new().await;
    let hub = Hub::default();
    hub.start(&mut world);
    hub.notes.of("m1").set("k".to_owned(), "v".to_owned());
    let mut member = world.member("m1").await;
    member.start();
    member.exported_service("web", 80).await;
    member.shows("web", FINE).await;
    assert!(!hub.notes.of("m1").is_settled(), "it was not sent");
    member.stop().await;
    world.stop().await;
}
