//! What an answer says while it passes: content, errors, why it stopped, tokens.
//!
//! The scan holds no event and allocates nothing: it has the same few hundred bytes for every answer. What
//! it finds does not depend on the pieces in which the bytes come.
//!
//! An answer goes through five hands: its form says how events are laid out, the event stream (or the
//! lines) cuts them apart, the walk finds in each what stands where it means something, the dialects read
//! these facts into a tally, and the judgement makes the verdict of that.

mod broken_off;
mod choices;
mod dialect;
mod event_stream;
mod facts;
mod form;
mod json_walk;
mod judgement;
mod member;
mod place;
mod reading;
mod reason;
mod tally;
mod usage;
mod word;

pub use broken_off::BrokenOff;
pub use dialect::Dialect;
use event_stream::EventStream;
use form::Form;
use json_walk::Progress;
use reading::Reading;

use crate::model::answer::{FinishReason, Inspection, Tokens};
use crate::model::api::Api;
use crate::model::body_end::BodyEnd;
use crate::model::media_type;
use crate::model::response_id::ResponseId;
use crate::model::verdict::Verdict;

/// May stand before everything, in streams and in JSON, and means nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What the head of an answer tells the scan.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHead<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// What was asked for.
    pub api: Api,
}

/// Reads the body of an answer with a status of 2xx, piece by piece.
#[derive(Debug, Clone)]
pub struct AnswerScan {
    form: Form,
    opening: Opening,
    stream: EventStream,
    reading: Reading,
    /// A line has ended behind the JSON of a document.
    is_line_over: bool,
    is_failure_told: bool,
}

/// What a piece of an answer brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Events that ended in it and carry content: text, reasoning, a refusal, a tool call. Of an answer that
    /// is no stream nothing is told before its end.
    pub content_events: u32,
    /// Events that ended in it and say something in words that nobody here knows: whether it is content cannot
    /// be told.
    pub foreign_events: u32,
    /// The server said in it, for the first time, that it failed.
    pub has_failed: bool,
    /// By what the stream has said so far no more content is to come: a terminator, or why it stopped. Another
    /// choice may begin all the same, and then it is not finished any more.
    pub is_finished: bool,
    /// The stream's own terminator has come: `[DONE]`, or the last event of its API. Unlike a reason to
    /// stop, which each choice has for itself, it speaks for the whole stream.
    pub has_ended: bool,
}

/// What a whole answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// Its verdict.
    pub verdict: Verdict,
    /// Why the model stopped, if it said so. Of several choices, the worst reason.
    pub finish: Option<FinishReason>,
    /// Its tokens.
    pub tokens: Tokens,
    /// Whether it was read to its end.
    pub inspection: Inspection,
}

/// Before the first byte that shows the form of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// So many bytes of the byte order mark came.
    Mark(usize),
    /// Nothing but blank lines, which mean nothing in any form.
    Blank,
    Over,
}

impl AnswerScan {
    /// A scan for an answer with such a head.
    ///
    /// # Errors
    /// When there is nothing to read in it, and why.
    pub fn of(head: &AnswerHead<'_>) -> Result<Self, Inspection> {
        let form = head.content_type.and_then(Form::of).ok_or(Inspection::NotApplicable)?;
        if !head.content_encoding.is_none_or(media_type::is_identity) {
            return Err(Inspection::Compressed);
        }
        Ok(Self {
            form,
            opening: Opening::Mark(0),
            stream: EventStream::new(),
            reading: Reading::new(head.api),
            is_line_over: false,
            is_failure_told: false,
        })
    }

    /// Whether it is a stream of events, whose first content and gaps mean something. The head says so; its
    /// first byte may show otherwise.
    pub fn is_stream(&self) -> bool {
        self.form.is_stream()
    }

    /// Whether it has said something, all of it in words that nobody here knows: its content cannot be waited
    /// for.
    pub fn is_foreign(&self) -> bool {
        self.reading.tally.is_foreign()
    }

    /// The id of a response where one was asked for, before the byte behind it is passed on.
    pub fn response_id(&self) -> Option<ResponseId> {
        self.reading.response_id()
    }

    /// The next bytes.
    pub fn push(&mut self, piece: &[u8]) -> Passed {
        let tally = &self.reading.tally;
        let (before, foreign_before) = (tally.content_events, tally.foreign_events);
        let piece = if self.opening == Opening::Over { piece } else { self.open(piece) };
        self.read(piece);
        let content_events = self.reading.tally.content_events - before;
        let has_failed = !self.is_failure_told && self.has_failed();
        self.is_failure_told |= has_failed;
        let tally = &self.reading.tally;
        let foreign_events = tally.foreign_events - foreign_before;
        let (is_finished, has_ended) = (tally.is_finished(), tally.is_terminated());
        Passed { content_events, foreign_events, has_failed, is_finished, has_ended }
    }

    /// The body has ended, or the exchange has.
    pub fn conclude(&mut self, end: BodyEnd) -> Conclusion {
        let document = match self.form {
            Form::EventStream => Progress::Nothing,
            Form::Lines | Form::Document => self.reading.end_of_event(),
        };
        let tally = &self.reading.tally;
        let is_given_up = tally.is_given_up;
        Conclusion {
            verdict: judgement::verdict(self.form, tally, document, end),
            finish: tally.finish().map(|reason| reason.finish),
            tokens: tally.tokens(self.form.is_stream()),
            inspection: if is_given_up { Inspection::GivenUp } else { Inspection::Read },
        }
    }

    /// Takes what comes before the first byte that shows the form, and returns the rest.
    fn open<'a>(&mut self, mut piece: &'a [u8]) -> &'a [u8] {
        while let [first, rest @ ..] = piece {
            match self.opening {
                Opening::Mark(matched) if *first == BYTE_ORDER_MARK[matched] => {
                    let is_last = matched + 1 == BYTE_ORDER_MARK.len();
                    self.opening =
                        if is_last { Opening::Blank } else { Opening::Mark(matched + 1) };
                }
                Opening::Mark(matched) if matched > 0 => {
                    self.opening = Opening::Over;
                    self.read(&BYTE_ORDER_MARK[..matched]);
                    return piece;
                }
                Opening::Mark(_) | Opening::Blank if matches!(first, b'\r' | b'\n') => {
                    self.opening = Opening::Blank;
                }
                _ => {
                    self.form = self.form.shown_by(*first);
                    self.opening = Opening::Over;
                    return piece;
                }
            }
            piece = rest;
        }
        piece
    }

    fn read(&mut self, piece: &[u8]) {
        match self.form {
            Form::EventStream => self.stream.push(piece, &mut self.reading),
            Form::Document => self.read_document(piece),
            Form::Lines => {
                for line in piece.split_inclusive(|byte| *byte == b'\n') {
                    self.reading.push(line);
                    if line.ends_with(b"\n") {
                        self.reading.end_of_event();
                    }
                }
            }
        }
    }

    /// Reads on in what is called one JSON. Another one on a line below it shows that it is lines.
    fn read_document(&mut self, piece: &[u8]) {
        let rest = &piece[self.reading.push_value(piece)..];
        let blanks = rest.iter().take_while(|byte| json_walk::is_blank(**byte)).count();
        self.is_line_over |= rest[..blanks].contains(&b'\n');
        if self.is_line_over && rest.get(blanks) == Some(&b'{') {
            self.reading.end_of_event();
            self.form = Form::Lines;
            self.read(&rest[blanks..]);
        } else {
            self.reading.push(rest);
        }
    }

    fn has_failed(&self) -> bool {
        let tally = &self.reading.tally;
        tally.has_error && judgement::speaks(self.form, tally)
    }
}
