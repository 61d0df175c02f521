//! Many exports that change while endpoints are written at a limited rate: never more than one write for each changed
//! endpoint, none is forgotten, and none waits for ever.

use std::collections::BTreeMap;

use fairway_core::traffic::arm::{Action, Call, Failure};
use fairway_core::traffic::{self, Batch, Collecting, Lately};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::world::{START, World, backend, export};

/// Of time in these tests.
const STEP: SignedDuration = SignedDuration::from_millis(10);
/// Between two writes (networking 12.1).
const TURN: SignedDuration = SignedDuration::from_millis(100);

/// A hub with profiles, each with one backend of weight 1000 for a service of its own.
struct Hub {
    profiles: Vec<Profile>,
    lately: Lately,
    now: Timestamp,
    /// How many steps the answer to a call takes.
    latency: i32,
    next_turn: Timestamp,
    had_turn: usize,
}

struct Profile {
    world: World,
    collecting: Collecting,
    batch: Batch,
    answers: Vec<(Timestamp, Call, Result<Value, Failure>)>,
    due: Timestamp,
    writes: BTreeMap<String, Vec<Timestamp>>,
    /// How often what is wanted of an endpoint has changed.
    wishes: BTreeMap<String, usize>,
}

impl Hub {
    /// Settled, with exports of weight 1.
    fn new(profiles: usize, members: usize, latency: i32) -> Self {
        let now = Timestamp::from_second(START).unwrap();
        let profile = || {
            let mut world = World::new();
            world.add(backend("b", 1000));
            let names: Vec<String> = (0..members).map(name).collect();
            let exports: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
            world.export(&exports);
            world.settle();
            Profile {
                world,
                collecting: Collecting::default(),
                batch: Batch::default(),
                answers: Vec::new(),
                due: now,
                writes: BTreeMap::new(),
                wishes: BTreeMap::new(),
            }
        };
        let mut hub = Self {
            profiles: (0..profiles).map(|_| profile()).collect(),
            lately: Lately::default(),
            now,
            latency,
            next_turn: now,
            had_turn: 0,
        };
        hub.run(1000);
        hub
    }

    fn change(&mut self, profile: usize, member: usize, weight: i64) {
        let profile = &mut self.profiles[profile];
        let before = profile.wanted();
        match profile.world.services["service"]
            .exporters
            .iter()
            .any(|e| e.cluster == name(member))
        {
            true => profile.world.exporter(&name(member)).weight = weight,
            false => {
                let service = profile.world.services.get_mut("service").unwrap();
                service.exporters.push(export(&name(member), weight));
            }
        }
        for (name, weight) in profile.wanted() {
            if before.get(&name) != Some(&weight) {
                *profile.wishes.entry(name).or_default() += 1;
            }
        }
        profile.due = self.now;
    }

    fn run(&mut self, millis: i64) {
        let end = self.now + SignedDuration::from_millis(millis);
        while self.now < end {
            let mut looks = true;
            while std::mem::take(&mut looks) {
                for profile in &mut self.profiles {
                    looks |= profile.work(&mut self.lately, self.now, STEP * self.latency);
                }
            }
            self.turn();
            self.now += STEP;
        }
    }

    /// Profiles take turns.
    fn turn(&mut self) {
        let count = self.profiles.len();
        let waits = |at: &usize| self.profiles[*at].batch.is_waiting();
        let order = (1..=count).map(|n| (self.had_turn + n) % count);
        let Some(at) = order.into_iter().find(waits).filter(|_| self.next_turn <= self.now) else {
            return;
        };
        (self.had_turn, self.next_turn) = (at, self.now + TURN);
        let profile = &mut self.profiles[at];
        let call = profile.batch.take_next().unwrap();
        let Action::WriteEndpoint { name, .. } = &call.action else {
            panic!("{call:?}")
        };
        profile.writes.entry(name.clone()).or_default().push(self.now);
        profile.send(call, self.now + STEP * self.latency);
    }

    fn is_right(&mut self) -> bool {
        self.profiles.iter_mut().all(|profile| {
            let wanted = profile.wanted();
            profile.held() == wanted && profile.batch.is_over()
        })
    }

    fn writes(&self) -> Vec<usize> {
        let all = self.profiles.iter().flat_map(|profile| profile.writes.values());
        all.map(Vec::len).collect()
    }
}

impl Profile {
    fn wanted(&self) -> BTreeMap<String, i64> {
        let exporters = self.world.services["service"].exporters.iter();
        let exports: BTreeMap<&str, i64> = exporters
            .map(|e| (e.cluster.as_str(), e.export.as_ref().unwrap().weight))
            .collect();
        let weights: Vec<i64> = exports.values().copied().collect();
        let shares = api::networking::weights::spread(1000, &weights);
        let names = exports.keys().map(|cluster| format!("fleet-b#service#{cluster}"));
        names.zip(shares).collect()
    }

    /// The weights that the traffic manager holds.
    fn held(&mut self) -> BTreeMap<String, i64> {
        let all = self.world.atm.endpoints().iter().map(|endpoint| {
            let name = endpoint["name"].as_str().unwrap().to_owned();
            (name, endpoint["properties"]["weight"].as_i64().unwrap())
        });
        all.collect()
    }

    fn send(&mut self, call: Call, answered_at: Timestamp) {
        let answer = self.world.atm.answer(&call);
        self.answers.push((answered_at, call, answer));
    }

    /// Takes answers that are due, and a pass if one is. Returns whether it did any.
    fn work(&mut self, lately: &mut Lately, now: Timestamp, latency: SignedDuration) -> bool {
        let (answered, open) = std::mem::take(&mut self.answers)
            .into_iter()
            .partition(|(at, _, _)| *at <= now);
        self.answers = open;
        for (_, call, answer) in answered {
            self.world.observed.record(&call, answer, now);
            self.batch.answered();
            if self.batch.is_over() {
                self.due = now;
            }
        }
        if self.due > now {
            return false;
        }
        self.world.now = now;
        self.world.collected = self.collecting.update(&self.world.services, lately, now);
        let mut slice = self.world.slice();
        slice.in_flight = !self.batch.is_over();
        let plan = traffic::plan(&slice, now);
        let mut is_done = true;
        for write in plan.writes() {
            self.world.write(write);
            is_done = false;
        }
        self.collecting.differ(&plan.facts.differing, now);
        let was_waiting = self.batch.is_waiting();
        self.batch.revise(&plan.facts.revised);
        is_done &= !was_waiting || !self.batch.is_over();
        for call in self.batch.begin(plan.facts.calls.clone()) {
            self.send(call, now + latency);
        }
        let wait = plan
            .requeue
            .map_or(STEP * 1000, |wait| SignedDuration::try_from(wait).unwrap());
        self.due = if is_done { now + wait.max(STEP) } else { now };
        !is_done
    }
}

fn name(member: usize) -> String {
    format!("m{member:03}")
}

/// Numbers that look random, the same each time.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |n| (n * 617 + 271) % count)
}

#[test]
fn a_thousand_exports_that_change_within_twelve_seconds_cost_a_thousand_writes() {
    let mut hub = Hub::new(10, 100, 3);
    for at in shuffled(1000) {
        let (profile, member) = (at % 10, at / 10);
        hub.change(profile, member, if member.is_multiple_of(2) { 2 } else { 3 });
        hub.run(12);
    }
    assert_eq!(hub.writes(), Vec::<usize>::new(), "not before all have changed");
    hub.run(105_000);
    assert!(hub.is_right());
    assert_eq!(hub.writes(), [1; 1000]);
}

#[test]
fn one_change_is_written_at_once_also_while_many_others_wait_for_their_turns() {
    // One change leaves the shares of 35 neighbours as they are.
    let mut hub = Hub::new(3, 36, 3);
    hub.change(0, 7, 2);
    hub.run(1000);
    let written = hub.profiles[0].writes.values().flatten().min().unwrap();
    let took = written.duration_since(hub.now - SignedDuration::from_secs(1));
    assert!(took < SignedDuration::from_millis(400), "{took:?}");
    for profile in 1..3 {
        (0..36).for_each(|member| hub.change(profile, member, 1 + i64::try_from(member % 3).unwrap()));
    }
    hub.run(3500);
    assert!(hub.profiles[1].batch.is_waiting());
    hub.change(0, 7, 1);
    hub.run(1000);
    assert_eq!(hub.profiles[0].writes["fleet-b#service#m007"].len(), 2);
}

#[test]
fn no_endpoint_waits_for_ever_while_its_neighbours_change_all_the_time() {
    let mut hub = Hub::new(2, 30, 3);
    let mut since: BTreeMap<(usize, String), Timestamp> = BTreeMap::new();
    for round in 0..600 {
        hub.change(0, 1 + round % 28, 1 + i64::try_from(round % 17).unwrap());
        hub.change(1, 1 + round % 28, 1 + i64::try_from(round % 13).unwrap());
        hub.run(200);
        for (at, profile) in hub.profiles.iter_mut().enumerate() {
            let held = profile.held();
            for (name, weight) in profile.wanted() {
                let key = (at, name);
                if held.get(&key.1) == Some(&weight) {
                    since.remove(&key);
                    continue;
                }
                let waited = hub.now.duration_since(*since.entry(key.clone()).or_insert(hub.now));
                // The longest time of collecting, and the turns of the others.
                assert!(
                    waited < SignedDuration::from_secs(30 + 8),
                    "{key:?} waits for {waited:?}"
                );
            }
        }
    }
    let most = hub.writes().into_iter().max().unwrap();
    assert!((3..=5).contains(&most), "{most} writes of one endpoint within 120 s");
    hub.run(15_000);
    assert!(hub.is_right());
}

#[derive(Debug, Clone)]
enum Event {
    Change(usize, usize, i64),
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..2_usize, 0..6_usize, 1..9_i64).prop_map(|(profile, member, weight)| Event::Change(profile, member, weight)),
        1 => (1..3000_i64).prop_map(Event::Wait),
        2 => (1..50_i64).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_endpoint_is_written_no_more_often_than_what_is_wanted_of_it_changes(
        events in proptest::collection::vec(event(), 0..40),
        latency in 1..80_i32,
    ) {
        let mut hub = Hub::new(2, 4, latency);
        for event in &events {
            match event {
                Event::Change(profile, member, weight) => hub.change(*profile, *member, *weight),
                Event::Wait(millis) => hub.run(*millis),
            }
        }
        let before: Vec<BTreeMap<String, usize>> = hub
            .profiles
            .iter()
            .map(|profile| profile.writes.iter().map(|(name, all)| (name.clone(), all.len())).collect())
            .collect();
        hub.run(10_000);
        prop_assert!(hub.is_right());
        for (profile, before) in hub.profiles.iter().zip(before) {
            for (name, writes) in &profile.writes {
                let wishes = profile.wishes.get(name).copied().unwrap_or_default();
                prop_assert!(writes.len() <= wishes, "{name}: {} writes for {wishes} values", writes.len());
                let since = writes.len() - before.get(name).copied().unwrap_or_default();
                prop_assert!(since <= 1, "{name}: {since} writes after the last change");
            }
        }
    }
}
