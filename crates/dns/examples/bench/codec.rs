//! What the wire format costs: this crate's answer to a packet, and the same decoded and encoded by hickory.

use std::hint::black_box;
use std::time::Duration;

use dns::{Context, Name, Transport, respond};
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, Record};

use super::process::processor_time;
use super::{Failure, load, zone};

const ROUNDS: u32 = 3_000_000;

pub fn compare() -> Result<(), Failure> {
    let catalog = zone::catalog()?;
    let name = zone::names().next().unwrap_or_default();
    let packet = [vec![0, 0], load::question(&name)].concat();
    let mut out = Vec::new();
    let ours = time(|round| {
        let context = Context {
            source: [192, 0, 2, 1].into(),
            transport: Transport::Udp { max_payload: 1232 },
            draw: u64::from(round) << 32,
        };
        out.clear();
        respond(&catalog, black_box(&packet), &context, &mut out);
        Ok(black_box(&out).len())
    })?;
    let target = Name::from_ascii("app-000-0.region.cloudapp.example.net.")?;
    let theirs = time(|_| {
        let query = Message::from_vec(black_box(&packet))?;
        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.authoritative = true;
        let owner = query.queries[0].name().clone();
        answer.add_answer(Record::from_rdata(owner, 10, RData::CNAME(CNAME(target.clone()))));
        answer.add_queries(query.queries);
        Ok(black_box(answer.to_vec()?).len())
    })?;
    println!(
        "parsing, looking up, choosing and writing: {} ns a query",
        ours.as_nanos()
    );
    println!(
        "decoding and encoding with hickory, without a look-up: {} ns a query",
        theirs.as_nanos()
    );
    Ok(())
}

fn time(mut run: impl FnMut(u32) -> Result<usize, Failure>) -> Result<Duration, Failure> {
    // Processor time: other programs on the machine do not count.
    let began = processor_time(std::process::id())?;
    for round in 0..ROUNDS {
        run(round)?;
    }
    let ended = processor_time(std::process::id())?;
    Ok((ended - began) / ROUNDS)
}
