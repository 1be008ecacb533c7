//! The bodies of answers: whole, whole but faulty, or a stream of tokens.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::connection::{Broken, Link};
use super::faults::FaultKind;
use super::stats::Counters;
use super::token_stream::TokenStream;

/// Time that bytes have to leave before a fault breaks their connection. hyper writes what it has
/// whenever a body has to wait, so any pause is enough.
pub(super) const FLUSH_PAUSE: Duration = Duration::from_millis(1);

/// The body of an answer, and with it the exchange that ends when the body does.
pub(super) struct MockBody {
    kind: Kind,
    exchange: Exchange,
}

enum Kind {
    Whole(Option<Bytes>),
    Faulty(Box<Faulty>),
    Tokens(Box<TokenStream>),
}

impl MockBody {
    pub(super) fn whole(bytes: impl Into<Bytes>, exchange: Exchange) -> Self {
        Self { kind: Kind::Whole(Some(bytes.into())), exchange }
    }

    /// A body of which the second half meets a fault.
    pub(super) fn faulty(bytes: impl Into<Bytes>, fault: FaultKind, exchange: Exchange) -> Self {
        let mut first = bytes.into();
        let rest = first.split_off(first.len() / 2);
        let pause = if let FaultKind::Stall(pause) = fault { pause } else { FLUSH_PAUSE };
        let faulty = Faulty { first: Some(first), rest, fault, pause, timer: None, is_done: false };
        Self { kind: Kind::Faulty(Box::new(faulty)), exchange }
    }

    pub(super) fn tokens(stream: TokenStream, exchange: Exchange) -> Self {
        Self { kind: Kind::Tokens(Box::new(stream)), exchange }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let link = &this.exchange.link;
        let polled = match &mut this.kind {
            Kind::Whole(bytes) => {
                let bytes = bytes.take();
                this.exchange.is_over = true;
                Poll::Ready(bytes.map(Ok))
            }
            Kind::Faulty(faulty) => faulty.poll(cx, link),
            Kind::Tokens(stream) => stream.poll_event(cx, link),
        };
        let item = ready!(polled);
        this.exchange.is_over |= !matches!(item, Some(Ok(_)));
        Poll::Ready(item.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Kind::Faulty(faulty) => faulty.size_hint(),
            Kind::Tokens(_) => SizeHint::default(),
        }
    }
}

struct Faulty {
    first: Option<Bytes>,
    rest: Bytes,
    fault: FaultKind,
    pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_done: bool,
}

impl Faulty {
    fn poll(&mut self, cx: &mut Context<'_>, link: &Link) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        ready!(self.timer.get_or_insert_with(|| Box::pin(sleep(self.pause))).as_mut().poll(cx));
        self.is_done = true;
        match self.fault {
            FaultKind::Truncate => Poll::Ready(None),
            FaultKind::Stall(_) => Poll::Ready(Some(Ok(std::mem::take(&mut self.rest)))),
            fault => {
                link.reset.set(fault == FaultKind::Reset);
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }

    /// A truncated answer promises no length, or it could not end cleanly.
    fn size_hint(&self) -> SizeHint {
        if self.fault == FaultKind::Truncate {
            return SizeHint::default();
        }
        let first = self.first.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact((first + self.rest.len()) as u64)
    }
}

/// One request being answered. Dropped before it is over, the client has left.
pub(super) struct Exchange {
    counters: Option<Arc<Counters>>,
    link: Rc<Link>,
    is_over: bool,
}

impl Exchange {
    /// `counters` where the exchange counts as in flight; probes and control calls do not.
    pub(super) fn begin(link: Rc<Link>, counters: Option<Arc<Counters>>) -> Self {
        link.busy.set(link.busy.get() + 1);
        if let Some(counters) = &counters {
            counters.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        Self { counters, link, is_over: false }
    }

    /// Ends it without an answer, on purpose.
    pub(super) fn give_up(mut self) {
        self.is_over = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.busy.set(self.link.busy.get() - 1);
        let Some(counters) = &self.counters else { return };
        counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.is_over {
            counters.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}
