//! Answers to single packets, read back by hickory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use common::*;
use dns::wire::Rcode;
use dns::{Catalog, Context, Dropped, Outcome, Routing, Transport, respond};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

/// Draws that choose the first and the last alternative.
const FIRST: u64 = 0;
const LAST: u64 = u64::MAX;

const SOA_RECORD: &str = "SOA ns1.tm.example. hostmaster.example.org. 7 3600 600 86400 30";

#[test]
fn names_and_types() {
    let negative = |ttl: u32| format!("! tm.example. {ttl} {SOA_RECORD}");
    let ok = "NoError";
    for (asked, record_type, draw, rcode, expected) in [
        // Weights: the ids are in the order "none", "one", "three".
        (
            "app.tm.example",
            A,
            FIRST,
            ok,
            vec!["= app.tm.example. 5 CNAME one.example.net.".to_owned()],
        ),
        (
            "app.tm.example",
            A,
            LAST,
            ok,
            vec!["= app.tm.example. 5 CNAME three.example.net.".to_owned()],
        ),
        (
            "app.tm.example",
            TXT,
            LAST,
            ok,
            vec!["= app.tm.example. 5 CNAME three.example.net.".to_owned()],
        ),
        (
            "app.tm.example",
            CNAME,
            FIRST,
            ok,
            vec!["= app.tm.example. 5 CNAME one.example.net.".to_owned()],
        ),
        (
            "app.tm.example",
            ANY,
            FIRST,
            ok,
            vec!["= app.tm.example. 5 CNAME one.example.net.".to_owned()],
        ),
        // The question's case comes back in the records that point to it.
        (
            "aPP.Tm.eXample",
            A,
            FIRST,
            ok,
            vec!["= aPP.Tm.eXample. 5 CNAME one.example.net.".to_owned()],
        ),
        // Families are sets of their own.
        (
            "families.tm.example",
            A,
            LAST,
            ok,
            vec!["= families.tm.example. 5 A 192.0.2.4".to_owned()],
        ),
        (
            "families.tm.example",
            AAAA,
            FIRST,
            ok,
            vec!["= families.tm.example. 5 AAAA 2001:db8::6".to_owned()],
        ),
        ("four.tm.example", AAAA, FIRST, ok, vec![negative(5)]),
        ("four.tm.example", TXT, FIRST, ok, vec![negative(5)]),
        ("four.tm.example", CNAME, FIRST, ok, vec![negative(5)]),
        ("nothing.tm.example", A, FIRST, ok, vec![negative(5)]),
        // Plain sets have all addresses, whatever the weights, each once.
        (
            "plain.tm.example",
            A,
            FIRST,
            ok,
            ["1", "2", "3"]
                .map(|last| format!("= plain.tm.example. 60 A 192.0.2.{last}"))
                .to_vec(),
        ),
        (
            "plain.tm.example",
            A,
            2,
            ok,
            ["3", "1", "2"]
                .map(|last| format!("= plain.tm.example. 60 A 192.0.2.{last}"))
                .to_vec(),
        ),
        (
            "plain.tm.example",
            ANY,
            FIRST,
            ok,
            vec!["= plain.tm.example. 60 HINFO RFC8482 ".to_owned()],
        ),
        (
            "first.tm.example",
            A,
            FIRST,
            ok,
            vec!["= first.tm.example. 5 A 192.0.2.10".to_owned()],
        ),
        (
            "first.tm.example",
            A,
            LAST,
            ok,
            vec!["= first.tm.example. 5 A 192.0.2.10".to_owned()],
        ),
        // CNAME records that lead to names of the catalog.
        (
            "alias.tm.example",
            A,
            FIRST,
            ok,
            vec![
                "= alias.tm.example. 20 CNAME plain.tm.example.".to_owned(),
                String::new(),
            ],
        ),
        (
            "gone.tm.example",
            A,
            FIRST,
            "NXDomain",
            vec![
                "= gone.tm.example. 20 CNAME gone.sub.tm.example.".to_owned(),
                "! sub.tm.example. 30 SOA ns1.Sub.tm.example. hostmaster.example.org. 7 3600 600 86400 30".to_owned(),
            ],
        ),
        (
            "loop.tm.example",
            A,
            FIRST,
            ok,
            vec![
                "= loop.tm.example. 20 CNAME pool.tm.example.".to_owned(),
                "= pool.tm.example. 20 CNAME LOOP.tm.example.".to_owned(),
            ],
        ),
        // Names that do not exist, and those that exist for the sake of others.
        ("missing.tm.example", A, FIRST, "NXDomain", vec![negative(30)]),
        ("x.app.tm.example", A, FIRST, "NXDomain", vec![negative(30)]),
        ("b.deep.tm.example", A, FIRST, ok, vec![negative(30)]),
        ("deep.tm.example", ANY, FIRST, ok, vec![negative(30)]),
        (
            "a.b.deep.tm.example",
            A,
            FIRST,
            ok,
            vec!["= a.b.deep.tm.example. 5 A 192.0.2.5".to_owned()],
        ),
        // The origin, and name servers.
        (
            "tm.example",
            SOA,
            FIRST,
            ok,
            vec![format!("= tm.example. 300 {SOA_RECORD}")],
        ),
        (
            "tm.example",
            NS,
            FIRST,
            ok,
            vec![
                "= tm.example. 300 NS ns1.tm.example.".to_owned(),
                "= tm.example. 300 NS ns.example.org.".to_owned(),
                "+ ns1.tm.example. 300 A 192.0.2.53".to_owned(),
                "+ ns1.tm.example. 300 AAAA 2001:db8::53".to_owned(),
            ],
        ),
        (
            "tm.example",
            A,
            FIRST,
            ok,
            vec!["= tm.example. 300 A 192.0.2.80".to_owned()],
        ),
        ("tm.example", TXT, FIRST, ok, vec![negative(30)]),
        (
            "tm.example",
            ANY,
            FIRST,
            ok,
            vec!["= tm.example. 300 HINFO RFC8482 ".to_owned()],
        ),
        (
            "ns1.tm.example",
            A,
            FIRST,
            ok,
            vec!["= ns1.tm.example. 300 A 192.0.2.53".to_owned()],
        ),
        (
            "ns1.tm.example",
            AAAA,
            FIRST,
            ok,
            vec!["= ns1.tm.example. 300 AAAA 2001:db8::53".to_owned()],
        ),
        // The longest origin decides.
        (
            "app.sub.tm.example",
            A,
            FIRST,
            ok,
            vec!["= app.sub.tm.example. 9 A 192.0.2.200".to_owned()],
        ),
        // Elsewhere, and in names that end alike only in letters.
        ("example", A, FIRST, "Refused", Vec::new()),
        ("tm.example.org", A, FIRST, "Refused", Vec::new()),
        ("xtm.example", A, FIRST, "Refused", Vec::new()),
        ("", NS, FIRST, "Refused", Vec::new()),
        // Kinds of questions that are no lookups.
        ("tm.example", 252, FIRST, "Refused", Vec::new()),
        ("tm.example", 251, FIRST, "Refused", Vec::new()),
        ("tm.example", 253, FIRST, "NotImp", Vec::new()),
        ("tm.example", 41, FIRST, "FormErr", Vec::new()),
        ("tm.example", 0, FIRST, "FormErr", Vec::new()),
    ] {
        let (got_rcode, mut got) = look_up(asked, record_type, draw);
        // The addresses behind an alias are rotated by a draw of their own.
        if expected.last().is_some_and(String::is_empty) {
            let mut addresses = got.split_off(expected.len() - 1);
            addresses.sort();
            let plain = ["1", "2", "3"].map(|last| format!("= plain.tm.example. 60 A 192.0.2.{last}"));
            assert_eq!(addresses, plain, "{asked}");
            got.push(String::new());
        }
        // Compressed names have the case of the question.
        let lower = |line: &String| line.to_lowercase();
        assert_eq!(got_rcode, rcode, "{asked} {record_type}");
        if asked.to_lowercase() == asked {
            assert_eq!(
                got.iter().map(lower).collect::<Vec<_>>(),
                expected.iter().map(lower).collect::<Vec<_>>(),
                "{asked} {record_type}"
            );
        } else {
            assert_eq!(got, expected, "{asked} {record_type}");
        }
    }
}

#[test]
fn flags_and_question_come_back_as_they_came() {
    let catalog = catalog();
    let mut packet = query("pLAin.tm.EXAMPLE", A);
    // Recursion desired, authentic data, checking disabled.
    (packet[2], packet[3]) = (0x01, 0x30);
    let mut out = Vec::new();
    respond(&catalog, &packet, &context("192.0.2.1", 0), &mut out);
    let question_end = packet.len();
    assert_eq!(
        out[..4],
        [0xBE, 0xEF, 0x85, 0x10],
        "response, authoritative, recursion desired, checking disabled"
    );
    assert_eq!(out[12..question_end], packet[12..], "the question, in its case");
    (packet[2], packet[3]) = (0, 0);
    out.clear();
    respond(&catalog, &packet, &context("192.0.2.1", 0), &mut out);
    assert_eq!(out[2..4], [0x84, 0]);
    let refused = ask(&catalog, &query("example.org", A), &context("192.0.2.1", 0));
    assert!(!refused.metadata.authoritative && !refused.metadata.recursion_available);
}

#[test]
fn what_is_not_a_query() {
    let catalog = catalog();
    let outcome = |packet: &[u8]| {
        let mut out = Vec::new();
        let outcome = respond(&catalog, packet, &context("192.0.2.1", 0), &mut out);
        (outcome, out)
    };
    assert_eq!(outcome(&[0; 11]), (Outcome::Dropped(Dropped::TooShort), Vec::new()));
    let mut response = query("app.tm.example", A);
    response[2] |= 0x80;
    assert_eq!(outcome(&response), (Outcome::Dropped(Dropped::Response), Vec::new()));
    let mut notify = query("tm.example", SOA);
    notify[2] = 4 << 3;
    let answer = ask(&catalog, &notify, &context("192.0.2.1", 0));
    assert_eq!(
        (answer.metadata.response_code, answer.queries.len()),
        (ResponseCode::NotImp, 1)
    );
    assert_eq!(outcome(&notify).1[2], 0x80 | 4 << 3, "the opcode");
    let notify = with_edns(notify, 1232, 0, 0, &[]);
    assert!(ask(&catalog, &notify, &context("192.0.2.1", 0)).edns.is_some());
    let mut none = with_edns(vec![0; 12], 1232, 0, 0, &[]);
    none[3] = 0x10;
    let answer = ask(&catalog, &none, &context("192.0.2.1", 0));
    assert_eq!(
        (answer.metadata.response_code, answer.edns.is_some()),
        (ResponseCode::FormErr, true)
    );
    let cut = query("app.tm.example", A);
    let answer = ask(&catalog, &cut[..cut.len() - 1], &context("192.0.2.1", 0));
    assert_eq!(
        (answer.metadata.response_code, answer.queries.len()),
        (ResponseCode::FormErr, 0)
    );
    let mut chaos = query("version.bind", TXT);
    *chaos.last_mut().unwrap() = 3;
    let answer = ask(&catalog, &chaos, &context("192.0.2.1", 0));
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn edns_goes_back_only_to_who_sent_it() {
    let catalog = catalog();
    let plain = ask(&catalog, &query("app.tm.example", A), &context("192.0.2.1", 0));
    assert!(plain.edns.is_none());
    let unknown = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0xFD, 0xE9, 0, 0];
    let packet = with_edns(query("app.tm.example", A), 4096, 0, 0x8000, &unknown);
    let answer = ask(&catalog, &packet, &context("192.0.2.1", 0));
    let edns = answer.edns.as_ref().unwrap();
    assert_eq!(
        (edns.version(), edns.max_payload(), edns.flags().dnssec_ok),
        (0, 1232, true)
    );
    assert!(edns.options().as_ref().is_empty(), "unknown options are not sent back");
    assert_eq!(records(&answer).len(), 1);
    let refused = with_edns(query("example.org", A), 4096, 0, 0, &[]);
    assert!(ask(&catalog, &refused, &context("192.0.2.1", 0)).edns.is_some());
}

#[test]
fn other_versions_of_edns_are_bad() {
    let packet = with_edns(query("app.tm.example", A), 4096, 1, 0, &[1, 2, 3]);
    let answer = ask(&catalog(), &packet, &context("192.0.2.1", 0));
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    assert_eq!(answer.edns.as_ref().unwrap().version(), 0);
    assert!(records(&answer).is_empty());
    let mut out = Vec::new();
    let outcome = respond(&catalog(), &packet, &context("192.0.2.1", 0), &mut out);
    assert!(matches!(
        outcome,
        Outcome::Answered {
            rcode: Rcode::BadVers,
            ..
        }
    ));
}

#[test]
fn malformed_options_are_a_format_error() {
    for options in [
        &[0, 10, 0, 9, 1][..],
        &[0, 8, 0, 3, 0, 1, 24],
        &[0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 3],
    ] {
        let packet = with_edns(query("app.tm.example", A), 4096, 0, 0, options);
        let answer = ask(&catalog(), &packet, &context("192.0.2.1", 0));
        assert_eq!(answer.metadata.response_code, ResponseCode::FormErr, "{options:?}");
        // Without an OPT record a resolver would take it that EDNS is not understood at all.
        assert_eq!(answer.edns.unwrap().options().as_ref(), [], "{options:?}");
    }
}

/// The address that is answered for a client, and the scope if the query names its network.
fn near(source: &str, client: Option<([u8; 4], u8)>, draw: u64) -> (String, Option<(u8, u8)>) {
    let packet = query("near.tm.example", A);
    let packet = match client {
        Some((address, prefix)) => with_edns(packet, 1232, 0, 0, &subnet(address, prefix)),
        None => with_edns(packet, 1232, 0, 0, &[]),
    };
    let answer = ask(&catalog(), &packet, &context(source, draw));
    let scope = answer
        .edns
        .as_ref()
        .unwrap()
        .option(EdnsCode::Subnet)
        .map(|option| match option {
            EdnsOption::Subnet(subnet) => (subnet.source_prefix(), subnet.scope_prefix()),
            other => panic!("{other:?}"),
        });
    (answer.answers[0].data.to_string(), scope)
}

#[test]
fn the_clients_network_decides_and_the_answer_says_for_whom_it_holds() {
    let east = |scope| ("192.0.2.101".to_owned(), scope);
    let west = |scope| ("192.0.2.102".to_owned(), scope);
    let elsewhere = "198.51.100.1";
    for draw in [FIRST, LAST] {
        assert_eq!(near(elsewhere, Some(([10, 3, 4, 0], 24)), draw), east(Some((24, 16))));
        assert_eq!(near(elsewhere, Some(([10, 1, 4, 0], 24)), draw), west(Some((24, 16))));
        // The best location has no endpoint: the next one.
        assert_eq!(near(elsewhere, Some(([10, 2, 4, 0], 24)), draw), east(Some((24, 16))));
        // The resolver's address, where the query names no network.
        assert_eq!(near("10.1.2.3", None, draw), west(None));
        assert_eq!(near("10.3.2.3", None, draw), east(None));
        assert_eq!(near("10.3.2.3", Some(([0; 4], 0),), draw), east(Some((0, 0))));
        assert_eq!(near("2001:db8::1", None, draw), west(None));
        // The network that is named counts more than the resolver.
        assert_eq!(near("10.1.2.3", Some(([10, 3, 4, 0], 24)), draw), east(Some((24, 16))));
    }
    // Not in the table: by weight among all.
    assert_eq!(
        near(elsewhere, Some(([203, 0, 113, 0], 24)), FIRST),
        east(Some((24, 1)))
    );
    assert_eq!(near(elsewhere, Some(([203, 0, 113, 0], 24)), LAST), west(Some((24, 1))));
}

#[test]
fn answers_that_are_the_same_for_everybody_have_scope_zero() {
    for asked in ["app.tm.example", "missing.tm.example", "example.org"] {
        let packet = with_edns(query(asked, A), 1232, 0, 0, &subnet([10, 1, 2, 0], 24));
        let answer = ask(&catalog(), &packet, &context("192.0.2.1", 0));
        let option = answer.edns.as_ref().unwrap().option(EdnsCode::Subnet);
        let Some(EdnsOption::Subnet(subnet)) = option else {
            panic!("{option:?}");
        };
        assert_eq!((subnet.source_prefix(), subnet.scope_prefix()), (24, 0), "{asked}");
    }
}

#[test]
fn what_does_not_fit_is_truncated_to_nothing() {
    let catalog = catalog();
    let length = |packet: &[u8], transport| {
        let mut out = Vec::new();
        let context = Context {
            transport,
            ..context("192.0.2.1", 0)
        };
        respond(&catalog, packet, &context, &mut out);
        let message = Message::from_vec(&out).unwrap();
        assert_eq!(message.metadata.truncation, message.answers.is_empty());
        (message.answers.len(), out.len())
    };
    let plain = query("many.tm.example", A);
    assert_eq!(length(&plain, UDP), (0, plain.len()), "512 octets without EDNS");
    // 100 records of 16 octets fit into 1632 octets with header, question and OPT record, and not into one less.
    let whole = plain.len() + 1600 + 11;
    let wide = Transport::Udp { max_payload: 4096 };
    for (size, transport, expected) in [
        (whole as u16, wide, (100, whole)),
        (whole as u16 - 1, wide, (0, plain.len() + 11)),
        (4096, UDP, (0, plain.len() + 11)),
        (0, wide, (0, plain.len() + 11)),
    ] {
        assert_eq!(
            length(&with_edns(plain.clone(), size, 0, 0, &[]), transport),
            expected,
            "{size}"
        );
    }
    assert_eq!(length(&plain, Transport::Tcp), (100, plain.len() + 1600));
}

#[test]
fn addresses_of_name_servers_are_left_out_where_they_do_not_fit() {
    let mut zone = zone("tm.example.", []);
    zone.name_servers[0].addresses = (0..60).map(|last| [192, 0, 2, last].into()).collect();
    let answer = ask(
        &Catalog::new(&[zone]).unwrap(),
        &query("tm.example", NS),
        &context("192.0.2.1", 0),
    );
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 2);
    assert!(
        (1..60).contains(&answer.additionals.len()),
        "{}",
        answer.additionals.len()
    );
}

#[test]
fn shares_follow_weights() {
    let catalog = catalog();
    let packet = query("app.tm.example", A);
    let mut three = 0;
    const DRAWS: u64 = 4000;
    for step in 0..DRAWS {
        let answer = ask(&catalog, &packet, &context("192.0.2.1", step * (u64::MAX / DRAWS)));
        three += u64::from(answer.answers[0].data.to_string() == "three.example.net.");
    }
    assert!(three.abs_diff(DRAWS * 3 / 4) <= 1, "{three} of {DRAWS}");
}

#[test]
fn an_empty_catalog_refuses() {
    let answer = ask(&Catalog::default(), &query("tm.example", SOA), &context("192.0.2.1", 0));
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn the_root_can_be_a_zone() {
    let mut root = zone(".", [("app", entry(5, Routing::All, [endpoint("a", "192.0.2.1", 1)]))]);
    root.name_servers.truncate(1);
    let catalog = Catalog::new(&[root]).unwrap();
    let answer = ask(&catalog, &query("app", A), &context("192.0.2.1", 0));
    assert_eq!(records(&answer), ["= app. 5 A 192.0.2.1"]);
    let answer = ask(&catalog, &query("x", A), &context("192.0.2.1", 0));
    assert_eq!(
        records(&answer),
        ["! . 30 SOA ns1. hostmaster.example.org. 7 3600 600 86400 30"]
    );
}
