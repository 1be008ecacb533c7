//! One streamed answer: which event is due, and what the fault of this request does to it.
//!
//! Tokens follow a schedule that was drawn beforehand; a client that reads slowly gets the tokens
//! that fell due meanwhile in one burst, as from a real engine. Per token: one timer, three copies
//! into a buffer that is shared by some thirty events, one wake-up.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::FLUSH_PAUSE;
use super::connection::{Broken, Link};
use super::dialect::{Dialect, Identity, Outcome, Script};
use super::faults::FaultKind;
use super::plan::Plan;
use super::shared::Shared;
use super::stats::unix_ns;

/// How often a frozen stream looks whether it may go on.
const FREEZE_POLL: Duration = Duration::from_millis(50);

/// Bytes reserved at once for events to come.
const BUFFER_BYTES: usize = 8192;

pub(super) struct TokenStream {
    shared: Arc<Shared>,
    dialect: Dialect,
    identity: Identity,
    plan: Plan,
    script: Script,
    phase: Phase,
    /// Whole events that are due now, before anything else.
    queued: std::vec::IntoIter<String>,
    next_token: usize,
    due: Instant,
    timer: Pin<Box<Sleep>>,
    buffer: BytesMut,
    closes_connection: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Speaking,
    Breaking { by_reset: bool },
    Ended,
}

impl TokenStream {
    /// A stream whose request arrived at `started`.
    pub(super) fn new(
        shared: Arc<Shared>,
        dialect: Dialect,
        identity: Identity,
        plan: Plan,
        started: Instant,
    ) -> Self {
        let mut script = dialect.script(&identity);
        let is_empty = plan.fault.is_some_and(|fault| fault.kind == FaultKind::Empty);
        let opening = if is_empty { Vec::new() } else { std::mem::take(&mut script.opening) };
        let due = started + plan.first_token;
        Self {
            closes_connection: shared.faults().close_after_stream,
            shared,
            dialect,
            identity,
            plan,
            script,
            phase: Phase::Speaking,
            queued: opening.into_iter(),
            next_token: 0,
            due,
            timer: Box::pin(sleep_until(due)),
            buffer: BytesMut::new(),
        }
    }

    pub(super) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        link: &Link,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        if std::mem::take(&mut self.closes_connection) {
            // The head is written by now, so the client is not told.
            link.close_after.notify_one();
        }
        loop {
            if let Some(event) = self.queued.next() {
                return Poll::Ready(Some(Ok(self.whole_event(&event))));
            }
            match self.phase {
                Phase::Ended => return Poll::Ready(None),
                Phase::Speaking => ready!(self.poll_due(cx)),
                Phase::Breaking { by_reset } => {
                    ready!(self.poll_due(cx));
                    link.reset.set(by_reset);
                    self.phase = Phase::Ended;
                    return Poll::Ready(Some(Err(Broken)));
                }
            }
            if let Some(fault) = self.fault_now() {
                self.suffer(fault);
            } else if self.next_token < self.plan.tokens {
                return Poll::Ready(Some(Ok(self.token_event())));
            } else {
                self.close();
            }
        }
    }

    /// Ready when the next event is due and the server is not frozen.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.timer.deadline() != self.due {
                self.timer.as_mut().reset(self.due);
            }
            ready!(self.timer.as_mut().poll(cx));
            if !self.shared.faults().freeze {
                return Poll::Ready(());
            }
            self.due = Instant::now() + FREEZE_POLL;
        }
    }

    /// The fault of this request, once, when its place is reached.
    fn fault_now(&mut self) -> Option<FaultKind> {
        let is_due = |fault: &super::plan::Fault| {
            fault.kind == FaultKind::Empty || fault.at == self.next_token
        };
        self.plan.fault.take_if(|fault| is_due(fault)).map(|fault| fault.kind)
    }

    fn suffer(&mut self, fault: FaultKind) {
        match fault {
            FaultKind::ErrorFirst | FaultKind::ErrorMidway => {
                self.queued = self.dialect.error_events(self.next_number()).into_iter();
                self.phase = Phase::Ended;
            }
            FaultKind::Cut | FaultKind::Reset => {
                self.due = Instant::now() + FLUSH_PAUSE;
                self.phase = Phase::Breaking { by_reset: fault == FaultKind::Reset };
            }
            FaultKind::Truncate | FaultKind::Empty => self.phase = Phase::Ended,
            FaultKind::Stall(pause) => self.due += pause,
            // Both are met before a stream begins.
            FaultKind::Status(_) | FaultKind::NoAnswer => {}
        }
    }

    fn close(&mut self) {
        let outcome = Outcome {
            text: self.shared.speaker.text(self.plan.wording(), self.plan.tokens),
            tokens: self.plan.tokens,
            cut_by_length: self.plan.cut_by_length,
        };
        let number = self.next_number();
        self.queued = self.dialect.closing(&self.identity, &outcome, number).into_iter();
        self.phase = Phase::Ended;
    }

    /// The number of the next event, where events are numbered.
    fn next_number(&self) -> usize {
        super::dialect::RESPONSES_OPENING_EVENTS + self.next_token
    }

    fn token_event(&mut self) -> Bytes {
        self.begin_event();
        let number = self.next_number();
        let token = self.shared.speaker.token(self.plan.wording(), self.next_token);
        let Self { buffer, script, .. } = self;
        for piece in [&script.before, token, &script.after] {
            buffer.put_slice(piece.as_bytes());
        }
        if let Some(after_number) = script.after_number {
            put_number(buffer, number as u64);
            buffer.put_slice(after_number.as_bytes());
        }
        self.next_token += 1;
        if self.next_token < self.plan.tokens {
            self.due += self.plan.next_gap();
        }
        self.buffer.split().freeze()
    }

    fn whole_event(&mut self, event: &str) -> Bytes {
        self.begin_event();
        self.buffer.put_slice(event.as_bytes());
        self.buffer.split().freeze()
    }

    /// Makes room, and stamps the event where that is asked for.
    fn begin_event(&mut self) {
        if self.buffer.capacity() < BUFFER_BYTES / 8 {
            self.buffer.reserve(BUFFER_BYTES);
        }
        if self.shared.options.stamp {
            self.buffer.put_slice(b": sent ");
            put_number(&mut self.buffer, unix_ns());
            self.buffer.put_u8(b'\n');
        }
    }
}

fn put_number(buffer: &mut BytesMut, number: u64) {
    // Writing to memory that grows cannot fail.
    let _ = write!(buffer.writer(), "{number}");
}
