//! Seeded runs of whole fleets in virtual time (multicluster-failover C.3).
//!
//! A failing seed is printed with what happened last, and is run again alone with
//! `FAILOVER_SEED=<seed> cargo test -p failover --test simulation -- --nocapture seeds`.

mod check;
mod fault;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use failover::defect::Defect;
use failover::machine::settings::Preemption;
use world::World;

const SEEDS: u64 = 10_000;
const SEEDS_PER_DEFECT: u64 = 4_000;

/// Runs one seed and returns its violation.
fn run(seed: u64, defect: Option<Defect>) -> Result<World, Box<(World, String)>> {
    let mut world = World::new(seed, defect);
    fault::draw(&mut world);
    world.run(fault::END);
    if let Some(violation) = world.checks.violation.clone() {
        return Err(Box::new((world, violation)));
    }
    match is_settled(&world) {
        Ok(()) => Ok(world),
        Err(violation) => Err(Box::new((world, violation))),
    }
}

/// Liveness (multicluster-failover C.2): one member leads and runs the payload, and nothing changes any more.
fn is_settled(world: &World) -> Result<(), String> {
    let states = world.states();
    let leaders: Vec<usize> = states
        .iter()
        .filter(|(_, state)| **state == "Leader")
        .map(|(node, _)| *node)
        .collect();
    let [leader] = leaders[..] else {
        return Err(format!("V1: states are {states:?}"));
    };
    let present: Vec<usize> = (0..world.nodes.len())
        .filter(|node| world.nodes[*node].present)
        .collect();
    if present != [leader] {
        return Err(format!("V1: {leader} leads and the payload is in {present:?}"));
    }
    let others = states
        .iter()
        .filter(|(node, state)| **node != leader && **state != "Follower");
    if others.count() > 0 || states.len() != world.nodes.len() {
        return Err(format!("V4: states are {states:?}"));
    }
    let best = world.nodes.iter().map(|node| node.settings.rank).max();
    let own = world.nodes[leader].settings.rank;
    let moves = world
        .nodes
        .iter()
        .all(|node| node.settings.preemption != Preemption::Never);
    if moves && Some(own) != best {
        return Err(format!(
            "V1: {leader} of rank {own} leads, the highest rank is {best:?}"
        ));
    }
    Ok(())
}

/// Runs seeds on all processors until one fails.
fn sweep(seeds: std::ops::Range<u64>, defect: Option<Defect>) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicU64::new(u64::MAX);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || seed > failed.load(Ordering::Relaxed) {
                        return;
                    }
                    if run(seed, defect).is_err() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Some(failed.load(Ordering::Relaxed)).filter(|seed| *seed != u64::MAX)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the seed to run again is given by hand")]
fn seeds_hold_every_invariant_and_settle() {
    let chosen = std::env::var("FAILOVER_SEED").ok().and_then(|seed| seed.parse().ok());
    let failed = match chosen {
        Some(seed) => run(seed, None).is_err().then_some(seed),
        None => sweep(0..SEEDS, None),
    };
    if let Some(seed) = failed
        && let Err(failure) = run(seed, None)
    {
        let (world, violation) = *failure;
        panic!("{}\nseed {seed}: {violation}", world.trace());
    }
}

/// The rules that are left out on purpose, each alone: some run notices.
#[test]
fn a_rule_that_is_left_out_is_noticed() {
    let defects = [
        Defect::DebtNotInherited,
        Defect::SendBeforeStored,
        Defect::PromotedUnrenewed,
        Defect::NoQuarantine,
        Defect::VoteDespitePromise,
        Defect::NoFenceWait,
        Defect::NoLeaseMargin,
        Defect::LeaseFromAnswer,
        Defect::NoWriteGate,
        Defect::CommitAtOnce,
        Defect::QuorumOfReachable,
        Defect::DemotingCancellable,
        Defect::ReleaseFromFenceWait,
    ];
    let mut unnoticed = Vec::new();
    for defect in defects {
        let Some(seed) = sweep(0..SEEDS_PER_DEFECT, Some(defect)) else {
            unnoticed.push(defect);
            continue;
        };
        if let Err(failure) = run(seed, Some(defect)) {
            println!("{defect:?}: seed {seed}: {}", failure.1);
        }
    }
    assert!(
        unnoticed.is_empty(),
        "no run notices that these rules are left out: {unnoticed:?}"
    );
}
