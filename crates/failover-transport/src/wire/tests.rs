//! Whatever a member can say arrives as it was said, and nothing else arrives.

use std::time::Duration;

use failover::configuration::{Availability, Configuration, Role, Version, Voter};
use failover::member::{FleetId, MemberId};
use failover::message::{About, Ballot, Body, Candidacy, Header, Message, Release, Renew, RenewReply, State};
use failover::record::LastLeader;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn member_ids() -> impl Strategy<Value = MemberId> {
    "[0-9a-f-]{1,36}/[a-z]{1,9}/[a-z.-]{1,20}".prop_map(|text| MemberId::from(text.as_str()))
}

fn fleets() -> impl Strategy<Value = FleetId> {
    "[0-9a-f-]{1,36}".prop_map(|text| FleetId::from(text.as_str()))
}

fn addresses() -> impl Strategy<Value = String> {
    ("([a-z.-]{1,20}|\\[fe80::1%1\\])", 1..=u16::MAX).prop_map(|(host, port)| format!("{host}:{port}"))
}

fn terms() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, 0..=i32::MAX as u64, Just(i32::MAX as u64)]
}

fn versions() -> impl Strategy<Value = Version> {
    (terms(), any::<u64>()).prop_map(|(term, number)| Version { term, number })
}

fn leases() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (5..300u64, 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        Just(Duration::from_secs(300)),
    ]
}

fn fences() -> impl Strategy<Value = Duration> {
    (0..86_400u64, 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn configurations() -> impl Strategy<Value = Configuration> {
    let role = prop_oneof![Just(Role::Candidate), Just(Role::VoterOnly), Just(Role::HubWitness)];
    let voters = btree_map(member_ids(), (any::<i64>(), of(addresses()), role), 0..6);
    let availability = prop_oneof![Just(Availability::Consistent), Just(Availability::PreferAvailability)];
    (fleets(), versions(), voters, of(member_ids()), availability, leases()).prop_map(
        |(fleet, version, voters, holder, availability, lease)| Configuration {
            fleet,
            version,
            voters: voters
                .into_iter()
                .map(|(id, (rank, address, role))| Voter {
                    id,
                    rank,
                    address,
                    role,
                })
                .collect(),
            holder,
            availability,
            lease,
        },
    )
}

fn abouts() -> impl Strategy<Value = About> {
    (any::<i64>(), of(addresses()), any::<bool>(), "([0-9a-f]{64})?").prop_map(
        |(rank, address, eligible, payload_hash)| About {
            rank,
            address,
            eligible,
            payload_hash,
        },
    )
}

fn ballots() -> impl Strategy<Value = Ballot> {
    (any::<i64>(), terms()).prop_map(|(rank, term)| Ballot { rank, term })
}

fn last_leaders() -> impl Strategy<Value = LastLeader> {
    (terms(), member_ids(), any::<bool>(), fences(), leases()).prop_map(|(term, id, released, fence, lease)| {
        LastLeader {
            term,
            id,
            released,
            fence,
            lease,
        }
    })
}

fn states() -> impl Strategy<Value = State> {
    let known = (
        of(member_ids()),
        of(addresses()),
        of(configurations()),
        of(configurations()),
    );
    (known, any::<bool>(), abouts(), any::<u64>()).prop_map(
        |((leader, leader_address, configuration, previous), is_member, about, your_writes)| State {
            leader,
            leader_address,
            configuration,
            previous,
            is_member,
            about,
            your_writes,
        },
    )
}

fn renews() -> impl Strategy<Value = Renew> {
    (
        leases(),
        fences(),
        configurations(),
        of(configurations()),
        abouts(),
        any::<u64>(),
    )
        .prop_map(|(lease, fence, configuration, previous, about, your_writes)| Renew {
            lease,
            fence,
            configuration,
            previous,
            about,
            your_writes,
        })
}

fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::GetState),
        states().prop_map(|state| Body::State(Box::new(state))),
        (any::<i64>(), of(addresses())).prop_map(|(rank, address)| Body::Join(Candidacy { rank, address })),
        member_ids().prop_map(|member| Body::Leave { member }),
        (member_ids(), configurations()).prop_map(|(member, configuration)| Body::Left {
            member,
            configuration: Box::new(configuration),
        }),
        ballots().prop_map(Body::PreVote),
        ballots().prop_map(Body::Vote),
        any::<bool>().prop_map(|granted| Body::PreVoteReply { granted }),
        (any::<bool>(), of(last_leaders())).prop_map(|(granted, last_leader)| Body::VoteReply { granted, last_leader }),
        renews().prop_map(|renew| Body::Renew(Box::new(renew))),
        (any::<bool>(), fences(), abouts(), of("[a-z0-9!:-]{1,40}")).prop_map(|(accepted, fence, about, promote)| {
            Body::RenewReply(Box::new(RenewReply {
                accepted,
                fence,
                about,
                promote,
            }))
        }),
        (terms(), of(member_ids()), of(configurations()))
            .prop_map(|(term, successor, next)| { Body::Release(Box::new(Release { term, successor, next })) }),
        terms().prop_map(|term| Body::ReleaseReply { term }),
        terms().prop_map(|term| Body::Handover { term }),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    let header = (
        of(fleets()),
        terms(),
        versions(),
        member_ids(),
        any::<u64>(),
        any::<u64>(),
    )
        .prop_map(|(fleet, term, version, sender, writes, seq)| Header {
            fleet,
            term,
            version,
            sender,
            writes,
            seq,
        });
    (header, bodies()).prop_map(|(header, body)| Message { header, body })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_message_arrives_as_it_was_sent(message in messages()) {
        prop_assert_eq!(decode(&encode(&message)), Ok(message));
    }

    #[test]
    fn a_greeting_arrives_as_it_was_sent(
        fleet in of(fleets()),
        member in member_ids(),
        target in of(member_ids()),
        version in versions(),
        features in vec("[a-z-]{0,64}", 0..32),
        first in 0..9u32,
        more in 1..9u32,
    ) {
        let hello = Hello { protocol: (first, first + more), fleet, member, target, version, features };
        prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }
}

/// A renewal with every part.
fn renewal() -> pb::Message {
    let configuration = pb::Configuration {
        fleet_id: "f-1".into(),
        version: Some(pb::Version { term: 3, number: 4 }),
        voters: ["u/n/a", "u/n/b"].map(voter).to_vec(),
        holder_id: Some("u/n/a".into()),
        availability: pb::Availability::Consistent.into(),
        lease: seconds(15),
    };
    pb::Message {
        header: Some(pb::Header {
            fleet_id: Some("f-1".into()),
            term: 3,
            config_version: Some(pb::Version { term: 3, number: 4 }),
            sender_id: "u/n/a".into(),
            writes: 5,
            seq: 6,
        }),
        body: Some(pb::message::Body::Renew(pb::Renew {
            lease: seconds(15),
            fence: seconds(35),
            configuration: Some(configuration.clone()),
            previous: Some(configuration),
            about: Some(pb::About {
                rank: -1,
                address: Some("192.0.2.1:9990".into()),
                eligible: true,
                payload_hash: "00ff".into(),
            }),
            your_writes: 0,
        })),
    }
}

fn voter(id: &str) -> pb::Voter {
    pb::Voter {
        id: id.into(),
        rank: 1,
        address: Some("192.0.2.1:9990".into()),
        role: pb::Role::Candidate.into(),
    }
}

fn seconds(seconds: u64) -> Option<pb::Duration> {
    Some(pb::Duration { seconds, nanos: 0 })
}

fn refused(field: &str, change: impl FnOnce(&mut pb::Header, &mut pb::Renew)) {
    let mut message = renewal();
    let (Some(header), Some(pb::message::Body::Renew(renew))) = (&mut message.header, &mut message.body) else {
        panic!("a renewal has both");
    };
    change(header, renew);
    let malformed = decode(&message.encode_to_vec()).expect_err(field).to_string();
    assert!(malformed.starts_with(&format!("{field}: ")), "{malformed}");
}

fn configuration(renew: &mut pb::Renew) -> &mut pb::Configuration {
    renew.configuration.as_mut().unwrap()
}

#[test]
fn values_out_of_range_are_errors() {
    assert!(decode(&renewal().encode_to_vec()).is_ok());
    refused("header.term", |header, _| header.term = 1 << 31);
    refused("header.config_version", |header, _| header.config_version = None);
    refused("header.config_version", |header, _| {
        header.config_version = Some(pb::Version {
            term: u64::MAX,
            number: 0,
        });
    });
    refused("header.sender_id", |header, _| header.sender_id.clear());
    refused("header.sender_id", |header, _| header.sender_id = "u/n/a\n".into());
    refused("header.sender_id", |header, _| header.sender_id = "a".repeat(401));
    refused("header.fleet_id", |header, _| header.fleet_id = Some(String::new()));
    refused("renew.lease", |_, renew| renew.lease = None);
    refused("renew.lease", |_, renew| renew.lease = seconds(4));
    refused("renew.lease", |_, renew| renew.lease = seconds(301));
    refused("renew.lease", |_, renew| renew.lease = seconds(u64::MAX));
    refused("renew.lease", |_, renew| {
        renew.lease.as_mut().unwrap().nanos = 1_000_000_000
    });
    refused("renew.fence", |_, renew| renew.fence = seconds(31 * 86_400 + 1));
    refused("renew.configuration", |_, renew| renew.configuration = None);
    refused("renew.about", |_, renew| renew.about = None);
    for address in ["", "192.0.2.1", ":9990", "192.0.2.1:0", "192.0.2.1:99900", "a b:1"] {
        refused("about.address", |_, renew| {
            renew.about.as_mut().unwrap().address = Some(address.into())
        });
    }
    refused("about.payload_hash", |_, renew| {
        renew.about.as_mut().unwrap().payload_hash = "XX".into()
    });
    refused("configuration.availability", |_, renew| {
        configuration(renew).availability = 0
    });
    refused("configuration.availability", |_, renew| {
        configuration(renew).availability = 3
    });
    refused("configuration.voters.role", |_, renew| {
        configuration(renew).voters[1].role = 9
    });
    refused("configuration.voters.id", |_, renew| {
        configuration(renew).voters[1].id.clear()
    });
    refused("configuration.voters", |_, renew| {
        configuration(renew).voters.swap(0, 1)
    });
    refused("configuration.voters", |_, renew| {
        configuration(renew).voters[1] = voter("u/n/a")
    });
    refused("configuration.voters", |_, renew| {
        configuration(renew).voters = (0..65).map(|n| voter(&format!("u/n/{n:03}"))).collect();
    });
    refused("configuration.holder_id", |_, renew| {
        configuration(renew).holder_id = Some("\0".into())
    });
}

#[test]
fn an_unknown_field_is_ignored_and_an_unknown_body_is_refused() {
    let mut known = renewal().encode_to_vec();
    // Field 99 as a number.
    known.extend([0x98, 0x06, 0x01]);
    assert!(decode(&known).is_ok());
    let mut unknown = pb::Message {
        body: None,
        ..renewal()
    }
    .encode_to_vec();
    // Field 16, the next body, as an empty message.
    unknown.extend([0x82, 0x01, 0x00]);
    let refusal = decode(&unknown).unwrap_err().to_string();
    assert!(refusal.starts_with("body: "), "{refusal}");
    assert!(decode(b"").is_err());
    assert!(decode(b"GET / HTTP/1.1").is_err());
}

#[test]
fn a_greeting_says_which_versions_it_speaks() {
    let hello = |protocol| Hello {
        protocol,
        fleet: None,
        member: MemberId::from("u/n/a"),
        target: None,
        version: Version::default(),
        features: Vec::new(),
    };
    assert!(hello((1, 1)).is_compatible() && hello((0, 7)).is_compatible());
    assert!(!hello((2, 3)).is_compatible());
    assert!(Hello::decode(&hello((3, 2)).encode()).is_err());
    assert!(Hello::decode(&hello((0, 0)).encode()).is_err());
}
