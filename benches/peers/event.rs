//! The event that the upstream emulator streams: shaped like a chat completion chunk, and stamped.

use crate::clock;
use crate::message::{self, Dechunker};

/// What comes before the stamp of every event.
const BEFORE_STAMP: &str = r#"data: {"sent_ns":"#;
/// What comes after it; with it an event is as long as a usual chunk of one token.
const AFTER_STAMP: &str = concat!(
    r#","id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","model":"emulated","#,
    r#""choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}"#,
    "\n\n"
);
/// Enough for eleven days, so that every event has the same length.
const STAMP_DIGITS: usize = 15;

/// The text of one event, kept to be stamped and sent again and again.
pub(crate) struct EventChunk {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl EventChunk {
    /// One event as one chunk.
    pub(crate) fn new() -> Self {
        let event = format!("{BEFORE_STAMP}{:0STAMP_DIGITS$}{AFTER_STAMP}", 0);
        let size = format!("{:x}\r\n", event.len());
        let stamp_at = size.len() + BEFORE_STAMP.len();
        Self { bytes: format!("{size}{event}\r\n").into_bytes(), stamp_at }
    }

    /// The chunk, stamped with the present time. Written digit by digit: this runs for each event
    /// of each stream on the core that also drives the load.
    pub(crate) fn stamped(&mut self) -> &[u8] {
        let mut left = clock::now_ns();
        for digit in self.bytes[self.stamp_at..][..STAMP_DIGITS].iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10).expect("a digit is below ten");
            left /= 10;
        }
        &self.bytes
    }
}

/// Reads the events of one answer, however it is cut into reads.
#[derive(Default)]
pub(crate) struct EventReader {
    /// The head until it is whole, then the part of an event that has come.
    pending: Vec<u8>,
    body: Option<Dechunker>,
}

/// Why an answer is not the stream that was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAStream {
    /// Something else than status 200 in chunks.
    #[error("expected a chunked answer with status 200, got `{0}`")]
    Head(String),
    /// Framing.
    #[error(transparent)]
    Chunk(#[from] message::BrokenChunk),
    /// An event without stamp: bytes were lost or moved.
    #[error("an event does not begin as every event does")]
    Event,
}

impl EventReader {
    /// Takes what was read; calls `on_event` with the stamp of each event that is whole.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        mut on_event: impl FnMut(u64),
    ) -> Result<(), NotAStream> {
        if let Some(body) = &mut self.body {
            body.feed(input, &mut self.pending)?;
        } else {
            self.pending.extend_from_slice(input);
            self.begin()?;
        }
        if self.body.is_none() {
            return Ok(());
        }
        while let Some(at) = memchr::memmem::find(&self.pending, b"\n\n") {
            on_event(stamp_of(&self.pending[..at]).ok_or(NotAStream::Event)?);
            self.pending.drain(..at + 2);
        }
        Ok(())
    }

    /// Goes over to the body once the head is whole.
    fn begin(&mut self) -> Result<(), NotAStream> {
        let Some(end) = message::head_end(&self.pending) else { return Ok(()) };
        let first_body_bytes = self.pending.split_off(end);
        let head = std::mem::take(&mut self.pending);
        let is_chunked = message::header(&head, "transfer-encoding") == Some("chunked");
        if !head.starts_with(b"HTTP/1.1 200") || !is_chunked {
            return Err(NotAStream::Head(String::from_utf8_lossy(&head).into_owned()));
        }
        let body = self.body.insert(Dechunker::new());
        body.feed(&first_body_bytes, &mut self.pending)?;
        Ok(())
    }
}

fn stamp_of(event: &[u8]) -> Option<u64> {
    let digits = event.strip_prefix(BEFORE_STAMP.as_bytes())?.get(..STAMP_DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
