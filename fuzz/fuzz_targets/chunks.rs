//! Follows any bytes as a chunked body: what is found does not depend on the pieces, and what is passed on is
//! read by the next one as the same body.
//!
//! The last two bytes of the input choose how it is cut.

#![no_main]

use cyan_fuzz::data_plane::lean::framing::{Chunks, LAST_CHUNK};
use cyan_fuzz::pieces::pieces;
use libfuzzer_sys::fuzz_target;

/// A body as far as it was followed: what goes to the client, what it carries, and where it ended.
#[derive(Debug, Default, PartialEq)]
struct Followed {
    sent: Vec<u8>,
    payload: Vec<u8>,
    is_bad: bool,
    is_whole: bool,
    used: usize,
}

fuzz_target!(|input: &[u8]| {
    let Some((body, [seed, step])) = input.split_last_chunk() else { return };
    let whole = follow(std::iter::once(body));
    for other in [follow(body.chunks(1)), follow(pieces(body, *seed, *step))] {
        assert_eq!((whole.is_bad, whole.is_whole), (other.is_bad, other.is_whole));
        if whole.is_whole {
            // A size line that was cut is written anew, without its extension.
            assert_eq!((&whole.payload, whole.used), (&other.payload, other.used));
            assert_eq!(follow(std::iter::once(&other.sent[..])).payload, whole.payload);
        }
    }
    if whole.is_whole {
        let again = follow(std::iter::once(whole.sent.as_slice()));
        assert!(again.is_whole && again.payload == whole.payload && again.sent == whole.sent);
        assert_eq!(again.used, whole.sent.len(), "nothing stands behind the end");
        let without_end = &whole.sent[..whole.sent.len() - 1];
        assert!(!follow(std::iter::once(without_end)).is_whole);
    } else if !whole.is_bad {
        assert!(
            !follow(std::iter::once(whole.sent.as_slice())).is_whole,
            "a part never looks whole"
        );
    }
});

/// Passes pieces on as the engine does.
fn follow<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Followed {
    let (mut chunks, mut followed) = (Chunks::default(), Followed::default());
    for piece in pieces {
        let Followed { sent, payload, .. } = &mut followed;
        let passed = chunks.push(piece, |data| payload.extend_from_slice(data));
        if passed.is_broken {
            return Followed { is_bad: true, ..Followed::default() };
        }
        if let Some(size) = passed.line {
            sent.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        }
        sent.extend_from_slice(&piece[passed.part.clone()]);
        if let Some(end) = passed.end {
            sent.extend_from_slice(LAST_CHUNK);
            followed.is_whole = true;
            followed.used += end;
            return followed;
        }
        followed.used += piece.len();
    }
    followed
}
