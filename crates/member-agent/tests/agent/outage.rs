//! A hub that is away for a while.

use std::time::Duration;

use apiserver::{Action, Matcher};
use tokio::time::Instant;

use crate::world::{USER, World};

#[tokio::test(start_paused = true)]
async fn a_heartbeat_arrives_within_half_a_period_of_the_hubs_return_however_long_it_was_away() {
    for (period, away) in [(15, 20), (15, 75), (60, 61), (60, 75)] {
        let world = World::start().await;
        world.want_heartbeats(period).await;
        let heartbeat = async || world.membership().await["status"]["agentStatus"][0]["lastReceivedHeartbeat"].clone();
        let next = async |within: Duration| {
            let (last, began) = (heartbeat().await, Instant::now());
            while heartbeat().await == last {
                let waited = began.elapsed();
                assert!(
                    waited < within,
                    "away for {away} s: no heartbeat of {period} s within {waited:?}"
                );
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let period = Duration::from_secs(period);
        next(period * 2).await;
        next(period * 2).await;

        let faults = world.hub.faults();
        let outage = faults.add(Matcher::any().user(USER), Action::HangUp);
        faults.drop_watches(Matcher::any());
        let last = heartbeat().await;
        tokio::time::sleep(Duration::from_secs(away)).await;
        assert_eq!(heartbeat().await, last, "the hub is away");

        faults.remove(outage);
        // It is due already, so it comes much sooner than one period later.
        next(period / 2).await;
        // And then as usual.
        next(period * 2).await;
    }
}
