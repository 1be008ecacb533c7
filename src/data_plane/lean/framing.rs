//! Where the body of an answer ends (RFC 9112, sections 6 and 7).
//!
//! A chunked body goes to the client as it came, without being taken apart: the scanner only follows it
//! to see the payload and the end. Two things are kept back: a size line of which a part is missing,
//! since it might be that of the last chunk, and the last chunk with its trailers, which the engine
//! writes itself once the end is certain. So a client can never take a cut answer for a whole one.

use std::ops::Range;

/// Most digits of a chunk's size.
const DIGITS_MAX: u8 = 16;
/// Most bytes of the extensions of one chunk, and of all trailers.
const EXTRA_BYTES_MAX: usize = 8 * 1024;

/// Most bytes that a chunk may still lack to be filled up with blank lines.
const FILLING_BYTES_MAX: u64 = 64 * 1024;

/// The last chunk, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How the end of a body is known.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, or nothing of it is left.
    Nothing,
    /// So many bytes are left.
    Sized(u64),
    /// In chunks.
    Chunked(Chunks),
    /// With the connection.
    UntilClose,
}

impl Framing {
    /// Writes `words` where the client stands in the body, and the end of the body. False: they cannot be
    /// said, and nothing is written.
    pub fn end_with(&self, words: &[u8], out: &mut Vec<u8>) -> bool {
        let can_end = match self {
            Self::Nothing | Self::Sized(_) => false,
            Self::Chunked(chunks) => chunks.fill_with(words, out),
            Self::UntilClose => {
                chunk(words, out);
                true
            }
        };
        if can_end {
            out.extend_from_slice(LAST_CHUNK);
        }
        can_end
    }
}

fn chunk(data: &[u8], out: &mut Vec<u8>) {
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}

/// Follows a chunked body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    place: Place,
    /// Of the chunk: what is left of it, or what its size line says so far.
    size: u64,
    digits: u8,
    extra: usize,
    /// A part of the size line was kept back.
    is_line_split: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk, or in it.
    Trailer {
        is_empty: bool,
    },
    TrailerLf {
        is_empty: bool,
    },
    End,
}

/// What to do with a piece of a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// First write the line of a chunk of this size: it was kept back.
    pub line: Option<u64>,
    /// Then write this part of the piece.
    pub part: Range<usize>,
    /// The body ended before this position: write the last chunk.
    pub end: Option<usize>,
    /// The chunks cannot be followed beyond that part.
    pub is_broken: bool,
}

/// A byte that may not stand where it stands.
#[derive(Debug, PartialEq, Eq)]
struct BadChunks;

impl Chunks {
    /// Follows a piece, as far as it keeps to the rules. `payload` sees the bytes that it carries.
    pub fn push(&mut self, piece: &[u8], mut payload: impl FnMut(&[u8])) -> Passed {
        let mut passed = Passed { line: None, part: 0..0, end: None, is_broken: false };
        let mut at = 0;
        while at < piece.len() && self.place != Place::End {
            if self.place == Place::Data {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let length = left.min(piece.len() - at);
                payload(&piece[at..at + length]);
                self.size -= length as u64;
                at += length;
                passed.part.end = at;
                if self.size == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            let was_line_end = self.place == Place::SizeLf;
            let Ok(place) = self.step(piece[at]) else {
                passed.is_broken = true;
                break;
            };
            self.place = place;
            at += 1;
            match self.place {
                Place::Data if was_line_end => {
                    if std::mem::take(&mut self.is_line_split) {
                        passed.line = Some(self.size);
                        passed.part.start = at;
                    }
                    passed.part.end = at;
                }
                Place::DataLf => passed.part.end = at,
                Place::Size if self.digits == 0 => passed.part.end = at,
                _ => {}
            }
        }
        let is_in_line = matches!(self.place, Place::Size | Place::Extension | Place::SizeLf);
        self.is_line_split = is_in_line && (self.digits > 0 || self.is_line_split);
        passed.end = (self.place == Place::End).then_some(at);
        passed
    }

    /// Writes `words` into the chunk in which the client stands, or into one of their own. What a chunk lacks
    /// beyond them is filled up with LF: to streams of events or lines, blank lines say nothing.
    fn fill_with(&self, words: &[u8], out: &mut Vec<u8>) -> bool {
        let lacking = match self.place {
            Place::Data if self.size > FILLING_BYTES_MAX => return false,
            Place::Data => usize::try_from(self.size).expect("it is below the maximum"),
            _ => 0,
        };
        let (filling, rest) = words.split_at(lacking.min(words.len()));
        out.extend_from_slice(filling);
        out.resize(out.len() + lacking - filling.len(), b'\n');
        match self.place {
            Place::Data | Place::DataCr => out.extend_from_slice(b"\r\n"),
            Place::DataLf => out.push(b'\n'),
            // Of everything else nothing was passed.
            _ => {}
        }
        chunk(rest, out);
        true
    }

    /// One byte outside of the data.
    fn step(&mut self, byte: u8) -> Result<Place, BadChunks> {
        Ok(match (self.place, byte) {
            (Place::Size, b'\r') if self.digits > 0 => Place::SizeLf,
            (Place::Size, b';' | b' ' | b'\t') if self.digits > 0 => {
                self.extra = 0;
                Place::Extension
            }
            (Place::Size, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunks)?;
                self.digits += 1;
                if self.digits > DIGITS_MAX {
                    return Err(BadChunks);
                }
                self.size = self.size * 16 + u64::from(digit);
                Place::Size
            }
            (Place::Extension, b'\r') => Place::SizeLf,
            (Place::Extension, _) => {
                self.count_extra(byte)?;
                Place::Extension
            }
            (Place::SizeLf, b'\n') => {
                self.digits = 0;
                self.extra = 0;
                if self.size == 0 { Place::Trailer { is_empty: true } } else { Place::Data }
            }
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size,
            (Place::Trailer { is_empty }, b'\r') => Place::TrailerLf { is_empty },
            (Place::Trailer { .. }, _) => {
                self.count_extra(byte)?;
                Place::Trailer { is_empty: false }
            }
            (Place::TrailerLf { is_empty: true }, b'\n') => Place::End,
            (Place::TrailerLf { is_empty: false }, b'\n') => Place::Trailer { is_empty: true },
            _ => return Err(BadChunks),
        })
    }

    /// A byte of an extension or a trailer: bounded, and without control characters, in which two
    /// readers could see different lines.
    fn count_extra(&mut self, byte: u8) -> Result<(), BadChunks> {
        self.extra += 1;
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if is_text && self.extra <= EXTRA_BYTES_MAX { Ok(()) } else { Err(BadChunks) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Passes pieces on as the engine does; what went out, the payload, and what was left over.
    fn pass(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, bool), BadChunks> {
        let (mut chunks, mut sent, mut payload) = (Chunks::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let passed = chunks.push(piece, |data| payload.extend_from_slice(data));
            if passed.is_broken {
                return Err(BadChunks);
            }
            if let Some(size) = passed.line {
                sent.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            }
            sent.extend_from_slice(&piece[passed.part.clone()]);
            if passed.end.is_some() {
                sent.extend_from_slice(LAST_CHUNK);
                return Ok((sent, payload, true));
            }
        }
        Ok((sent, payload, false))
    }

    #[test]
    fn chunks_pass_as_they_came_and_trailers_do_not() {
        let whole = b"3;x=y\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Late: 1\r\n\r\n";
        let (sent, payload, is_over) = pass(&[whole]).unwrap();
        assert_eq!(sent, b"3;x=y\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n");
        assert_eq!((payload.as_slice(), is_over), (&b"abc0123456789"[..], true));
    }

    #[test]
    fn nothing_that_might_be_the_last_chunk_goes_out_before_it_is_whole() {
        let whole = b"1\r\na\r\n0\r\n\r\n";
        for cut in 0..whole.len() {
            let (sent, _, is_over) = pass(&[&whole[..cut]]).unwrap();
            assert!(!is_over && sent.len() <= 6 && whole.starts_with(&sent), "{cut}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for bad in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"0x1\r\n",
            b" 1\r\n",
            b"1\na",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\r\r\n",
            b"1;\n\r\n",
            b"1;\rx",
            b"11111111111111111\r\n",
            b"0\r\n\n",
        ] {
            assert_eq!(pass(&[bad]), Err(BadChunks), "{}", String::from_utf8_lossy(bad));
        }
        let long = [b"1;".to_vec(), vec![b'x'; EXTRA_BYTES_MAX + 1]].concat();
        assert_eq!(pass(&[&long]), Err(BadChunks));
    }

    /// What goes out of `piece`, and then of an end with `words`.
    fn ended(piece: &[u8], words: &[u8]) -> Option<Vec<u8>> {
        let mut chunks = Chunks::default();
        let passed = chunks.push(piece, |_| ());
        let mut sent = piece[passed.part].to_vec();
        Framing::Chunked(chunks).end_with(words, &mut sent).then_some(sent)
    }

    #[test]
    fn words_fit_in_wherever_the_chunks_break_off() {
        let whole = b"3;x=y\r\nabc\r\n14\r\n0123456789abcdefghij\r\n0\r\n";
        for cut in 0..=whole.len() {
            let sent = ended(&whole[..cut], b"words").unwrap();
            let (again, payload, is_over) = pass(&[&sent]).unwrap();
            let payload = String::from_utf8(payload).unwrap();
            assert!(is_over && again == sent, "{cut}: {payload:?}");
            let data = payload.trim_end().strip_suffix("words").unwrap();
            assert!("abc0123456789abcdefghij".starts_with(data), "{cut}: {payload:?}");
        }
    }

    #[test]
    fn what_came_before_broken_chunks_is_passed() {
        let sent = ended(b"3\r\nabc\r\nxyz", b"words").unwrap();
        assert_eq!(sent, b"3\r\nabc\r\n5\r\nwords\r\n0\r\n\r\n");
        let sent = ended(b"3\r\nabcd", b"words").unwrap();
        assert_eq!(sent, b"3\r\nabc\r\n5\r\nwords\r\n0\r\n\r\n");
    }

    #[test]
    fn a_chunk_that_lacks_too_much_is_not_filled() {
        assert_eq!(ended(b"fffff\r\ndata", b"words"), None);
        let mut out = Vec::new();
        assert!(!Framing::Sized(7).end_with(b"words", &mut out) && out.is_empty());
    }

    proptest! {
        #[test]
        fn any_cutting_into_pieces_gives_the_same_payload_and_end(
            data in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(0usize..400, 0..12),
        ) {
            let mut whole = Vec::new();
            for (index, chunk) in data.iter().enumerate() {
                let zeros = "0".repeat(index % 3);
                whole.extend_from_slice(format!("{zeros}{:X}\r\n", chunk.len()).as_bytes());
                whole.extend_from_slice(chunk);
                whole.extend_from_slice(b"\r\n");
            }
            whole.extend_from_slice(b"0\r\na: b\r\n\r\n");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&whole[start..cut]);
                start = cut;
            }
            pieces.push(&whole[start..]);
            let (sent, payload, is_over) = pass(&pieces).unwrap();
            prop_assert!(is_over);
            prop_assert_eq!(&payload, &data.concat());
            // What went out, read by itself, is the same body again.
            let (again, same, is_over) = pass(&[&sent]).unwrap();
            prop_assert!(is_over && same == payload && again == sent);
        }
    }
}
