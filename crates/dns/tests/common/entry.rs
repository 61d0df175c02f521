//! What the fuzz targets and the bounded mutation run check of arbitrary bytes.

use dns::wire::{Unanswerable, parse};
use dns::{Catalog, Context, Outcome, Transport, respond};
use hickory_proto::op::Message;

/// Whatever the bytes are, an answer is a message that hickory reads, it answers that packet, it is no longer than
/// allowed, and it is never sent to a response.
pub fn check_respond(catalog: &Catalog, packet: &[u8]) {
    let draw = packet.iter().fold(7u64, |draw, octet| {
        draw.wrapping_mul(0x100_0000_01B3) ^ u64::from(*octet)
    });
    for transport in [Transport::Udp { max_payload: 1232 }, Transport::Tcp] {
        let context = Context {
            source: [192, 0, 2, draw as u8].into(),
            transport,
            draw,
        };
        // Answers are appended: what is in the buffer stays and shifts nothing.
        let mut out = vec![0xAA; 3];
        let outcome = respond(catalog, packet, &context, &mut out);
        assert_eq!(out[..3], [0xAA; 3]);
        let answer = &out[3..];
        match outcome {
            Outcome::Dropped(_) => {
                assert!(answer.is_empty());
                assert!(packet.len() < 12 || packet[2] & 0x80 != 0);
            }
            Outcome::Answered {
                truncated,
                question_end,
                ..
            } => {
                assert!(packet[2] & 0x80 == 0, "a response was answered");
                let limit = if transport == Transport::Tcp { 65535 } else { 1232 };
                assert!(answer.len() <= limit, "{} octets", answer.len());
                assert_eq!(answer[..2], packet[..2], "the id");
                assert_eq!(answer[2] & 0x80, 0x80, "no response");
                assert_eq!(answer[2] & 0x02 != 0, truncated, "the flag of truncation");
                assert_eq!(answer[12..question_end], packet[12..question_end], "the question");
                let message = Message::from_vec(answer).unwrap();
                assert!(!truncated || message.answers.is_empty());
            }
        }
    }
}

/// The parser agrees with hickory about every query that both of them take: the question and what EDNS says. Only
/// hickory follows compression pointers and reads the data of records, so either may refuse what the other takes.
pub fn check_parse(packet: &[u8]) {
    let query = match parse(packet) {
        Ok(query) => query,
        Err(Unanswerable::TooShort) => return assert!(packet.len() < 12),
        Err(_) => return,
    };
    let Ok(message) = Message::from_vec(packet) else {
        return;
    };
    let [question] = message.queries.as_slice() else {
        panic!("{} questions", message.queries.len());
    };
    let mut name = Vec::new();
    for label in question.name().iter() {
        name.push(label.len() as u8);
        name.extend(label.to_ascii_lowercase());
    }
    name.push(0);
    assert_eq!(query.name.wire(), name);
    assert_eq!(query.record_type.0, u16::from(question.query_type()));
    assert_eq!(query.class, u16::from(question.query_class()));
    // Hickory takes an OPT record wherever it is and reads sizes below 512 as 512.
    if let (Some(ours), Some(theirs)) = (query.edns, message.edns) {
        assert_eq!(ours.udp_size.max(512), theirs.max_payload());
        assert_eq!(ours.version, theirs.version());
        assert_eq!(ours.dnssec_ok, theirs.flags().dnssec_ok);
    }
}
