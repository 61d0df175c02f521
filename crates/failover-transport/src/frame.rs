//! Frames: a length of four bytes, big-endian, and that many bytes (multicluster-failover B.4).

use bytes::{Buf as _, Bytes, BytesMut};

/// The most that one frame may hold.
pub const LONGEST: usize = 1 << 20;
/// A greeting is this long at most, so that a peer costs little until it is known.
pub(crate) const LONGEST_HELLO: usize = 4 << 10;

const PREFIX: usize = 4;

/// A frame is longer than is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes is longer than the {longest} that are permitted")]
pub struct TooLong {
    /// How long it is.
    pub length: usize,
    /// How long it may be.
    pub longest: usize,
}

/// A frame around the bytes.
pub fn encode(payload: &[u8]) -> Result<Bytes, TooLong> {
    let length = payload.len();
    match u32::try_from(length) {
        Ok(prefix) if length <= LONGEST => Ok([prefix.to_be_bytes().as_slice(), payload].concat().into()),
        _ => Err(TooLong {
            length,
            longest: LONGEST,
        }),
    }
}

/// Finds frames in what has arrived, however it was cut into pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Where to put what arrives.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame's bytes, once they are there. A frame above `longest` is an error as soon as its length has
    /// arrived; nothing after it can be read.
    pub fn next(&mut self, longest: usize) -> Result<Option<Bytes>, TooLong> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > longest {
            return Err(TooLong { length, longest });
        }
        if self.buffer.len() - PREFIX < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_are_found_however_they_are_cut(
            frames in vec(vec(any::<u8>(), 0..50), 0..8),
            cuts in vec(1..30usize, 1..40),
        ) {
            let mut stream: Vec<u8> = frames.iter().flat_map(|frame| encode(frame).unwrap()).collect();
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            let mut cuts = cuts.into_iter().cycle();
            while !stream.is_empty() {
                let rest = stream.split_off(cuts.next().unwrap().min(stream.len()));
                decoder.buffer().extend_from_slice(&stream);
                stream = rest;
                while let Some(frame) = decoder.next(LONGEST).unwrap() {
                    found.push(frame.to_vec());
                }
            }
            prop_assert_eq!(found, frames);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_length_alone() {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(&[0, 0x10, 0, 0]);
        assert_eq!(decoder.next(LONGEST), Ok(None), "one mebibyte is permitted");
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(&[0, 0x10, 0, 1]);
        assert!(decoder.next(LONGEST).is_err());
        assert!(encode(&vec![0; LONGEST]).is_ok());
        assert!(encode(&vec![0; LONGEST + 1]).is_err());
    }
}
