//! Who dials whom, and when.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use failover::member::MemberId;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::event::Event;
use crate::failure::DialFailure;
use crate::handshake::{self, Established};
use crate::registry::Registry;
use crate::shared::Shared;

/// Pauses between attempts to reach a peer: one second, doubled up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Keeps a connection to every peer with an address, and replaces those that are old. Ends with the member.
pub(crate) async fn keep_connected(shared: Arc<Shared>) {
    loop {
        let next = dial_due(&shared, Instant::now());
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.changed.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// Begins to dial the peers that are due; when the next one will be.
fn dial_due(shared: &Arc<Shared>, now: Instant) -> Instant {
    let pairs = shared.pairs.lock();
    let mut peers = shared.peers.lock();
    let mut next = now + shared.limits.age;
    for (member, peer) in peers.iter_mut().filter(|(_, peer)| !peer.dialling) {
        let due = match pairs.current(member) {
            // Who has dialled replaces.
            Some(handle) if handle.dialled.is_some() => peer.next.max(handle.opened + shared.limits.age),
            Some(_) => continue,
            None => peer.next,
        };
        if due > now {
            next = next.min(due);
            continue;
        }
        peer.dialling = true;
        let (shared, member, address) = (shared.clone(), member.clone(), peer.address.clone());
        shared.clone().tasks.spawn(async move {
            let failure = reach(&shared, &member, &address).await.err();
            // Before anything else: the next attempt does not depend on whether somebody hears of this one.
            settle(&shared, &member, failure.is_some());
            if let Some(failure) = failure {
                shared.report(Event::PeerFailed { member, failure }).await;
            }
        });
    }
    next
}

async fn reach(shared: &Arc<Shared>, member: &MemberId, address: &str) -> Result<(), DialFailure> {
    let established = dial(shared, address, Some(member)).await?;
    match shared.open(established, Some(address.to_owned())).await {
        Some(_) => Ok(()),
        None => Err(DialFailure::Local("there are too many connections".to_owned())),
    }
}

fn settle(shared: &Shared, member: &MemberId, failed: bool) {
    if let Some(peer) = shared.peers.lock().get_mut(member) {
        peer.dialling = false;
        peer.failures = if failed { peer.failures.saturating_add(1) } else { 0 };
        peer.next = Instant::now() + pause(peer.failures);
    }
    shared.changed.notify_one();
}

/// A pause after so many failures in a row, shortened by up to a half so that members do not keep step. After a success
/// too: the other side may end each connection as soon as it is up.
fn pause(failures: u32) -> Duration {
    let longest = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

/// Dials within the limit; a panic on the way is a failure like any other.
async fn dial(shared: &Shared, address: &str, target: Option<&MemberId>) -> Result<Established, DialFailure> {
    let (local, limit) = (shared.local(), shared.limits.dial);
    let (address, target) = (address.to_owned(), target.cloned());
    let dialled = AbortOnDropHandle::new(tokio::spawn(async move {
        timeout(limit, handshake::dial(&address, &local, target.as_ref())).await
    }));
    tokio::select! {
        () = shared.stop.cancelled() => Err(DialFailure::Local("this member is ending".to_owned())),
        dialled = dialled => match dialled {
            Ok(Ok(dialled)) => dialled,
            Ok(Err(_)) => Err(DialFailure::Unreachable(format!("not within {limit:?}"))),
            Err(error) => Err(DialFailure::Local(error.to_string())),
        }
    }
}

/// Dials an address without knowing who is there, and sends what waits for its answer.
pub(crate) async fn ask(shared: Arc<Shared>, registry: Arc<Registry>, address: String) {
    let answered = match dial(&shared, &address, None).await {
        // The address leads back here, where other members with the same callsign may be.
        Err(DialFailure::Own) => match registry.sibling(&shared) {
            Some(sibling) => dial(&shared, &address, Some(&sibling)).await,
            None => Err(DialFailure::Own),
        },
        answered => answered,
    };
    let opened = match answered {
        Ok(established) => {
            let member = established.peer.member.clone();
            let handle = shared.open(established, Some(address.clone())).await;
            handle
                .map(|handle| (member, handle))
                .ok_or_else(|| DialFailure::Local("there are too many connections".to_owned()))
        }
        Err(failure) => Err(failure),
    };
    let waiting: Vec<Bytes> = shared.seeds.lock().remove(&address).unwrap_or_default();
    match opened {
        Ok((member, handle)) => {
            for frame in waiting {
                handle.send(frame);
            }
            shared.report(Event::SeedAnswered { address, member }).await;
        }
        Err(failure) => shared.report(Event::SeedFailed { address, failure }).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        for (failures, longest) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (4, 8),
            (5, 10),
            (60, 10),
            (u32::MAX, 10),
        ] {
            let (pause, longest) = (pause(failures), Duration::from_secs(longest));
            assert!(pause >= longest / 2 && pause <= longest, "{failures}: {pause:?}");
        }
    }
}
