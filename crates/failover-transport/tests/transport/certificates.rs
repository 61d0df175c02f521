//! Certificates of several sources and ages between real members.

use std::time::{Duration, SystemTime};

use failover_transport::certificates::{Refusal, Source, derived};
use failover_transport::{DialFailure, Event, Rejection};

use crate::fixture::{Hub, Member, credentials, derived_credentials, id, keys, transport, unix_now};

/// How the other side of a member's next connection is known.
async fn shown(member: &mut Member) -> (Source, Option<Duration>) {
    member
        .expect(|event| match event {
            Event::Connected { source, expired, .. } => Some((*source, *expired)),
            _ => None,
        })
        .await
}

async fn failure(member: &mut Member) -> DialFailure {
    member
        .expect(|event| match event {
            Event::PeerFailed { failure, .. } => Some(failure.clone()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_certificate_that_expired_within_a_week_is_accepted_and_reported() {
    let hub = Hub::new();
    let mut newyork = Member::new(&transport(), hub.issue("newyork", 0).credentials("newyork", 0));
    newyork.listen("127.0.0.1:0".parse().unwrap()).await;
    let late = hub.issue("sheffield", 33).credentials("sheffield", 0);
    assert!(
        late.expired(unix_now()).unwrap().is_some(),
        "reported on this side as well"
    );
    let mut sheffield = Member::new(&transport(), late);
    sheffield.reach(&newyork);
    let (source, expired) = shown(&mut newyork).await;
    assert_eq!(source, Source::HubIssued);
    let days = expired.unwrap().as_secs() / (24 * 3600);
    assert!((2..=3).contains(&days), "{expired:?}");
    sheffield.exchange_once_connected(&mut newyork).await;
}

#[tokio::test]
async fn a_certificate_that_expired_longer_ago_is_refused_by_either_side() {
    let hub = Hub::new();
    let mut newyork = Member::new(&transport(), hub.issue("newyork", 0).credentials("newyork", 0));
    newyork.listen("127.0.0.1:0".parse().unwrap()).await;
    // Since then it was not renewed.
    let late = hub.issue("sheffield", 40).credentials("sheffield", 20);
    let mut sheffield = Member::new(&transport(), late);
    sheffield.listen("127.0.0.1:0".parse().unwrap()).await;
    sheffield.reach(&newyork);
    let refused = failure(&mut sheffield).await;
    assert!(matches!(refused, DialFailure::RefusedByPeer(_)), "{refused}");
    let rejection = newyork.rejected().await;
    assert!(
        matches!(rejection, Rejection::Certificate(Refusal::Expired(_))),
        "{rejection}"
    );
    newyork.reach(&sheffield);
    let refused = failure(&mut newyork).await;
    assert!(
        matches!(refused, DialFailure::Refused(Refusal::Expired(_))),
        "{refused}"
    );
}

#[tokio::test]
async fn members_with_and_without_a_hub_show_each_other_what_both_accept() {
    let hub = Hub::new();
    let derived_authority = derived::authority(keys(), SystemTime::now()).unwrap();
    let both = |name| {
        let (identity, authority) = hub.issue(name, 0).read();
        let derived_identity = derived::identity(keys(), &id(name), SystemTime::now()).unwrap();
        credentials(
            name,
            vec![derived_identity, identity],
            vec![derived_authority.clone(), authority],
            0,
        )
    };
    let mut joined = Member::new(&transport(), both("joined"));
    joined.listen("127.0.0.1:0".parse().unwrap()).await;
    let mut joined_too = Member::new(&transport(), both("joined-too"));
    let mut unjoined = Member::listening("unjoined").await;
    joined_too.reach(&joined);
    assert_eq!(shown(&mut joined).await, (Source::HubIssued, None));
    assert_eq!(shown(&mut joined_too).await, (Source::HubIssued, None));
    unjoined.reach(&joined);
    assert_eq!(shown(&mut joined).await, (Source::Derived, None));
    assert_eq!(shown(&mut unjoined).await, (Source::Derived, None));
    joined_too.reach(&unjoined);
    assert_eq!(shown(&mut unjoined).await, (Source::Derived, None));
    assert_eq!(shown(&mut joined_too).await, (Source::Derived, None));
    // Every voter has a better one: derived certificates are no longer accepted, and connections by them end.
    let strict = hub.issue("joined", 0).credentials("joined", 0);
    joined.endpoint.set_credentials(strict).unwrap();
    joined.disconnected(&id("unjoined")).await;
    unjoined.disconnected(&id("joined")).await;
    assert_eq!(joined.endpoint.connected(), [id("joined-too")]);
    joined.exchange(&mut joined_too).await;
    let refused = failure(&mut unjoined).await;
    assert!(
        matches!(refused, DialFailure::Refused(_) | DialFailure::RefusedByPeer(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn an_authority_is_replaced_without_losing_a_connection() {
    let (old, new) = (Hub::new(), Hub::new());
    let with = |name: &str, identity: &Hub, accepted: &[&Hub]| {
        let authorities = accepted.iter().map(|hub| hub.issue(name, 0).read().1).collect();
        credentials(name, vec![identity.issue(name, 0).read().0], authorities, 0)
    };
    let mut newyork = Member::new(&transport(), with("newyork", &old, &[&old]));
    newyork.listen("127.0.0.1:0".parse().unwrap()).await;
    let mut sheffield = Member::new(&transport(), with("sheffield", &old, &[&old]));
    sheffield.reach(&newyork);
    newyork.connected(&id("sheffield")).await;
    sheffield.exchange_once_connected(&mut newyork).await;
    // First both accept both, then each shows a certificate of the new one, then the old one goes.
    for (identity, accepted) in [(&old, vec![&old, &new]), (&new, vec![&old, &new]), (&new, vec![&new])] {
        for name in ["newyork", "sheffield"] {
            let next = with(name, identity, &accepted);
            let member = if name == "newyork" { &newyork } else { &sheffield };
            member.endpoint.set_credentials(next).unwrap();
            newyork.exchange(&mut sheffield).await;
            let mut fresh = Member::new(&transport(), with("london", identity, &accepted));
            // A new handshake in the middle of the change, with whatever both sides have by then.
            if accepted.len() == 2 || name == "sheffield" {
                fresh.reach(&newyork);
                newyork.connected(&id("london")).await;
                fresh.exchange_once_connected(&mut newyork).await;
                fresh.endpoint.close().await;
                newyork.disconnected(&id("london")).await;
            }
        }
    }
    newyork.exchange(&mut sheffield).await;
    let lost = |event: &Event| matches!(event, Event::Disconnected { member } if *member != id("london"));
    assert_eq!(newyork.unexpected(lost), None);
    assert_eq!(sheffield.unexpected(lost), None);
}

#[tokio::test]
async fn credentials_of_somebody_else_need_another_endpoint() {
    let newyork = Member::listening("newyork").await;
    assert!(
        newyork
            .endpoint
            .set_credentials(derived_credentials(keys(), "sheffield"))
            .is_err()
    );
    let other = derived_credentials(crate::fixture::other_keys(), "newyork");
    assert!(newyork.endpoint.set_credentials(other).is_err());
    assert!(
        newyork
            .endpoint
            .set_credentials(derived_credentials(keys(), "newyork"))
            .is_ok()
    );
}
