//! A thousand members' sessions with one hub, of both kinds of reporting.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::simulated_members::{SimulatedMember, SimulatedMembers};
use kit::rest::Call;
use member_agent::link::{self as member_link, Identity, Objects, Way};
use serde_json::Value;

use crate::world::{RECORDS, World};

const MEMBERS: usize = 1000;
/// Every so many writes its records itself.
const WRITES_ITSELF: usize = 50;
/// Every so many changes while the hub agent is away.
const CHANGES: usize = 10;
const WITHIN: Duration = Duration::from_secs(120);

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}

async fn one(world: &World, number: usize) -> SimulatedMember {
    let name = format!("m{number}");
    world.join(&name).await;
    let way = if number.is_multiple_of(WRITES_ITSELF) {
        Way::Objects(Objects {
            hub: world.client_of(&name),
            cluster: name.clone(),
            traffic_manager: true,
        })
    } else {
        let token = world.folder.join(format!("token-{name}"));
        std::fs::write(&token, world.token(&name).await).unwrap();
        let config = member_link::Config::new(
            format!("https://127.0.0.1:{}", world.port),
            world.folder.join("ca.crt"),
            Identity::TokenFile(token),
            name.clone(),
        );
        member_link::Config {
            spread: Duration::from_secs(3),
            ..config
        }
        .into()
    };
    SimulatedMember::start(&name, 1, way).unwrap()
}

/// Port of every record, by the member.
async fn ports(world: &World) -> BTreeMap<String, u64> {
    let call = Call::new(http::Method::GET, RECORDS.collection(None), "list all records");
    let all: Value = call.json(world.user.client()).await.unwrap();
    let of = |record: &Value| {
        let member = record["spec"]["serviceReference"]["clusterId"]
            .as_str()
            .unwrap()
            .to_owned();
        (member, record["spec"]["ports"][0]["port"].as_u64().unwrap())
    };
    all["items"].as_array().unwrap().iter().map(of).collect()
}

async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !check().await {
        assert!(began.elapsed() < WITHIN, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_members_come_back_after_a_restart_of_the_hub_and_nothing_is_lost_or_written_twice() {
    let mut world = World::new().await;
    world.config.ping_interval = Duration::from_secs(10);
    world.config.drain = Duration::from_millis(500);
    world.config.drain_each = Duration::from_millis(2);
    world.start();
    let before = resident();
    let began = Instant::now();
    let mut fleet = SimulatedMembers::default();
    for number in 0..MEMBERS {
        fleet.take(one(&world, number).await);
    }
    fleet.until_accepted(1, WITHIN).await.unwrap();
    let sessions = i64::try_from(MEMBERS - MEMBERS.div_ceil(WRITES_ITSELF)).unwrap();
    assert_eq!(world.metrics.as_ref().unwrap().sessions.get(), sessions);
    println!(
        "{MEMBERS} members joined and were recorded within {:?}; {:.0} KiB each for both ends and both API servers",
        began.elapsed(),
        (resident() - before) * 1024.0 / 1000.0
    );
    assert_eq!(ports(&world).await.len(), MEMBERS);

    let written = world.writes();
    let ended = Instant::now();
    world.stop().await;
    println!("the hub let its members go within {:?}", ended.elapsed());
    let changed = |number: &usize| number.is_multiple_of(CHANGES);
    for (_, one) in fleet.members().iter().enumerate().filter(|(number, _)| changed(number)) {
        one.bare.set_port(&one.export(0), 81);
    }
    world.start();
    let began = Instant::now();
    let metrics = world.metrics.clone().unwrap();
    let mut arrivals = Vec::new();
    let mut seen = 0;
    let took = until("every session is open again", async || {
        let now = metrics.sessions.get();
        if now > seen {
            arrivals.push((began.elapsed(), now - seen));
            seen = now;
        }
        now == sessions
    })
    .await;
    let most = arrivals.iter().map(|(_, some)| *some).max().unwrap();
    println!("all sessions were open again within {took:?}, at most {most} between two looks");
    let all = u64::try_from(sessions).unwrap();
    let took = until("every session has synced", async || world.syncs() == all).await;
    println!("and synced {took:?} later");
    let expected: BTreeMap<String, u64> = (0..MEMBERS)
        .map(|number| (format!("m{number}"), if changed(&number) { 81 } else { 80 }))
        .collect();
    until("every change is recorded", async || ports(&world).await == expected).await;
    fleet.until_accepted(1, WITHIN).await.unwrap();
    // A changed record costs a write and its verdict; one that its member wrote itself costs the verdict. Nothing else
    // is touched.
    let own = (0..MEMBERS)
        .filter(|number| changed(number) && number.is_multiple_of(WRITES_ITSELF))
        .count();
    let over_sessions = (0..MEMBERS).filter(changed).count() - own;
    let least = u64::try_from(2 * over_sessions + own).unwrap();
    until("every verdict is written", async || world.writes() - written >= least).await;
    assert_eq!(world.writes() - written, least);
    let waiting = fleet
        .members()
        .iter()
        .filter(|one| one.metrics.oldest.get() != 0)
        .count();
    assert_eq!(waiting, 0, "nothing waits for the hub any more");
    fleet.end().await;
    world.stop().await;
}
