//! From a packet to the packet that goes back: a pure function.

use std::net::IpAddr;

use crate::answer::{Answer, Data, answer};
use crate::catalog::{Catalog, PreparedName, PreparedZone};
use crate::wire::{Edns, HEADER, NameAt, Query, Rcode, RecordType, Section, Unanswerable, Writer, parse};

/// Messages over UDP to clients without EDNS (RFC 1035).
const PLAIN_UDP: u16 = 512;
/// Messages over TCP.
const TCP: usize = u16::MAX as usize;
/// The data of the HINFO record that answers ANY (RFC 8482 4.2).
const MINIMAL: &[u8] = b"\x07RFC8482\x00";

/// How a query arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp {
        /// The longest answer, whatever the client takes, in octets.
        max_payload: u16,
    },
    /// Over a connection.
    Tcp,
}

/// What an answer depends on beside the query and the zones.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Where the query came from.
    pub source: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// A random number, uniform over all of `u64`.
    pub draw: u64,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing goes back.
    Dropped(Dropped),
    /// An answer was written.
    Answered {
        /// The type that was asked for, if the question could be read.
        record_type: Option<RecordType>,
        /// The result.
        rcode: Rcode,
        /// Whether the answer holds records that were asked for.
        positive: bool,
        /// Whether it was too long for a datagram.
        truncated: bool,
        /// Where the question ends within the answer.
        question_end: usize,
    },
}

/// Why a packet has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is too short to have a header.
    TooShort,
    /// It is a response: answering it could make two servers answer each other forever.
    Response,
}

/// Appends the answer to a packet to `out`.
pub fn respond(catalog: &Catalog, packet: &[u8], context: &Context, out: &mut Vec<u8>) -> Outcome {
    match parse(packet) {
        Ok(query) => respond_to(catalog, &query, context, out),
        Err(Unanswerable::TooShort) => Outcome::Dropped(Dropped::TooShort),
        Err(Unanswerable::Response) => Outcome::Dropped(Dropped::Response),
        Err(Unanswerable::Opcode { head, question, edns }) => refuse(head, question, edns, Rcode::NotImp, out),
        Err(Unanswerable::Malformed {
            head, question, edns, ..
        }) => refuse(head, question, edns, Rcode::FormErr, out),
    }
}

/// Appends the answer that says that answering failed, as far as the packet has a header.
pub(crate) fn respond_failure(packet: &[u8], out: &mut Vec<u8>) {
    if let Some(head) = packet.first_chunk::<4>() {
        refuse(*head, &[], None, Rcode::ServFail, out);
    }
}

/// Makes an answer one without records that asks the client to come back over TCP.
pub(crate) fn truncate(answer: &mut Vec<u8>, question_end: usize) {
    answer.truncate(question_end);
    if let Some([_, _, flags, _, _, _, counts @ ..]) = answer.get_mut(..HEADER) {
        *flags |= 0x02;
        counts.fill(0);
    }
}

fn refuse(head: [u8; 4], question: &[u8], edns: Option<Edns>, rcode: Rcode, out: &mut Vec<u8>) -> Outcome {
    let edns = edns.as_ref();
    Writer::new(out, head, question, TCP, edns).finish(rcode, false, edns, 0);
    Outcome::Answered {
        record_type: None,
        rcode,
        positive: false,
        truncated: false,
        question_end: HEADER + question.len(),
    }
}

fn respond_to(catalog: &Catalog, query: &Query<'_>, context: &Context, out: &mut Vec<u8>) -> Outcome {
    let answer = answer(catalog, query, context.source, context.draw);
    let edns = query.edns.as_ref();
    let mut writer = Writer::new(out, query.head, query.question, limit(context.transport, edns), edns);
    write(&answer, query, &mut writer);
    let truncated = writer.is_truncated();
    writer.finish(answer.rcode, answer.authoritative, edns, answer.scope);
    Outcome::Answered {
        record_type: Some(query.record_type),
        rcode: answer.rcode,
        positive: answer.is_positive(),
        truncated,
        question_end: HEADER + query.question.len(),
    }
}

/// The longest answer that may go back.
fn limit(transport: Transport, edns: Option<&Edns>) -> usize {
    match transport {
        Transport::Tcp => TCP,
        Transport::Udp { max_payload } => {
            let client = edns.map_or(PLAIN_UDP, |edns| edns.udp_size);
            usize::from(client.min(max_payload).max(PLAIN_UDP))
        }
    }
}

/// Writes the records of an answer.
fn write(answer: &Answer<'_>, query: &Query<'_>, writer: &mut Writer<'_>) {
    let mut owner = HEADER;
    let mut owner_len = query.name.wire().len();
    for (target, ttl) in answer.aliases.iter() {
        let data = |out: &mut Vec<u8>| out.extend_from_slice(&target.wire);
        match writer.record(Section::Answer, NameAt(owner), RecordType::CNAME, ttl, data) {
            Some(at) => (owner, owner_len) = (at, target.wire.len()),
            None => return,
        }
    }
    let Some(zone) = answer.zone else {
        return;
    };
    // The zone holds the last name: its origin is the end of it.
    let origin = owner + owner_len.saturating_sub(zone.origin.len());
    match answer.data {
        Data::None => {}
        Data::Ipv4 { ttl, addresses, begin } => {
            for address in rotated(addresses, begin) {
                writer.a(Section::Answer, NameAt(owner), ttl, *address);
            }
        }
        Data::Ipv6 { ttl, addresses, begin } => {
            for address in rotated(addresses, begin) {
                writer.aaaa(Section::Answer, NameAt(owner), ttl, *address);
            }
        }
        Data::NameServers => write_name_servers(zone, origin, writer),
        Data::Authority => write_soa(zone, Section::Answer, origin, zone.default_ttl, writer),
        Data::Negative { ttl } => write_soa(zone, Section::Authority, origin, ttl, writer),
        Data::Minimal { ttl } => {
            let data = |out: &mut Vec<u8>| out.extend_from_slice(MINIMAL);
            writer.record(Section::Answer, NameAt(owner), RecordType::HINFO, ttl, data);
        }
    }
}

/// All items, beginning with one of them.
fn rotated<T>(items: &[T], begin: usize) -> impl Iterator<Item = &T> {
    let (end, start) = items.split_at(begin.checked_rem(items.len()).unwrap_or_default());
    start.iter().chain(end)
}

fn write_name_servers(zone: &PreparedZone, origin: usize, writer: &mut Writer<'_>) {
    let mut places = [0; 16];
    // More than 16 name servers are answered, those beyond without their addresses.
    let mut free = places.iter_mut();
    for server in &zone.name_servers {
        let data = |out: &mut Vec<u8>| push_name(&server.name, origin, out);
        let at = writer.record(Section::Answer, NameAt(origin), RecordType::NS, zone.default_ttl, data);
        if let (Some(at), Some(place)) = (at, free.next()) {
            *place = at;
        }
    }
    for (server, at) in zone.name_servers.iter().zip(places) {
        for address in &server.addresses {
            match address {
                IpAddr::V4(address) => writer.a(Section::Additional, NameAt(at), zone.default_ttl, *address),
                IpAddr::V6(address) => writer.aaaa(Section::Additional, NameAt(at), zone.default_ttl, *address),
            }
        }
    }
}

fn write_soa(zone: &PreparedZone, section: Section, origin: usize, ttl: u32, writer: &mut Writer<'_>) {
    let data = |out: &mut Vec<u8>| {
        push_name(&zone.primary, origin, out);
        push_name(&zone.mailbox, origin, out);
        out.extend_from_slice(&zone.soa_numbers);
    };
    writer.record(section, NameAt(origin), RecordType::SOA, ttl, data);
}

/// Appends a name; of one within the zone the part before the origin, and a pointer to where the origin is.
fn push_name(name: &PreparedName, origin: usize, out: &mut Vec<u8>) {
    match name.below_origin.and_then(|before| name.wire.get(..before)) {
        Some(before) => {
            out.extend_from_slice(before);
            NameAt(origin).write(out);
        }
        None => out.extend_from_slice(&name.wire),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_as_far_as_the_packet_has_a_header() {
        let mut out = Vec::new();
        respond_failure(&[1, 2, 0x01, 0x30, 9, 9], &mut out);
        assert_eq!(out, [1, 2, 0x81, 0x12, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.clear();
        respond_failure(&[1, 2, 3], &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn a_truncated_answer_keeps_the_question_alone() {
        let packet = b"\x01\x02\x01\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
        let context = Context {
            source: [192, 0, 2, 1].into(),
            transport: Transport::Udp { max_payload: 1232 },
            draw: 0,
        };
        let mut out = Vec::new();
        let Outcome::Answered {
            question_end, rcode, ..
        } = respond(&Catalog::default(), packet, &context, &mut out)
        else {
            panic!("no answer");
        };
        assert_eq!((rcode, question_end, out.len()), (Rcode::Refused, 19, 30));
        truncate(&mut out, question_end);
        assert_eq!(out, b"\x01\x02\x83\x05\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01");
    }

    #[test]
    fn rotation_keeps_all_items() {
        let rotated = |begin| rotated(&[1, 2, 3], begin).copied().collect::<Vec<_>>();
        assert_eq!((rotated(0), rotated(4)), (vec![1, 2, 3], vec![2, 3, 1]));
        assert_eq!(super::rotated::<u8>(&[], 5).count(), 0);
    }
}
