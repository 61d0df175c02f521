// Readers of what other members send, and what must hold for each. Shared by the bounded test and the cargo-fuzz
// targets.
#![allow(dead_code, reason = "each target has readers of its own")]

use std::time::{Duration, UNIX_EPOCH};

use failover_transport::certificates::hub::Request;
use failover_transport::certificates::{Authority, HubAuthority, Role, Source, check, provided};
use failover_transport::frame::{self, Decoder};
use failover_transport::wire::{self, Hello};
use failover_transport::{CallsignId, member_id};
use rustls_pki_types::{CertificateDer, UnixTime};

/// A stream of frames, the first a greeting and the others messages; how many of them are taken.
pub fn frames(data: &[u8]) -> usize {
    let mut decoder = Decoder::default();
    decoder.buffer().extend_from_slice(data);
    let (mut taken, mut left) = (0, data.len());
    while let Ok(Some(bytes)) = decoder.next(frame::LONGEST) {
        assert_eq!(
            left - bytes.len() - 4,
            decoder.buffer().len(),
            "a frame takes what it says"
        );
        left = decoder.buffer().len();
        if let Ok(hello) = Hello::decode(&bytes) {
            assert_eq!(
                Hello::decode(&hello.encode()),
                Ok(hello),
                "nothing is lost on the way back"
            );
            taken += 1;
        }
        if let Ok(message) = wire::decode(&bytes) {
            assert!(!message.header.sender.as_str().is_empty() && message.header.term < 1 << 31);
            let again = wire::encode(&message);
            assert!(frame::encode(&again).is_ok(), "what arrived can be sent");
            assert_eq!(wire::decode(&again), Ok(message), "nothing is lost on the way back");
            taken += 1;
        }
    }
    taken
}

/// A certificate with the authority that is said to have signed it, as a member shows and reads them; whether it is
/// accepted or at least read. The first byte says as what.
pub fn certificates(data: &[u8]) -> bool {
    let Some((kind, data)) = data.split_first() else {
        return false;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    let callsign = CallsignId::parse("f4124796a10ff8c627a0efdd4899dc51").expect("32 digits");
    match kind {
        b'd' => {
            let certificate = CertificateDer::from(data);
            let authority = Authority::new(Source::Provided, std::slice::from_ref(&certificate));
            let Ok(authority) = authority else {
                return false;
            };
            for role in [Role::Server, Role::Client] {
                if let Ok(peer) = check(
                    std::slice::from_ref(&authority),
                    callsign,
                    (&certificate, &[]),
                    role,
                    now,
                ) {
                    assert!(member_id(peer.member.as_str()).is_some());
                }
            }
            true
        }
        b'p' => {
            // Parts of a Secret, one after the other.
            let mut parts = data.split(|byte| *byte == 0);
            let mut part = || parts.next().unwrap_or_default();
            provided::read(Source::Provided, part(), part(), part()).is_ok()
        }
        b'r' => {
            let (csr, proof) = data.split_at(data.len().saturating_sub(96));
            let (proof_key, proof) = proof.split_at(proof.len().min(32));
            let request = Request {
                csr: csr.to_vec(),
                proof_key: proof_key.to_vec(),
                proof: proof.to_vec(),
            };
            let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            // Its proof is verified first, which a mutation never survives; the request is read all the same.
            let (hub, _, _) = HubAuthority::create(callsign, at).expect("an authority");
            let issued = hub.issue(callsign, "7d0c7e4a-6f1e-4b0f-8f5d-0d9c1a2b3c4d", &request, None, at);
            if let Ok(issued) = &issued {
                assert!(request.is_proven() && member_id(issued.member.as_str()).is_some());
            }
            issued.is_ok() || HubAuthority::reads(&request)
        }
        _ => false,
    }
}
