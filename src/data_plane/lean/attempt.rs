//! One attempt to have a request answered: from its first byte on a connection to the answer's last.
//!
//! The first byte goes out in the same poll in which the connection was taken, so that a quiesce round
//! never finds a request that was chosen for an environment and not yet written.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};

use super::connection::LeanConnection;
use super::conversation::Conversation;
use super::desk::Desk;
use super::framing::{Framing, LAST_CHUNK};
use super::outbox::Outbox;
use super::render;
use super::request::RequestView;
use super::response::{self, BadAnswer, Parsed};
use super::serve::on_due;
use crate::data_plane::exchange::head::RequestHead;
use crate::data_plane::exchange::{BodyEnd, Exchange, Refusal, Stage};
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::quantum::Quantum;
use crate::inspect::model_edit::Part;

/// One attempt.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one attempt")]
pub struct Attempt {
    /// When something happened last.
    pub now: Instant,
    /// The answer is chunked, as streams are.
    pub is_stream: bool,
    /// Something may still come on its connection, which nobody has asked for.
    pub is_doubtful: bool,
    pub(super) state: State,
    pub(super) is_reusable: bool,
    connection: LeanConnection,
    /// What the upstream has not taken yet.
    upload: Outbox,
    is_upload_lost: bool,
    /// The part of a head that came alone.
    partial: Vec<u8>,
    has_begun: bool,
    quantum: Quantum,
}

/// Where an attempt stands.
pub(super) enum State {
    Unsent,
    AwaitingHead,
    Passing(Framing),
    /// Nothing more comes; the client has yet to take the rest, which ends as a whole body does, or not.
    Ending {
        is_whole: bool,
        end: BodyEnd,
    },
}

/// How an attempt ended.
pub enum Outcome {
    /// The client has the whole answer.
    Whole,
    /// The answer was broken off, or the client has left.
    Broken,
    /// There was no answer: the exchange decides.
    Failed(Stage, String),
    /// It is answered here.
    Refused(Refusal),
}

impl Attempt {
    /// An attempt on a connection.
    pub fn on(connection: LeanConnection, now: Instant) -> Self {
        Self {
            now,
            is_stream: false,
            is_doubtful: false,
            state: State::Unsent,
            is_reusable: false,
            connection,
            upload: Outbox::default(),
            is_upload_lost: false,
            partial: Vec::new(),
            has_begun: false,
            quantum: Quantum::of(false),
        }
    }

    /// The connection, if it can carry another request.
    pub fn into_reusable(mut self) -> Option<LeanConnection> {
        self.connection.is_reused = true;
        let is_sent = self.upload.is_empty() && !self.is_upload_lost;
        (self.is_reusable && is_sent).then_some(self.connection)
    }

    /// The answer broke off: the exchange knows it at once, however long the client takes for the rest, and
    /// for what is said to it of that.
    pub(super) fn break_off(&mut self, flight: &FlightOwner, end: BodyEnd, out: &mut Vec<u8>) {
        self.is_reusable = false;
        flight.with(|exchange| exchange.on_response_over(end));
        let is_whole = self.tell(flight, out);
        self.state = State::Ending { is_whole, end };
    }

    /// Writes the end of a body that has come whole. If the answer in it is not, the client is told.
    pub(super) fn end_body(&self, flight: &FlightOwner, out: &mut Vec<u8>) {
        let is_told = flight.note(|exchange| exchange.wants_last_words()) && {
            flight.with(|exchange| exchange.on_response_over(BodyEnd::Whole));
            self.tell(flight, out)
        };
        if !is_told {
            out.extend_from_slice(LAST_CHUNK);
        }
    }

    /// Writes what is left to be said of an answer that broke off, and the end of the body. False: there is
    /// nothing, and the answer has to be cut.
    pub(super) fn tell(&self, flight: &FlightOwner, out: &mut Vec<u8>) -> bool {
        let words = flight.note(Exchange::take_last_words);
        let State::Passing(framing) = &self.state else { return false };
        words.is_some_and(|words| framing.end_with(&words, out))
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(_)) = self.upload.poll_empty(&mut self.connection.carrier, cx) {
            // It may have answered before it closed: whatever came is still read.
            self.is_upload_lost = true;
            self.upload.forget();
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, State::Ending { .. })
    }

    /// The stage of a connection that was lost.
    fn stage(&self) -> Stage {
        let is_untouched = self.partial.is_empty() && !self.has_begun;
        if self.connection.is_reused && is_untouched { Stage::Reused } else { Stage::Fresh }
    }
}

impl Conversation {
    /// Goes on with an attempt.
    pub(super) fn poll_attempt(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        if matches!(attempt.state, State::Unsent)
            && let Err(outcome) = self.send(flight, attempt, cx)
        {
            return Poll::Ready(outcome);
        }
        loop {
            attempt.poll_upload(cx);
            match self.outbox.poll_empty(&mut self.carrier, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Outcome::Broken),
                Poll::Pending => {
                    let (taken, now) =
                        (self.outbox.take_progress(), self.core.flights.coarse_now());
                    if taken > 0 {
                        flight.with(|exchange| exchange.on_client_took(taken, now));
                    }
                    break;
                }
            }
            if let State::Ending { is_whole, end } = attempt.state {
                flight.with(|exchange| exchange.on_response_end(end, Instant::now()));
                return Poll::Ready(if is_whole { Outcome::Whole } else { Outcome::Broken });
            }
            match self.poll_upstream(flight, attempt, cx) {
                Poll::Ready(None) if attempt.has_ended() => {} // what is whole is told so at once
                Poll::Ready(None) if attempt.quantum.is_used_up(cx) => break,
                Poll::Ready(None) => {}
                Poll::Ready(Some(outcome)) => return Poll::Ready(outcome),
                Poll::Pending => {
                    if matches!(attempt.state, State::Passing(_)) {
                        let now = self.core.flights.coarse_now();
                        flight.with(|exchange| exchange.on_waiting_for_upstream(now));
                    }
                    break;
                }
            }
        }
        if self.is_client_gone(cx) {
            return Poll::Ready(Outcome::Broken);
        }
        ready!(flight.poll_due(cx));
        if matches!(attempt.state, State::AwaitingHead) {
            return on_due(flight)
                .map_or_else(|r| Poll::Ready(Outcome::Refused(r)), |()| Poll::Pending);
        }
        self.on_late(flight, attempt, cx)
    }

    /// Writes head and body in one go.
    fn send(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Result<(), Outcome> {
        let desk = &mut *self.core.lean.desk.borrow_mut();
        desk.clear();
        let view = self.request.view(&self.input);
        let (head, body) = (self.request.head_bytes, self.request.body_bytes());
        let body = &self.input[head..head + body];
        let parts = flight.with(|exchange| {
            exchange.edit_for_upstream(&view, &mut desk.edits);
            let parts = edited(exchange, &view, body);
            exchange.on_sent(attempt.now);
            parts
        });
        let edits = [&self.edits, &desk.edits];
        let length = length(parts.as_deref(), body);
        let announced = self.request.content_length.map(|_| length);
        render::request(&mut desk.output, &view, edits, announced);
        match &parts {
            None => desk.output.extend_from_slice(body),
            Some(parts) => {
                parts.iter().for_each(|part| desk.output.extend_from_slice(part.of(body)));
            }
        }
        attempt.state = State::AwaitingHead;
        match attempt.upload.write(&mut attempt.connection.carrier, cx, &desk.output) {
            Ok(()) => {
                let sent_body = &desk.output[desk.output.len() - length..];
                let permit = flight.note(|exchange| {
                    exchange.on_request_data(sent_body, true, attempt.now);
                    exchange.take_permit()
                });
                if let Some(permit) = permit {
                    self.offer_copy(permit);
                }
                Ok(())
            }
            Err(gone) if gone.is_untouched => {
                let is_reused = attempt.connection.is_reused;
                let stage = if is_reused { Stage::NotStarted } else { Stage::Fresh };
                Err(Outcome::Failed(stage, "the connection was closed at rest".to_owned()))
            }
            Err(_) => {
                attempt.is_upload_lost = true;
                attempt.upload.forget();
                Ok(())
            }
        }
    }

    /// Reads once from the upstream and passes on what came. `None`: go on.
    fn poll_upstream(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Outcome>> {
        let core = std::rc::Rc::clone(&self.core);
        let desk = &mut *core.lean.desk.borrow_mut();
        let kept = attempt.partial.len();
        desk.input[..kept].copy_from_slice(&attempt.partial);
        let room = (kept + attempt.quantum.most()).min(desk.input.len());
        let mut buffer = ReadBuf::new(&mut desk.input[kept..room]);
        let read = ready!(Pin::new(&mut attempt.connection.carrier).poll_read(cx, &mut buffer));
        let count = buffer.filled().len();
        attempt.quantum.took(count);
        attempt.now = Instant::now();
        desk.clear();
        let is_in_head = matches!(attempt.state, State::AwaitingHead);
        Poll::Ready(match read {
            Ok(()) if count == 0 && is_in_head => {
                let problem = "connection closed before the head of an answer";
                Some(Outcome::Failed(attempt.stage(), problem.to_owned()))
            }
            Err(error) if is_in_head => Some(Outcome::Failed(attempt.stage(), error.to_string())),
            Ok(()) if count == 0 => self.on_upstream_closed(flight, attempt, &mut desk.output, cx),
            Err(error) => {
                let is_reset = error.kind() == std::io::ErrorKind::ConnectionReset;
                let end = if is_reset { BodyEnd::Reset } else { BodyEnd::Cut };
                self.on_upstream_broken(flight, attempt, end, &mut desk.output, cx)
            }
            Ok(()) if is_in_head => self.on_head_bytes(flight, attempt, desk, kept + count, cx),
            Ok(()) => self.pass(flight, attempt, &desk.input[..count], &mut desk.output, cx),
        })
    }

    /// Reads heads off the beginning of what came: interim ones, then the one of the answer.
    fn on_head_bytes(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        desk: &mut Desk,
        filled: usize,
        cx: &mut Context<'_>,
    ) -> Option<Outcome> {
        let mut start = 0;
        loop {
            let bytes = &mut desk.input[start..filled];
            match response::read(bytes, &desk.names, &mut desk.lines) {
                Ok(None) if filled - start == desk.input.len() => {
                    return Some(refuse(flight, &BadAnswer("its head is too long")));
                }
                Ok(None) => {
                    attempt.partial = desk.input[start..filled].to_vec();
                    return None;
                }
                Ok(Some(parsed)) if (100..200).contains(&parsed.status) && parsed.status != 101 => {
                    attempt.has_begun = true;
                    if parsed.status != 100 && !self.pass_interim(flight, desk, start, parsed, cx) {
                        return Some(Outcome::Broken);
                    }
                    start += parsed.head_bytes;
                }
                Ok(Some(parsed)) if parsed.status < 200 => {
                    let why = BadAnswer("101 without an upgrade that was asked for");
                    return Some(refuse(flight, &why));
                }
                Ok(Some(parsed)) => {
                    return self.on_head(flight, attempt, desk, (start, filled), parsed, cx);
                }
                Err(why) => return Some(refuse(flight, &why)),
            }
        }
    }

    /// Passes an interim answer on (RFC 9110, section 15.2), except for a `100 Continue`: nobody who asks for
    /// one is served here. False: the client has gone.
    fn pass_interim(
        &mut self,
        flight: &FlightOwner,
        desk: &mut Desk,
        start: usize,
        parsed: Parsed,
        cx: &mut Context<'_>,
    ) -> bool {
        let Desk { input, output, edits, lines, .. } = desk;
        let head = parsed.view(&input[start..], lines);
        flight.note(|exchange| exchange.edit_interim(&head, edits));
        head.render_interim(output, edits);
        let written = self.outbox.write(&mut self.carrier, cx, output);
        edits.clear();
        output.clear();
        written.is_ok()
    }

    /// Writes the head of the answer, and what came with it of its body, in one go.
    fn on_head(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        desk: &mut Desk,
        (start, filled): (usize, usize),
        parsed: Parsed,
        cx: &mut Context<'_>,
    ) -> Option<Outcome> {
        let Desk { input, output, edits, lines, date, .. } = desk;
        let input = &input[start..filled];
        let head = parsed.view(input, lines);
        let is_head = self.request.view(&self.input).method() == "HEAD";
        let has_none = is_head || matches!(parsed.status, 204 | 304);
        // Some refuse before they have read the body, and take it for the next request then.
        let is_early = parsed.status >= 400 && self.request.body_bytes() > 0;
        let plan = match parsed.plan(head.fields, is_head) {
            Ok(plan) => plan,
            Err(why) => return Some(refuse(flight, &why)),
        };
        flight.with(|exchange| exchange.on_response(&head, edits, attempt.now));
        self.is_last = self.request.is_last || self.client.is_closing();
        head.render(output, edits, &plan, date, self.is_last);
        attempt.is_reusable = plan.is_reusable;
        attempt.is_stream = matches!(plan.framing, Framing::Chunked(_));
        attempt.is_doubtful = attempt.is_stream || has_none || is_early;
        attempt.quantum = Quantum::of(attempt.is_stream);
        attempt.state = State::Passing(plan.framing);
        attempt.partial = Vec::new();
        self.release_request(); // what is not written of it yet lies in the upload's outbox
        self.pass(flight, attempt, &input[parsed.head_bytes..], output, cx)
    }
}

/// What goes out of a body in which the model's name is replaced.
fn edited(exchange: &Exchange, view: &RequestView<'_>, body: &[u8]) -> Option<Vec<Part>> {
    let mut edit = exchange.model_edit(view).filter(|_| !body.is_empty())?;
    let mut parts = Vec::new();
    edit.push(body, &mut parts);
    edit.finish(&mut parts);
    Some(parts)
}

fn length(parts: Option<&[Part]>, body: &[u8]) -> usize {
    parts.map_or(body.len(), |parts| parts.iter().map(|part| part.of(body).len()).sum())
}

fn refuse(flight: &FlightOwner, BadAnswer(why): &BadAnswer) -> Outcome {
    let refusal = Refusal::Lost(format!("the answer cannot be passed on: {why}"));
    Outcome::Refused(flight.with(|exchange| exchange.on_bad_answer(refusal)))
}
