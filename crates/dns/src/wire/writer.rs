//! Writing of answers.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::codes::{Rcode, RecordType};
use super::edns::{CLIENT_SUBNET, Edns};
use super::{CLASS_IN, HEADER};

/// Octets of an OPT record without options.
const OPT: usize = 11;
/// The section that a record belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    Answer = 0,
    Authority = 1,
    Additional = 2,
}

/// The name of a record: that at an offset of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameAt(pub usize);

impl NameAt {
    /// Appends a compression pointer. Names that are pointed to are in the question or in one of a few CNAME records
    /// right behind it: within the 16 KiB that pointers reach.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(0xC000 | self.0 as u16).to_be_bytes());
    }
}

/// Writes one answer behind what a buffer holds already.
pub(crate) struct Writer<'b> {
    out: &'b mut Vec<u8>,
    /// Where the message begins.
    base: usize,
    /// Where it must end.
    end: usize,
    /// Where the question ends.
    question_end: usize,
    counts: [u16; 3],
    full: bool,
}

impl<'b> Writer<'b> {
    /// Begins the answer to a query: its header, whose flags follow at the end, and the question as it came.
    /// `limit` is the longest message allowed, the OPT record that goes with `edns` included.
    pub fn new(out: &'b mut Vec<u8>, head: [u8; 4], question: &[u8], limit: usize, edns: Option<&Edns>) -> Self {
        let base = out.len();
        let [id_high, id_low, flags, more_flags] = head;
        // The opcode, "recursion desired" and "checking disabled" go back as they came (RFC 1035, RFC 4035).
        out.extend_from_slice(&[id_high, id_low, 0x80 | flags & 0x79, more_flags & 0x10]);
        out.extend_from_slice(&[0, u8::from(!question.is_empty()), 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(question);
        Self {
            question_end: out.len(),
            end: base + limit.saturating_sub(opt_len(edns)),
            out,
            base,
            counts: [0; 3],
            full: false,
        }
    }

    /// Whether a record of the answer or authority section did not fit.
    pub fn is_truncated(&self) -> bool {
        self.full
    }

    /// Writes an A record.
    pub fn a(&mut self, section: Section, owner: NameAt, ttl: u32, address: Ipv4Addr) {
        self.record(section, owner, RecordType::A, ttl, |out| {
            out.extend_from_slice(&address.octets())
        });
    }

    /// Writes an AAAA record.
    pub fn aaaa(&mut self, section: Section, owner: NameAt, ttl: u32, address: Ipv6Addr) {
        self.record(section, owner, RecordType::AAAA, ttl, |out| {
            out.extend_from_slice(&address.octets())
        });
    }

    /// Writes a record whose data is a function of the buffer; returns the offset of its data within the message, or
    /// `None` if it did not fit and was left out.
    pub fn record(
        &mut self,
        section: Section,
        owner: NameAt,
        record_type: RecordType,
        ttl: u32,
        data: impl FnOnce(&mut Vec<u8>),
    ) -> Option<usize> {
        if self.full {
            return None;
        }
        let begin = self.out.len();
        owner.write(self.out);
        let [t1, t2] = record_type.0.to_be_bytes();
        let [c1, c2] = CLASS_IN.to_be_bytes();
        let [a, b, c, d] = ttl.to_be_bytes();
        self.out.extend_from_slice(&[t1, t2, c1, c2, a, b, c, d, 0, 0]);
        let data_at = self.out.len();
        data(self.out);
        let length = (self.out.len() - data_at) as u16;
        if let Some(place) = self.out.get_mut(data_at - 2..data_at) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        if self.out.len() > self.end {
            self.out.truncate(begin);
            // Additional records may be missing (RFC 2181 9).
            self.full = !matches!(section, Section::Additional);
            return None;
        }
        if let Some(count) = self.counts.get_mut(section as usize) {
            *count += 1;
        }
        Some(data_at - self.base)
    }

    /// Ends the answer: without records and marked as truncated if any of them did not fit.
    pub fn finish(self, rcode: Rcode, authoritative: bool, edns: Option<&Edns>, scope: u8) {
        let Self {
            out,
            base,
            mut counts,
            full,
            question_end,
            ..
        } = self;
        if full {
            out.truncate(question_end);
            counts = [0; 3];
        }
        if let Some(edns) = edns {
            counts[Section::Additional as usize] += 1;
            write_opt(out, rcode, edns, scope);
        }
        let Some([_, _, flags, more_flags, _, _, answers @ ..]) = out.get_mut(base..base + HEADER) else {
            return;
        };
        *flags |= u8::from(authoritative) << 2 | u8::from(full) << 1;
        *more_flags |= rcode as u8 & 0xF;
        for (place, count) in answers.chunks_exact_mut(2).zip(counts) {
            place.copy_from_slice(&count.to_be_bytes());
        }
    }
}

/// The largest UDP message that this server says it takes (RFC 6891 6.2.3).
const UDP_SIZE: u16 = 1232;

fn opt_len(edns: Option<&Edns>) -> usize {
    let option = |edns: &Edns| edns.client_subnet.map_or(0, |subnet| 4 + subnet.value_len());
    edns.map_or(0, |edns| OPT + option(edns))
}

fn write_opt(out: &mut Vec<u8>, rcode: Rcode, edns: &Edns, scope: u8) {
    let [t1, t2] = RecordType::OPT.0.to_be_bytes();
    let [s1, s2] = UDP_SIZE.to_be_bytes();
    let dnssec_ok = u8::from(edns.dnssec_ok) << 7;
    let [l1, l2] = ((opt_len(Some(edns)) - OPT) as u16).to_be_bytes();
    out.extend_from_slice(&[0, t1, t2, s1, s2, rcode as u8 >> 4, 0, dnssec_ok, 0, l1, l2]);
    if let Some(subnet) = &edns.client_subnet {
        out.extend_from_slice(&CLIENT_SUBNET.to_be_bytes());
        out.extend_from_slice(&(subnet.value_len() as u16).to_be_bytes());
        subnet.write(scope, out);
    }
}
