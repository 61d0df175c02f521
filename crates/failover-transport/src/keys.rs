//! What a callsign is turned into before anything leaves the cluster (multicluster-failover B.4).

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use ring::hkdf;
use zeroize::Zeroizing;

/// Callsigns with fewer characters are reported as weak: who records a handshake can try all of them.
pub const WEAK_BELOW: usize = 12;

/// The salt `kvmc/1`, filled with zero bytes to the 16 that RFC 9106 recommends; implementations of Argon2 refuse
/// fewer than 8.
const SALT: &[u8; 16] = b"kvmc/1\0\0\0\0\0\0\0\0\0\0";
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
const LENGTH: usize = 32;

/// A secret of 32 bytes that is wiped when it is dropped.
pub(crate) type Secret = Zeroizing<[u8; LENGTH]>;

/// What names a callsign on the wire: 16 bytes that are as expensive to guess from as the callsign is long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallsignId([u8; 16]);

impl CallsignId {
    /// Reads the 32 lower-case hexadecimal digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(id))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for CallsignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CallsignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No keys could be made from a callsign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// An empty callsign names nothing.
    #[error("The callsign is empty; set spec.callsign to the same text in every cluster of the fleet.")]
    Empty,
    /// Argon2id could not run; memory is the only thing that it may lack.
    #[error("Keys could not be derived from the callsign, for which 64 MiB of memory are needed: {0}.")]
    Derivation(String),
}

/// The independent values that are derived from one callsign. Its secrets are wiped when it is dropped.
pub struct CallsignKeys {
    id: CallsignId,
    weak: bool,
    authority: Secret,
    proof: Secret,
}

impl CallsignKeys {
    /// Derives them. This takes 64 MiB of memory and some 100 ms of processor time on purpose: see
    /// [`Deriver`](crate::Deriver) for a way that suits an agent.
    pub fn derive(callsign: &str) -> Result<Self, KeyError> {
        if callsign.is_empty() {
            return Err(KeyError::Empty);
        }
        let failed = |error: argon2::Error| KeyError::Derivation(error.to_string());
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(LENGTH)).map_err(failed)?;
        let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
        let mut key: Secret = Zeroizing::new([0; LENGTH]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(callsign.as_bytes(), SALT, key.as_mut_slice(), memory.as_mut_slice())
            .map_err(failed)?;
        drop(memory);
        let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key.as_slice());
        let mut id = [0; 16];
        expand(&pseudorandom, b"id", &mut id)?;
        let mut authority: Secret = Zeroizing::new([0; LENGTH]);
        expand(&pseudorandom, b"ca", authority.as_mut_slice())?;
        let mut proof: Secret = Zeroizing::new([0; LENGTH]);
        expand(&pseudorandom, b"proof", proof.as_mut_slice())?;
        Ok(Self {
            id: CallsignId(id),
            weak: callsign.chars().count() < WEAK_BELOW,
            authority,
            proof,
        })
    }

    /// What names the callsign on the wire.
    pub fn id(&self) -> CallsignId {
        self.id
    }

    /// Whether the callsign is short enough to be guessed.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// The seed of the key of the derived certificate authority.
    pub(crate) fn authority_seed(&self) -> &Secret {
        &self.authority
    }

    /// The seed of the key that proves to the hub that a member knows the callsign.
    pub(crate) fn proof_seed(&self) -> &Secret {
        &self.proof
    }
}

impl fmt::Debug for CallsignKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsignKeys")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// How many bytes are wanted of HKDF.
struct Wanted(usize);

impl hkdf::KeyType for Wanted {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(key: &hkdf::Prk, label: &[u8], out: &mut [u8]) -> Result<(), KeyError> {
    key.expand(&[label], Wanted(out.len()))
        .and_then(|expanded| expanded.fill(out))
        .map_err(|_| KeyError::Derivation("HKDF gave no output".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with libargon2 and Python's hmac: a change would cut every running fleet in two.
    #[test]
    fn the_derivation_is_fixed() {
        let keys = CallsignKeys::derive("federation").unwrap();
        assert_eq!(keys.id().to_string(), "f4124796a10ff8c627a0efdd4899dc51");
        assert_eq!(
            hex(keys.authority_seed().as_slice()),
            "2f7d6910d5a6e8e3bcab457d28ebb3dc5896449132a58ecdc55acf4586ab0245"
        );
        assert_eq!(
            hex(keys.proof_seed().as_slice()),
            "f845398c7a81b99be1ad02d6d0a251ffe8b82dc671be6974149c12bd6ef75c70"
        );
        assert!(keys.is_weak(), "ten characters");
    }

    #[test]
    fn a_callsign_of_twelve_characters_is_not_weak_and_an_empty_one_is_refused() {
        assert!(
            !CallsignKeys::derive("zwölf\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}")
                .unwrap()
                .is_weak()
        );
        assert!(matches!(CallsignKeys::derive(""), Err(KeyError::Empty)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = CallsignKeys::derive("federation").unwrap();
        assert_eq!(format!("{keys:?}"), format!("CallsignKeys {{ id: {}, .. }}", keys.id()));
    }

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is() {
        let text = "00ff10a9c3d4e5f60718293a4b5c6d7e";
        assert_eq!(CallsignId::parse(text).unwrap().to_string(), text);
        for wrong in [
            "",
            "00",
            "00FF10a9c3d4e5f60718293a4b5c6d7e",
            "00ff10a9c3d4e5f60718293a4b5c6d7e0",
            "g0ff10a9c3d4e5f60718293a4b5c6d7e",
        ] {
            assert_eq!(CallsignId::parse(wrong), None, "{wrong}");
        }
    }
}
