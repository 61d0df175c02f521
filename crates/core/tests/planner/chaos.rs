//! Random lives in which everything changes at once: content, overrides, policy, strategy, members, answers, and what
//! people delete by hand. After each step the planner is at rest and its statuses are well-formed; then, with good members,
//! every Work that no mistake concerns is up to date; in the end, with good content, every cluster has exactly what it
//! should have.

mod checks;
mod life;

use api::kinds;
use fairway_core::placement::recording::Recording;
use proptest::prelude::*;

use checks::{check, check_end, check_neighbours};
use life::Life;

const MEMBERS: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];
const NAMESPACE: &str = "app";

/// Something that happens.
#[derive(Debug, Clone)]
enum Happening {
    Content(u8),
    Second(bool),
    Envelope(Envelope),
    Override(Override),
    Policy { count: u8, only_x: bool },
    Apply(Apply),
    Limit(u8),
    Join(usize),
    Leaving(usize),
    Gone(usize),
    Label(usize, bool),
    Taint(usize),
    Answer(Answer),
    AnswerOf(usize, Answer),
    WorksGone,
    Time(u8),
    DeleteWork(usize),
    DeleteBinding(usize),
    DeleteSnapshots(bool),
    Namespace(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    None,
    Good,
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Override {
    None,
    Good(u8),
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apply {
    Client,
    Server,
    Diff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Available,
    Untrackable,
    Unavailable,
    Failed,
}

/// How clusters are picked, which never changes, and in which scope the placement lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Number,
    Fixed,
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Available),
        1 => Just(Answer::Untrackable),
        1 => Just(Answer::Unavailable),
        1 => Just(Answer::Failed),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let who = || 0..MEMBERS.len();
    let envelope = prop_oneof![Just(Envelope::None), Just(Envelope::Good), Just(Envelope::Broken)];
    let over = prop_oneof![
        1 => Just(Override::None),
        2 => (0..3_u8).prop_map(Override::Good),
        1 => Just(Override::Broken),
    ];
    let apply = prop_oneof![Just(Apply::Client), Just(Apply::Server), Just(Apply::Diff)];
    prop_oneof![
        2 => (0..4_u8).prop_map(Happening::Content),
        1 => any::<bool>().prop_map(Happening::Second),
        1 => envelope.prop_map(Happening::Envelope),
        2 => over.prop_map(Happening::Override),
        2 => (0..5_u8, any::<bool>()).prop_map(|(count, only_x)| Happening::Policy { count, only_x }),
        1 => apply.prop_map(Happening::Apply),
        1 => (1..4_u8).prop_map(Happening::Limit),
        1 => who().prop_map(Happening::Join),
        1 => who().prop_map(Happening::Leaving),
        1 => who().prop_map(Happening::Gone),
        1 => (who(), any::<bool>()).prop_map(|(who, x)| Happening::Label(who, x)),
        1 => who().prop_map(Happening::Taint),
        4 => answer().prop_map(Happening::Answer),
        2 => (who(), answer()).prop_map(|(who, answer)| Happening::AnswerOf(who, answer)),
        2 => Just(Happening::WorksGone),
        2 => (1..90_u8).prop_map(Happening::Time),
        1 => who().prop_map(Happening::DeleteWork),
        1 => who().prop_map(Happening::DeleteBinding),
        1 => any::<bool>().prop_map(Happening::DeleteSnapshots),
        1 => any::<bool>().prop_map(Happening::Namespace),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_at_once_ends_well(
        mode in prop_oneof![Just(Mode::All), Just(Mode::Number), Just(Mode::Fixed)],
        (namespaced, accessible, delayed) in any::<(bool, bool, bool)>(),
        rounds in prop::collection::vec(prop::collection::vec(happening(), 1..4), 1..14),
    ) {
        let mut life = Life::new(mode, namespaced, accessible, delayed);
        for happenings in &rounds {
            happenings.iter().for_each(|happening| life.happen(happening));
            let before = life.hub.placement().clone();
            let (pass, recording) = life.hub.record();
            let read: Recording = serde_json::from_str(&serde_json::to_string(&recording).unwrap()).unwrap();
            prop_assert_eq!(&read.replay(), &pass, "a recording replays to the same plan");
            prop_assert_eq!(&read.explain().0, &pass, "an explanation changes nothing");
            life.hub.settle();
            check(&life, &before)?;
        }
        life.calm();
        check_neighbours(&life)?;
        life.recover();
        check_end(&life)?;
        life.hub.delete_placement();
        life.hub.settle();
        life.hub.finish_works();
        // Overrides outlive it; the copy of the status goes with its owner.
        let others = [kinds::RESOURCE_OVERRIDE_SNAPSHOT, kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS];
        life.hub.objects.retain(|target, _| !others.contains(&target.resource));
        prop_assert!(life.hub.objects.is_empty(), "{:?}", life.hub.objects.keys().collect::<Vec<_>>());
    }
}
