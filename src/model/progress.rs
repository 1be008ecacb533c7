//! Whether the streams of an upstream bring anything.
//!
//! A server can take requests, answer its health path with 200 and yet be hung: its streams are open and
//! no word comes on any of them. No probe sees that, but whoever carries the streams does. So the cores
//! count the streams and keep the time of the last content; what follows from it is judged once a second,
//! elsewhere.
//!
//! Only streams count. An answer that comes in one piece is silent by nature until it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Content within this time of the last one noted is not noted again: every core would otherwise write
/// the same cache line for every token.
const COARSENESS: Duration = Duration::from_millis(100);

/// What all cores note of the streams of one upstream.
#[derive(Debug)]
pub struct Progress {
    epoch: Instant,
    open: Open,
    content: LastContent,
}

/// Streams whose head has come and whose end has not. On a cache line of its own: every stream writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Open {
    /// No content yet.
    awaited: AtomicU32,
    /// Some content already.
    begun: AtomicU32,
}

/// When content came last, in milliseconds after the epoch; 0 for never. Read for every token, written
/// ten times a second at most, and never together with the counts.
#[derive(Debug, Default)]
#[repr(align(128))]
struct LastContent(AtomicU64);

/// What there is to judge at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streams {
    /// Streams open on which no content has come yet.
    pub awaited: u32,
    /// Streams open on which some has.
    pub begun: u32,
    /// Differs from one look to the next when content has come between them.
    pub content_mark: u64,
}

impl Streams {
    /// All streams that are open.
    pub fn open(self) -> u32 {
        self.awaited + self.begun
    }
}

/// One open stream; dropping it counts it out.
#[derive(Debug)]
pub struct StreamGuard {
    progress: Arc<Progress>,
    has_begun: bool,
}

// All orderings below are relaxed: the counts and the time are looked at as evidence, and a look that is
// late by one stream or one token is made good by the next one.

impl Progress {
    /// Nothing is open and nothing has come.
    pub fn new(now: Instant) -> Self {
        Self { epoch: now, open: Open::default(), content: LastContent::default() }
    }

    /// The head of a stream has come: counts it until the guard is dropped.
    pub fn stream_opened(self: &Arc<Self>) -> StreamGuard {
        self.open.awaited.fetch_add(1, Ordering::Relaxed);
        StreamGuard { progress: Arc::clone(self), has_begun: false }
    }

    /// The upstream has generated something, on a stream or in an answer of one piece.
    pub fn content_seen(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch);
        let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
        let noted = self.content.0.load(Ordering::Relaxed);
        let is_new = Duration::from_millis(now_ms.saturating_sub(noted)) >= COARSENESS;
        if noted == 0 || is_new {
            self.content.0.store(now_ms, Ordering::Relaxed);
        }
    }

    /// What there is to judge now.
    pub fn streams(&self) -> Streams {
        Streams {
            awaited: self.open.awaited.load(Ordering::Relaxed),
            begun: self.open.begun.load(Ordering::Relaxed),
            content_mark: self.content.0.load(Ordering::Relaxed),
        }
    }
}

impl StreamGuard {
    /// Content has come on this stream. Cheap enough to be told of every token.
    pub fn content_seen(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.progress.open.begun.fetch_add(1, Ordering::Relaxed);
            self.progress.open.awaited.fetch_sub(1, Ordering::Relaxed);
        }
        self.progress.content_seen(now);
    }

    /// For a while the client took nothing, so nothing was read: silence meanwhile is no evidence.
    pub fn client_took_long(&self, now: Instant) {
        self.progress.content_seen(now);
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let open = &self.progress.open;
        let count = if self.has_begun { &open.begun } else { &open.awaited };
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_count_until_they_are_dropped_and_begin_with_their_first_content() {
        let start = Instant::now();
        let progress = Arc::new(Progress::new(start));
        let (mut first, second) = (progress.stream_opened(), progress.stream_opened());
        let counts = |progress: &Progress| {
            let streams = progress.streams();
            (streams.awaited, streams.begun)
        };
        assert_eq!(counts(&progress), (2, 0));
        first.content_seen(start);
        first.content_seen(start);
        assert_eq!(counts(&progress), (1, 1));
        drop(second);
        assert_eq!((counts(&progress), progress.streams().open()), ((0, 1), 1));
        drop(first);
        assert_eq!(counts(&progress), (0, 0));
    }

    #[test]
    fn content_is_noted_ten_times_a_second_at_most_and_the_first_always() {
        let start = Instant::now();
        let progress = Progress::new(start);
        let mark = |at_ms: u64| {
            progress.content_seen(start + Duration::from_millis(at_ms));
            progress.streams().content_mark
        };
        for (at_ms, expected) in [(0, 1), (50, 1), (101, 101), (150, 101), (90, 101), (201, 201)] {
            assert_eq!(mark(at_ms), expected, "{at_ms} ms");
        }
    }
}
