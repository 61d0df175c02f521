//! A fleet in virtual time: clocks, network, processes, records and payloads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use failover::defect::Defect;
use failover::machine::event::{Action, Address, Event, Notice, SeedFailure};
use failover::machine::settings::{Health, Settings};
use failover::machine::{Machine, Start};
use failover::member::{FleetId, MemberId};
use failover::message::{Body, Message};
use failover::record::Record;
use failover::time::Time;
use failover::witness::Witness;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::check::Checks;
use crate::fault::{CALM, Fault};

/// How many lines of what happened are kept for a failing seed.
const TRACE: usize = 400;

/// Everything of one run.
pub struct World {
    pub now: Duration,
    pub rng: StdRng,
    pub nodes: Vec<Node>,
    pub hub: Option<Hub>,
    /// Directions in which nothing arrives.
    pub blocked: BTreeSet<(usize, usize)>,
    pub loss: f64,
    pub latency: Duration,
    pub watchdog: bool,
    pub checks: Checks,
    pub defect: Option<Defect>,
    queue: BinaryHeap<Reverse<Entry>>,
    order: u64,
    trace: VecDeque<String>,
}

/// One cluster with its agent.
pub struct Node {
    pub id: MemberId,
    clock: Clock,
    pub settings: Settings,
    pub machine: Option<Machine>,
    incarnation: u64,
    timer: u64,
    /// What the cluster's API server holds.
    pub stored: Option<Record>,
    pub api: bool,
    /// When the API server was away last.
    pub api_lost: Option<Duration>,
    pub paused: bool,
    deferred: Vec<What>,
    /// The inventory lists something.
    pub intended: bool,
    /// Objects or Pods of the payload exist.
    pub present: bool,
    /// How long the Pods that exist take to end.
    grace: Duration,
    writes_in_flight: u32,
    removal: Option<u64>,
    removals: u64,
    wanted: Wanted,
    publication: u64,
    pub exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Applied { term: u64, payload: u64 },
    Removed,
}

/// The hub's witness.
pub struct Hub {
    pub id: MemberId,
    clock: Clock,
    pub witness: Option<Witness>,
    pub stored: Option<Record>,
}

#[derive(Clone, Copy)]
struct Clock {
    offset: Duration,
    rate: f64,
}

impl Clock {
    fn local(self, now: Duration) -> Time {
        Time::after_start(self.offset + now.mul_f64(self.rate))
    }

    fn global(self, local: Time) -> Duration {
        if local == Time::NEVER {
            return Duration::MAX;
        }
        local.since_start().saturating_sub(self.offset).div_f64(self.rate) + Duration::from_micros(1)
    }
}

struct Entry {
    at: Duration,
    order: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Something that is due.
enum What {
    Deliver {
        to: usize,
        message: Box<Message>,
    },
    SeedFailed {
        node: usize,
        incarnation: u64,
        address: String,
    },
    Timer {
        node: usize,
        incarnation: u64,
        timer: u64,
    },
    Stored {
        node: usize,
        incarnation: u64,
        record: Box<Record>,
    },
    HubRecord {
        node: usize,
        incarnation: u64,
        fleet: FleetId,
        replaces: Option<FleetId>,
    },
    Engine {
        node: usize,
        incarnation: u64,
    },
    Written {
        node: usize,
        incarnation: u64,
        term: u64,
        payload: u64,
    },
    Removed {
        node: usize,
        removal: u64,
    },
    Watchdog {
        node: usize,
        publication: u64,
    },
    Health {
        node: usize,
    },
    /// The object was edited while the process could not see it.
    Edited {
        node: usize,
    },
    Fault(Fault),
}

impl World {
    pub fn new(seed: u64, defect: Option<Defect>) -> Self {
        Self {
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            nodes: Vec::new(),
            hub: None,
            blocked: BTreeSet::new(),
            loss: 0.0,
            latency: Duration::from_millis(20),
            watchdog: true,
            checks: Checks::default(),
            defect,
            queue: BinaryHeap::new(),
            order: 0,
            trace: VecDeque::new(),
        }
    }

    pub fn add_node(&mut self, settings: Settings) {
        let id = MemberId::new(&format!("cluster-{}", self.nodes.len()), "default", "fleet");
        let clock = self.clock();
        self.nodes.push(Node {
            id,
            clock,
            settings,
            machine: None,
            incarnation: 0,
            timer: 0,
            stored: None,
            api: true,
            api_lost: None,
            paused: false,
            deferred: Vec::new(),
            intended: false,
            present: false,
            grace: Duration::ZERO,
            writes_in_flight: 0,
            removal: None,
            removals: 0,
            wanted: Wanted::Nothing,
            publication: 0,
            exists: true,
        });
    }

    pub fn add_hub(&mut self, id: MemberId, lease: Duration) {
        let clock = self.clock();
        let witness = Witness::new(id.clone(), None, lease, clock.local(self.now));
        self.hub = Some(Hub {
            id,
            clock,
            witness: Some(witness),
            stored: None,
        });
    }

    fn clock(&mut self) -> Clock {
        let offset = Duration::from_secs(self.rng.random_range(1..100_000));
        let rate = *[0.99, 1.0, 1.01].get(self.rng.random_range(0..3)).unwrap_or(&1.0);
        Clock { offset, rate }
    }

    pub fn at(&mut self, at: Duration, fault: Fault) {
        self.push(at, What::Fault(fault));
    }

    fn push(&mut self, at: Duration, what: What) {
        if at == Duration::MAX {
            return;
        }
        self.order += 1;
        self.queue.push(Reverse(Entry {
            at: at.max(self.now),
            order: self.order,
            what,
        }));
    }

    fn soon(&mut self, least: u64, most: u64, what: What) {
        let after = Duration::from_millis(self.rng.random_range(least..=most));
        self.push(self.now + after, what);
    }

    pub fn note(&mut self, line: String) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>9.3} {line}", self.now.as_secs_f64()));
    }

    pub fn trace(&self) -> String {
        self.trace.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Runs until `end` or the first violation.
    pub fn run(&mut self, end: Duration) {
        while let Some(Reverse(entry)) = self.queue.pop() {
            if entry.at > end {
                break;
            }
            self.now = entry.at;
            self.handle(entry.what);
            self.check();
            if self.checks.violation.is_some() {
                return;
            }
        }
        self.now = end;
    }

    fn node_of(what: &What) -> Option<usize> {
        match what {
            What::Deliver { to, .. } => Some(*to),
            What::SeedFailed { node, .. }
            | What::Timer { node, .. }
            | What::Stored { node, .. }
            | What::HubRecord { node, .. }
            | What::Engine { node, .. }
            | What::Health { node } => Some(*node),
            _ => None,
        }
    }

    fn handle(&mut self, what: What) {
        if let Some(node) = Self::node_of(&what)
            && self.nodes.get(node).is_some_and(|node| node.paused)
        {
            self.nodes[node].deferred.push(what);
            return;
        }
        match what {
            What::Deliver { to, message } if to == self.nodes.len() => self.hub_receives(&message),
            What::Deliver { to, message } => self.step(to, Event::Received(message)),
            What::SeedFailed {
                node,
                incarnation,
                address,
            } if self.lives(node, incarnation) => {
                self.step(
                    node,
                    Event::SeedFailed {
                        address,
                        reason: SeedFailure::Unreachable,
                    },
                );
            }
            What::Timer {
                node,
                incarnation,
                timer,
            } if self.lives(node, incarnation) => {
                let is_newest = self.nodes[node].timer == timer;
                if is_newest {
                    self.step(node, Event::Tick);
                }
            }
            What::Stored {
                node,
                incarnation,
                record,
            } if self.lives(node, incarnation) => {
                if !self.nodes[node].api {
                    self.step(node, Event::StoreFailed);
                    return;
                }
                let writes = record.writes;
                self.checks
                    .stored(&self.nodes[node].id, self.nodes[node].stored.as_ref(), &record);
                self.nodes[node].stored = Some(*record);
                self.step(node, Event::Stored { writes });
            }
            What::HubRecord {
                node,
                incarnation,
                fleet,
                replaces,
            } if self.lives(node, incarnation) => {
                let cut = self.is_cut(node, self.nodes.len());
                let Some(hub) = self.hub.as_mut().filter(|_| !cut) else {
                    self.push(
                        self.now + Duration::from_secs(1),
                        What::HubRecord {
                            node,
                            incarnation,
                            fleet,
                            replaces,
                        },
                    );
                    return;
                };
                let now = hub.clock.local(self.now);
                let Some(witness) = &mut hub.witness else { return };
                let created = witness.claim(&fleet, replaces.as_ref(), now);
                hub.stored = Some(witness.record().clone());
                self.step(node, Event::HubRecord { created });
            }
            What::Engine { node, incarnation } if self.lives(node, incarnation) => self.engine(node),
            What::Written {
                node,
                incarnation,
                term,
                payload,
            } => {
                self.nodes[node].writes_in_flight -= 1;
                self.nodes[node].present = true;
                self.note(format!("{node} payload present, term {term}"));
                self.check_overlap(node);
                if self.lives(node, incarnation) {
                    self.step(node, Event::PayloadApplied { term, payload });
                    if self.lives(node, incarnation) {
                        self.step(node, Event::PayloadAvailable(true));
                    }
                }
            }
            What::Removed { node, removal } => self.removed(node, removal),
            What::Watchdog { node, publication } => self.watchdog(node, publication),
            What::Health { node } => {
                let api = self.nodes[node].api;
                self.step(node, Event::Health(Health { api, payload: true }));
            }
            What::Edited { node } => self.edit(node, |_| {}),
            What::Fault(fault) => self.inject(fault),
            _ => {}
        }
    }

    fn lives(&self, node: usize, incarnation: u64) -> bool {
        self.nodes[node].machine.is_some() && self.nodes[node].incarnation == incarnation
    }

    pub fn local(&self, node: usize) -> Time {
        self.nodes[node].clock.local(self.now)
    }

    /// Starts a process of the node's agent.
    pub fn start(&mut self, node: usize) {
        let now = self.local(node);
        let fresh = FleetId::from(format!("fleet-{}", self.rng.random::<u32>()).as_str());
        let defect = self.defect;
        let this = &mut self.nodes[node];
        if this.machine.is_some() || !this.exists {
            return;
        }
        this.incarnation += 1;
        this.wanted = Wanted::Nothing;
        let start = Start {
            id: this.id.clone(),
            record: this.stored.clone(),
            has_payload: this.intended || this.present,
            settings: this.settings.clone(),
            health: Health {
                api: this.api,
                payload: true,
            },
            fresh_fleet: fresh,
        };
        let mut machine = Machine::new(start, now);
        machine.leave_out(defect);
        this.machine = Some(machine);
        self.note(format!("{node} starts"));
        self.step(node, Event::Tick);
    }

    pub fn stop(&mut self, node: usize) {
        self.nodes[node].machine = None;
        self.nodes[node].paused = false;
        self.nodes[node].deferred.clear();
        self.note(format!("{node} dies"));
    }

    pub fn resume(&mut self, node: usize) {
        if !self.nodes[node].paused {
            return;
        }
        self.nodes[node].paused = false;
        let mut deferred = std::mem::take(&mut self.nodes[node].deferred);
        deferred.push(What::Edited { node });
        deferred.shuffle(&mut self.rng);
        self.note(format!("{node} goes on"));
        for what in deferred {
            self.handle(what);
            self.check();
        }
    }

    pub fn step(&mut self, node: usize, event: Event) {
        let now = self.local(node);
        let Some(mut machine) = self.nodes[node].machine.take() else {
            return;
        };
        if let Event::Received(message) = &event
            && !matches!(
                message.body,
                Body::GetState | Body::State(_) | Body::Renew(_) | Body::RenewReply(_)
            )
        {
            self.note(format!("{node} <- {} {:?}", message.header.sender, brief(message)));
        }
        let before = machine.status(now).state;
        let actions = machine.step(event, now);
        let after = machine.status(now);
        self.nodes[node].machine = Some(machine);
        if before != after.state {
            self.note(format!("{node} {before} -> {}, term {}", after.state, after.term));
        }
        for action in actions {
            self.act(node, action);
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        let incarnation = self.nodes[node].incarnation;
        match action {
            Action::Persist(record) => {
                if self.watchdog && self.is_faulty() && self.rng.random_bool(0.004) {
                    // Just before, or just after, the record is stored.
                    self.crash_soon(node, 60);
                }
                let most = if self.nodes[node].api { 40 } else { 1000 };
                self.soon(
                    1,
                    most,
                    What::Stored {
                        node,
                        incarnation,
                        record,
                    },
                );
            }
            Action::Send { to, message } => {
                if self.defect != Some(Defect::SendBeforeStored) {
                    self.checks.sent(&message, self.nodes[node].stored.as_ref());
                }
                self.checks.vote(&message);
                self.transmit(node, to, *message);
            }
            Action::ArmTimer(at) => {
                self.nodes[node].timer += 1;
                let timer = self.nodes[node].timer;
                let at = self.nodes[node].clock.global(at);
                self.push(
                    at,
                    What::Timer {
                        node,
                        incarnation,
                        timer,
                    },
                );
            }
            Action::ApplyPayload { term, payload } => {
                let grace = self.nodes[node].settings.fence;
                let old = if self.nodes[node].present {
                    self.nodes[node].grace
                } else {
                    Duration::ZERO
                };
                self.nodes[node].grace = grace.max(old);
                self.nodes[node].wanted = Wanted::Applied { term, payload };
                self.soon(0, 20, What::Engine { node, incarnation });
            }
            Action::RemovePayload { .. } => {
                self.nodes[node].wanted = Wanted::Removed;
                self.soon(0, 500, What::Engine { node, incarnation });
            }
            Action::PublishWindow { valid_for } => {
                if self.nodes[node].api && self.watchdog {
                    self.nodes[node].publication += 1;
                    let publication = self.nodes[node].publication;
                    let after = valid_for.saturating_sub(Duration::from_secs(1));
                    self.push(self.now + after.div_f64(1.01), What::Watchdog { node, publication });
                }
            }
            Action::ClaimHubRecord { fleet, replaces } => self.soon(
                5,
                50,
                What::HubRecord {
                    node,
                    incarnation,
                    fleet,
                    replaces,
                },
            ),
            Action::CallFenceHook { .. } => {}
            Action::Notify(notice) => self.noted(node, &notice),
            Action::Finish => {
                self.nodes[node].exists = false;
                self.note(format!("{node} object gone"));
                if self.nodes[node].present {
                    self.checks
                        .fail(format!("S9: the object of {node} is gone and its payload is not"));
                }
                self.nodes[node].machine = None;
            }
        }
    }

    fn noted(&mut self, node: usize, notice: &Notice) {
        self.note(format!("{node} {notice:?}"));
        if let Notice::Elected { term } = notice {
            let fleet = self.nodes[node]
                .machine
                .as_ref()
                .and_then(|machine| machine.status(Time::START).fleet);
            let id = self.nodes[node].id.clone();
            self.checks.elected(fleet, *term, &id, self.now);
            if self.watchdog && self.is_faulty() && self.rng.random_bool(0.2) {
                let most = if self.rng.random_bool(0.5) { 200 } else { 10_000 };
                self.crash_soon(node, most);
            }
        }
    }

    /// Faults that follow from what a member does have not ended yet.
    fn is_faulty(&self) -> bool {
        self.now + Duration::from_secs(5) < CALM
    }

    fn crash_soon(&mut self, node: usize, most: u64) {
        let lease = self.nodes[node].settings.lease;
        let share = if self.rng.random_bool(0.5) { 0.02 } else { 3.0 };
        let back = lease.mul_f64(self.rng.random_range(0.005..=share));
        let after = Duration::from_millis(self.rng.random_range(0..=most));
        self.at(self.now + after, Fault::Crash { node, back });
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }

    fn transmit(&mut self, from: usize, to: Address, message: Message) {
        let incarnation = self.nodes[from].incarnation;
        let target = match &to {
            Address::Member(id) => self.index(id),
            Address::Seed(address) => address.strip_prefix('n').and_then(|n| n.parse::<usize>().ok()),
        };
        let Some(target) = target else { return };
        let is_up = target == self.nodes.len() || self.nodes[target].machine.is_some();
        if let Address::Seed(address) = to
            && (!is_up || self.is_cut(from, target))
        {
            self.soon(
                1000,
                5000,
                What::SeedFailed {
                    node: from,
                    incarnation,
                    address,
                },
            );
            return;
        }
        self.carry(from, target, message);
    }

    fn carry(&mut self, from: usize, to: usize, message: Message) {
        if self.is_cut(from, to) || self.rng.random_bool(self.loss) {
            return;
        }
        let most = u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX);
        let copies = if self.loss > 0.0 && self.rng.random_bool(0.1) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            self.soon(
                1,
                most,
                What::Deliver {
                    to,
                    message: Box::new(message.clone()),
                },
            );
        }
    }

    fn index(&self, id: &MemberId) -> Option<usize> {
        if self.hub.as_ref().is_some_and(|hub| hub.id == *id) {
            return Some(self.nodes.len());
        }
        self.nodes.iter().position(|node| node.id == *id)
    }

    fn hub_receives(&mut self, message: &Message) {
        let from = self.nodes.len();
        let Some(hub) = &mut self.hub else { return };
        let now = hub.clock.local(self.now);
        let Some(answer) = hub.witness.as_mut().and_then(|witness| witness.answer(message, now)) else {
            return;
        };
        let record = hub.witness.as_ref().map(|witness| witness.record().clone());
        let id = hub.id.clone();
        if let Some(record) = record {
            self.checks.stored(&id, hub.stored.as_ref(), &record);
            hub.stored = Some(record);
        }
        self.checks.vote(&answer.message);
        if let Some(to) = self.index(&message.header.sender) {
            self.carry(from, to, answer.message);
        }
    }

    /// Another replica of the hub agent takes over.
    pub fn switch_hub(&mut self, lease: Duration) {
        let Some(hub) = &mut self.hub else { return };
        let now = hub.clock.local(self.now);
        hub.witness = Some(Witness::new(hub.id.clone(), hub.stored.clone(), lease, now));
    }

    /// One look of the payload's executor.
    fn engine(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation;
        let now = self.local(node);
        let timeout = failover::lease::write_timeout(self.nodes[node].settings.lease);
        let this = &mut self.nodes[node];
        let retry = What::Engine { node, incarnation };
        if !this.api {
            self.soon(300, 700, retry);
            return;
        }
        match this.wanted {
            Wanted::Nothing => {}
            Wanted::Applied { term, payload } => {
                let gate = this
                    .machine
                    .as_ref()
                    .is_some_and(|machine| machine.may_write(term, now, timeout));
                let open = gate || self.defect == Some(Defect::NoWriteGate);
                if !open || this.removal.is_some() {
                    self.soon(300, 700, retry);
                    return;
                }
                this.intended = true;
                this.writes_in_flight += 1;
                // The time-out is measured by the node's clock, which may be slow.
                let most = u64::try_from(timeout.mul_f64(0.98).as_millis()).unwrap_or(1000);
                let slow = self.rng.random_bool(0.3);
                let most = if slow { most } else { 50 };
                self.soon(
                    2,
                    most,
                    What::Written {
                        node,
                        incarnation,
                        term,
                        payload,
                    },
                );
            }
            Wanted::Removed => {
                if this.writes_in_flight > 0 {
                    self.soon(50, 100, retry);
                } else {
                    self.begin_removal(node);
                }
            }
        }
    }

    fn begin_removal(&mut self, node: usize) {
        if self.nodes[node].removal.is_some() {
            return;
        }
        self.nodes[node].removals += 1;
        let removal = self.nodes[node].removals;
        self.nodes[node].removal = Some(removal);
        let grace = self.nodes[node].grace.saturating_sub(Duration::from_millis(2500));
        let most = grace.div_f64(1.01);
        let most = u64::try_from(most.as_millis()).unwrap_or(1000).max(10);
        let what = What::Removed { node, removal };
        if self.nodes[node].present && self.rng.random_bool(0.7) {
            self.soon(most / 2, most, what);
        } else {
            self.soon(1, 200, what);
        }
    }

    fn removed(&mut self, node: usize, removal: u64) {
        if self.nodes[node].removal != Some(removal) {
            return;
        }
        if !self.nodes[node].api {
            self.soon(300, 700, What::Removed { node, removal });
            return;
        }
        let this = &mut self.nodes[node];
        this.removal = None;
        this.present = false;
        this.intended = this.writes_in_flight > 0;
        self.note(format!("{node} payload gone"));
        let incarnation = self.nodes[node].incarnation;
        match self.nodes[node].wanted {
            Wanted::Removed if !self.nodes[node].intended && self.nodes[node].machine.is_some() => {
                if self.nodes[node].paused {
                    self.nodes[node].deferred.push(What::Engine { node, incarnation });
                } else {
                    self.step(node, Event::PayloadRemoved);
                }
            }
            Wanted::Nothing => {}
            _ => self.soon(1, 100, What::Engine { node, incarnation }),
        }
    }

    fn watchdog(&mut self, node: usize, publication: u64) {
        let this = &self.nodes[node];
        if this.publication != publication || !(this.intended || this.present) {
            return;
        }
        if !this.api {
            // An outage alone removes nothing: a newer record has one renewal's time to appear.
            let renew = this.settings.renew;
            self.push(self.now + renew, What::Watchdog { node, publication });
            return;
        }
        if this
            .stored
            .as_ref()
            .is_some_and(|record| record.leads_by_lease(&this.id))
        {
            self.note(format!("{node} watchdog removes"));
            self.begin_removal(node);
        }
    }

    fn check_overlap(&mut self, node: usize) {
        let excuse = |this: &Node| {
            this.api_lost
                .is_some_and(|lost| self.now - lost < Duration::from_secs(400))
        };
        let other = (0..self.nodes.len())
            .find(|other| *other != node && self.nodes[*other].present && !excuse(&self.nodes[*other]));
        if let Some(other) = other {
            self.checks
                .fail(format!("S3: the payload runs in {node} and in {other}"));
        }
    }

    fn check(&mut self) {
        let mut valid = None;
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(machine) = &node.machine else { continue };
            if machine.valid_until() <= node.clock.local(self.now) {
                continue;
            }
            if let Some(other) = valid {
                self.checks.fail(format!("S1: {other} and {index} lead at once"));
                return;
            }
            valid = Some(index);
        }
    }

    /// The API server of a node goes away or comes back; its agent notices a little later.
    pub fn set_api(&mut self, node: usize, up: bool) {
        self.nodes[node].api = up;
        if !up || self.nodes[node].api_lost.is_some() {
            self.nodes[node].api_lost = Some(self.now);
        }
        self.note(format!("{node} API server {}", if up { "back" } else { "away" }));
        self.soon(500, 3000, What::Health { node });
    }

    pub fn edit(&mut self, node: usize, edit: impl FnOnce(&mut Settings)) {
        edit(&mut self.nodes[node].settings);
        let settings = self.nodes[node].settings.clone();
        if self.nodes[node].paused {
            return;
        }
        self.step(node, Event::Settings(Box::new(settings)));
    }

    pub fn states(&self) -> BTreeMap<usize, &'static str> {
        let state = |(index, node): (usize, &Node)| {
            Some((index, node.machine.as_ref()?.status(node.clock.local(self.now)).state))
        };
        self.nodes.iter().enumerate().filter_map(state).collect()
    }
}

fn brief(message: &Message) -> String {
    let text = format!("{:?}", message.body);
    let end = text.find(['(', '{']).unwrap_or(text.len()).min(20);
    format!(
        "{} t{} v{}.{}",
        &text[..end],
        message.header.term,
        message.header.version.term,
        message.header.version.number
    )
}
