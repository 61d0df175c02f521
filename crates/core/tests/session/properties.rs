//! Properties of sessions, over random lives.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::fleet::{Fleet, export, key};
use crate::hub::{Fate, is_bad};

/// Something that happens. Agents are named by whether they are the one that was replaced.
#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8),
    Unset(u8),
    Connect(bool),
    Cut(bool),
    Sync(bool),
    Send(bool),
    Read,
    Finish(usize, Fate),
    Receive(bool),
    Release,
    RestartHub,
    RestartMember(bool),
    Tamper(u8, bool),
    Ask,
    Time(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![6 => Just(Fate::Done), 1 => Just(Fate::Failed), 1 => Just(Fate::Lost)];
    let stale = prop::bool::weighted(0.2);
    prop_oneof![
        8 => (0..8_u8, 0..4_u8).prop_map(|(number, version)| Step::Set(number, version)),
        3 => (0..8_u8).prop_map(Step::Unset),
        4 => stale.prop_map(Step::Connect),
        1 => stale.prop_map(Step::Cut),
        2 => stale.prop_map(Step::Sync),
        24 => stale.prop_map(Step::Send),
        24 => Just(Step::Read),
        20 => (0..4_usize, fate).prop_map(|(which, fate)| Step::Finish(which, fate)),
        20 => stale.prop_map(Step::Receive),
        3 => Just(Step::Release),
        1 => Just(Step::RestartHub),
        1 => any::<bool>().prop_map(Step::RestartMember),
        1 => (0..8_u8, any::<bool>()).prop_map(|(number, delete)| Step::Tamper(number, delete)),
        3 => Just(Step::Ask),
        1 => (1..40_i64).prop_map(Step::Time),
    ]
}

fn happen(fleet: &mut Fleet, step: &Step) {
    match *step {
        Step::Set(number, version) => fleet.set(key(number), export(version)),
        Step::Unset(number) => fleet.unset(&key(number)),
        Step::Connect(stale) => fleet.connect(stale),
        Step::Cut(stale) => fleet.cut(stale),
        Step::Sync(stale) => fleet.sync(stale),
        Step::Send(stale) => fleet.send(stale),
        Step::Read => fleet.hub.read(),
        Step::Finish(which, fate) => fleet.hub.finish(which, fate),
        Step::Receive(stale) => fleet.receive(stale),
        Step::Release => fleet.release(),
        Step::RestartHub => fleet.restart_hub(),
        Step::RestartMember(new_lease) => fleet.restart_member(new_lease),
        Step::Tamper(number, delete) => fleet.hub.tamper(&key(number), delete),
        Step::Ask => fleet.hub.ask(),
        Step::Time(seconds) => fleet.hub.now += seconds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// While things fail, nothing is overwritten by something older, nothing that is exported is removed by a sync, and
    /// what is acknowledged is recorded: the model checks that at each step. Once nothing fails any more, the records
    /// are what the member exports, and a further session writes nothing.
    #[test]
    fn whatever_fails_the_records_become_what_the_member_exports(steps in prop::collection::vec(step(), 0..400)) {
        let mut fleet = Fleet::new();
        for step in &steps {
            happen(&mut fleet, step);
        }
        fleet.settle();
        let mut expected = BTreeSet::new();
        for (key, report) in &fleet.truth {
            let recorded = fleet.hub.records.get(key).map(|record| &record.report);
            // What the hub refuses leaves the record before as it was, or none.
            if !is_bad(report) {
                prop_assert_eq!(recorded, Some(report), "{}", key);
            }
            expected.extend(recorded.map(|_| key));
        }
        let recorded: BTreeSet<_> = fleet.hub.records.keys().collect();
        prop_assert_eq!(recorded, expected, "nothing is left over");

        let written = fleet.hub.writes;
        fleet.cut(false);
        fleet.settle();
        fleet.restart_hub();
        fleet.settle();
        fleet.restart_member(true);
        fleet.settle();
        prop_assert_eq!(fleet.hub.writes, written, "nothing has changed, so nothing is written");
    }
}
