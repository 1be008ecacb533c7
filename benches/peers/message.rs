//! As much of HTTP/1.1 as both ends of this bench need: heads, lengths, chunks.
//!
//! Both ends are ours and the messages are known, so scanning bytes is enough and costs the core
//! under the load less than a full parser would.

/// Where the head in `buffer` ends, its empty line included.
pub(crate) fn head_end(buffer: &[u8]) -> Option<usize> {
    memchr::memmem::find(buffer, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header, its name in any case.
pub(crate) fn header<'head>(head: &'head [u8], name: &str) -> Option<&'head str> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let is_it = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| std::str::from_utf8(&line[colon + 1..]).ok().map(str::trim)).flatten()
    })
}

/// The length of the body that follows `head`; `None` where it has no `Content-Length`.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

/// Takes the frames off a chunked body, however it is cut into reads.
#[derive(Debug, Default)]
pub(crate) enum Dechunker {
    /// In a size line; the digits so far.
    Size(usize),
    /// The size is known; the line goes on until its line feed.
    SizeLine(usize),
    /// In a chunk; bytes left.
    Data(usize),
    /// In the line break after a chunk.
    DataEnd,
    /// The last chunk has come.
    #[default]
    Done,
}

/// A chunked body that breaks the rules, or goes on after its end.
#[derive(Debug, thiserror::Error)]
#[error("byte 0x{0:02x} has no place in the framing of a chunked body")]
pub(crate) struct BrokenChunk(u8);

impl Dechunker {
    /// Ready for the first size line.
    pub(crate) fn new() -> Self {
        Self::Size(0)
    }

    /// Appends the payload in `input` to `payload`.
    pub(crate) fn feed(&mut self, input: &[u8], payload: &mut Vec<u8>) -> Result<(), BrokenChunk> {
        let mut rest = input;
        while let Some(&byte) = rest.first() {
            if let Self::Data(left) = *self {
                let (data, after) = rest.split_at(left.min(rest.len()));
                payload.extend_from_slice(data);
                rest = after;
                *self =
                    if data.len() == left { Self::DataEnd } else { Self::Data(left - data.len()) };
            } else {
                self.step(byte)?;
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), BrokenChunk> {
        *self = match (&*self, byte) {
            (Self::Size(size), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).expect("the byte is a hex digit");
                Self::Size((size << 4) | digit as usize)
            }
            (Self::SizeLine(0), b'\n') | (Self::Done, b'\r' | b'\n') => Self::Done,
            (Self::SizeLine(size), b'\n') => Self::Data(*size),
            (Self::Size(size), b'\r' | b';') | (Self::SizeLine(size), _) => Self::SizeLine(*size),
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(0),
            _ => return Err(BrokenChunk(byte)),
        };
        Ok(())
    }
}
