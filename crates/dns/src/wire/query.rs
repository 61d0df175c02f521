//! Parsing of queries.

use super::codes::RecordType;
use super::edns::Edns;
use super::malformed::Malformed;
use super::{HEADER, MAX_NAME};

/// A query that can be answered.
#[derive(Clone, Debug)]
pub struct Query<'p> {
    /// The first four octets: id and flags.
    pub(crate) head: [u8; 4],
    /// The question as it came: name, type and class.
    pub(crate) question: &'p [u8],
    /// The name that is asked for, in lower case.
    pub name: LowerName,
    /// The type that is asked for.
    pub record_type: RecordType,
    /// The class that is asked for.
    pub class: u16,
    /// The OPT record, if there is one.
    pub edns: Option<Edns>,
}

/// A packet that is not a query that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswerable<'p> {
    /// Nothing may be sent back: too short to have a header.
    TooShort,
    /// Nothing may be sent back: it is a response.
    Response,
    /// NOTIMP: a kind of query (opcode) that is not supported.
    Opcode {
        /// The first four octets.
        head: [u8; 4],
        /// The question, if it has one that can be read.
        question: &'p [u8],
        /// The OPT record, if one can be read: it makes one go back, too.
        edns: Option<Edns>,
    },
    /// FORMERR.
    Malformed {
        /// The first four octets.
        head: [u8; 4],
        /// The question, as far as it could be read.
        question: &'p [u8],
        /// The OPT record, as far as it could be read, without the client's network.
        edns: Option<Edns>,
        /// What is wrong.
        why: Malformed,
    },
}

/// A name in wire format and lower case, with the places where its labels begin.
#[derive(Clone, Copy)]
pub struct LowerName {
    bytes: [u8; MAX_NAME],
    len: u8,
    labels: [u8; MAX_NAME / 2],
    label_count: u8,
}

impl std::fmt::Debug for LowerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.wire().escape_ascii())
    }
}

impl LowerName {
    /// Reads a name without compression pointers; `None` if it is malformed.
    pub(crate) fn read(wire: &[u8]) -> Option<Self> {
        let mut name = Self {
            bytes: [0; MAX_NAME],
            len: 0,
            labels: [0; MAX_NAME / 2],
            label_count: 0,
        };
        let mut at = 0;
        loop {
            // Compression pointers and other kinds of labels have one of the first two bits set.
            let length = match *wire.get(at)? {
                0 => break,
                length @ 1..=63 => usize::from(length),
                _ => return None,
            };
            let end = at + 1 + length;
            // The root label follows.
            if end >= MAX_NAME {
                return None;
            }
            *name.labels.get_mut(usize::from(name.label_count))? = at as u8;
            name.label_count += 1;
            at = end;
        }
        name.len = at as u8 + 1;
        let (from, to) = (wire.get(..at)?, name.bytes.get_mut(..at)?);
        // Lengths of labels are below the letters.
        to.iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = from.to_ascii_lowercase());
        Some(name)
    }

    /// All of its octets, the root label included.
    pub fn wire(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether a label, or the root, begins at an offset.
    pub(crate) fn begins_at(&self, offset: usize) -> bool {
        let labels = self.labels.get(..usize::from(self.label_count)).unwrap_or_default();
        offset + 1 == usize::from(self.len) || labels.iter().any(|begin| usize::from(*begin) == offset)
    }
}

/// Reads a packet.
pub fn parse(packet: &[u8]) -> Result<Query<'_>, Unanswerable<'_>> {
    let Some((header, body)) = packet.split_first_chunk::<HEADER>() else {
        return Err(Unanswerable::TooShort);
    };
    let [id_high, id_low, flags_high, flags_low, counts @ ..] = *header;
    if flags_high & 0x80 != 0 {
        return Err(Unanswerable::Response);
    }
    let head = [id_high, id_low, flags_high, flags_low];
    let counts = counts_of(counts);
    let question = if counts[0] == 1 { read_question(body) } else { None };
    let echo = question.as_ref().map_or(&[][..], |question| question.wire);
    let mut edns = None;
    let records = match (&question, counts[0]) {
        (None, 1..) => Err(Malformed::Question),
        _ => read_records(body.get(echo.len()..).unwrap_or_default(), counts, &mut edns),
    };
    if flags_high & 0x78 != 0 {
        return Err(Unanswerable::Opcode {
            head,
            question: echo,
            edns,
        });
    }
    let complete = if counts[0] == 1 {
        records
    } else {
        Err(Malformed::QuestionCount)
    };
    match (question, complete) {
        (Some(question), Ok(())) => Ok(Query {
            head,
            question: question.wire,
            name: question.name,
            record_type: question.record_type,
            class: question.class,
            edns,
        }),
        (_, complete) => Err(Unanswerable::Malformed {
            head,
            question: echo,
            edns: edns.map(|edns| Edns {
                client_subnet: None,
                ..edns
            }),
            why: complete.err().unwrap_or(Malformed::Question),
        }),
    }
}

/// Passes over the records behind the question and reads the OPT record.
fn read_records(bytes: &[u8], counts: [u16; 4], edns: &mut Option<Edns>) -> Result<(), Malformed> {
    let [_, answers, authorities, additionals] = counts;
    let mut records = Records(bytes);
    for _ in 0..u32::from(answers) + u32::from(authorities) {
        records.next().ok_or(Malformed::Record)?;
    }
    for _ in 0..additionals {
        let record = records.next().ok_or(Malformed::Record)?;
        if record.record_type != RecordType::OPT {
            continue;
        }
        if !record.at_root || edns.is_some() {
            return Err(Malformed::Edns);
        }
        edns.insert(Edns::new(record.class, record.ttl))
            .read_options(record.data)?;
    }
    Ok(())
}

fn counts_of(bytes: [u8; 8]) -> [u16; 4] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [[a, b], [c, d], [e, f], [g, h]].map(u16::from_be_bytes)
}

struct Question<'p> {
    wire: &'p [u8],
    name: LowerName,
    record_type: RecordType,
    class: u16,
}

fn read_question(body: &[u8]) -> Option<Question<'_>> {
    let name = LowerName::read(body)?;
    let name_len = name.wire().len();
    let [type_high, type_low, class_high, class_low] = *body.get(name_len..)?.first_chunk::<4>()?;
    Some(Question {
        wire: body.get(..name_len + 4)?,
        name,
        record_type: RecordType(u16::from_be_bytes([type_high, type_low])),
        class: u16::from_be_bytes([class_high, class_low]),
    })
}

struct Record<'p> {
    at_root: bool,
    record_type: RecordType,
    class: u16,
    ttl: u32,
    data: &'p [u8],
}

/// The records that follow a question.
struct Records<'p>(&'p [u8]);

impl<'p> Iterator for Records<'p> {
    type Item = Record<'p>;

    fn next(&mut self) -> Option<Record<'p>> {
        let name_len = skip_name(self.0)?;
        let (fixed, rest) = self.0.get(name_len..)?.split_first_chunk::<10>()?;
        let [t1, t2, c1, c2, ttl @ .., l1, l2] = *fixed;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        self.0 = rest;
        Some(Record {
            at_root: name_len == 1,
            record_type: RecordType(u16::from_be_bytes([t1, t2])),
            class: u16::from_be_bytes([c1, c2]),
            ttl: u32::from_be_bytes(ttl),
            data,
        })
    }
}

/// Length of a name that may end in a compression pointer.
fn skip_name(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < MAX_NAME {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xC0.. => return wire.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x03Www\x07EXAMPLE\x03com\x00\x00\x01\x00\x01";
    const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

    fn packet(flags: u8, counts: [u8; 4], body: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0xAB, 0xCD, flags, 0];
        bytes.extend(counts.iter().flat_map(|count| [0, *count]));
        bytes.extend(body.concat());
        bytes
    }

    fn why(packet: &[u8]) -> Malformed {
        match parse(packet) {
            Err(Unanswerable::Malformed { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_query() {
        let packet = packet(1, [1, 0, 0, 0], &[QUESTION]);
        let query = parse(&packet).unwrap();
        assert_eq!(query.name.wire(), b"\x03www\x07example\x03com\x00");
        assert_eq!((query.record_type, query.class, query.edns), (RecordType::A, 1, None));
        assert_eq!(query.question, QUESTION);
        assert!([0, 4, 12, 16].iter().all(|offset| query.name.begins_at(*offset)));
        assert!(![1, 5, 13, 17].iter().any(|offset| query.name.begins_at(*offset)));
    }

    #[test]
    fn edns_is_found_behind_other_records() {
        let other = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01a";
        let packet = packet(0, [1, 1, 1, 2], &[QUESTION, other, other, other, OPT]);
        let edns = parse(&packet).unwrap().edns.unwrap();
        assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok), (1232, 0, true));
    }

    #[test]
    fn every_packet_that_ends_too_early_is_malformed() {
        let whole = packet(0, [1, 0, 0, 1], &[QUESTION, OPT]);
        assert!(parse(&whole).is_ok());
        for end in 0..whole.len() {
            match parse(&whole[..end]) {
                Err(Unanswerable::TooShort) => assert!(end < HEADER),
                Err(Unanswerable::Malformed { question, .. }) => {
                    assert_eq!(question.is_empty(), end < HEADER + QUESTION.len(), "{end}");
                }
                other => panic!("{end}: {other:?}"),
            }
        }
    }

    #[test]
    fn responses_and_other_opcodes_are_told_apart() {
        let response = packet(0x80, [1, 0, 0, 0], &[QUESTION]);
        assert_eq!(parse(&response).unwrap_err(), Unanswerable::Response);
        let notify = packet(0x20, [1, 0, 0, 0], &[QUESTION]);
        let head = [0xAB, 0xCD, 0x20, 0];
        assert_eq!(
            parse(&notify).unwrap_err(),
            Unanswerable::Opcode {
                head,
                question: QUESTION,
                edns: None
            }
        );
        let update = packet(0x28, [1, 0, 0, 0], &[]);
        let head = [0xAB, 0xCD, 0x28, 0];
        assert_eq!(
            parse(&update).unwrap_err(),
            Unanswerable::Opcode {
                head,
                question: &[],
                edns: None
            }
        );
    }

    #[test]
    fn what_is_malformed() {
        let long = [&[63u8; 64][..]; 4].concat();
        for (count, body, expected) in [
            ([0, 0, 0, 0], &[][..], Malformed::QuestionCount),
            ([2, 0, 0, 0], &[QUESTION, QUESTION], Malformed::QuestionCount),
            // A pointer, a reserved kind of label, and 256 octets.
            ([1, 0, 0, 0], &[b"\xc0\x0c\x00\x01\x00\x01"], Malformed::Question),
            ([1, 0, 0, 0], &[b"\x40a\x00\x00\x01\x00\x01"], Malformed::Question),
            ([1, 0, 0, 0], &[&long, b"\x00\x00\x01\x00\x01"], Malformed::Question),
            ([1, 0, 0, 2], &[QUESTION, OPT], Malformed::Record),
            ([1, 0, 0, 2], &[QUESTION, OPT, OPT], Malformed::Edns),
            ([1, 0, 0, 1], &[QUESTION, b"\x01a", OPT], Malformed::Edns),
            (
                [1, 0, 0, 1],
                &[QUESTION, b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x01\x00"],
                Malformed::Edns,
            ),
        ] {
            assert_eq!(why(&packet(0, count, body)), expected, "{count:?} {body:?}");
        }
    }

    #[test]
    fn the_longest_name_is_read() {
        let mut name = [&[b'a'; 64][..]; 4].concat();
        for label in 0..3 {
            name[label * 64] = 63;
        }
        name[192] = 61;
        name.truncate(254);
        name.push(0);
        assert_eq!(LowerName::read(&name).unwrap().wire(), name);
        name[192] = 62;
        name.push(0);
        assert!(LowerName::read(&name).is_none());
        let most_labels = [&b"\x01a".repeat(127)[..], &[0]].concat();
        assert_eq!(LowerName::read(&most_labels).unwrap().wire(), most_labels);
    }
}
