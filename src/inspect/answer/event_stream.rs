//! Server-sent events, exactly by the standard (HTML, "Parsing an event stream").
//!
//! Lines end at LF, CR or CRLF; the two bytes of a CRLF, and any other two, may come apart. Several `data`
//! lines are joined by LF, one space after the colon is dropped, a line that begins with a colon is a
//! comment, and an event that is not closed by a blank line never happened. Three words are added to it:
//!
//! - data that begins with `[DONE]` ends the stream, blank line or not: the clients look no further, and
//!   some servers close right behind it;
//! - an event named `error` is one, whatever its data say;
//! - a field named `error` with an object, as older builds of llama.cpp send it, is one too.
//!
//! Lines are not held: data go on to the walk as they come, of a name only its few first bytes are kept.

use memchr::{memchr2, memchr3};

use super::json_walk::Progress;
use super::reading::Reading;
use super::word::Word;

/// Ends a stream of `OpenAI`'s kind.
const DONE_MARK: &[u8] = b"[DONE]";

/// What nearly every line of a stream begins with.
const DATA_PREFIX: &[u8] = b"data: ";

/// Where in the stream the next byte stands.
#[derive(Debug, Clone)]
pub struct EventStream {
    line: Line,
    data: Data,
    /// A CR ended the last line: an LF right after it belongs to it.
    has_ended_by_cr: bool,
    /// The event's name is `error`.
    is_error: bool,
    /// The name of a field, or the value of `event`, while it comes.
    word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    Name,
    /// Right after the colon: one space is no part of the value.
    Colon(Field),
    Value(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Error,
    /// A comment, or a field without a meaning.
    Other,
}

/// What came of the data of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    None,
    /// So many bytes of `[DONE]`, and nothing else.
    Mark(usize),
    Json,
}

impl EventStream {
    /// Before the first byte.
    pub const fn new() -> Self {
        Self {
            line: Line::Start,
            data: Data::None,
            has_ended_by_cr: false,
            is_error: false,
            word: Word::new(),
        }
    }

    /// The next bytes.
    pub fn push(&mut self, piece: &[u8], reading: &mut Reading) {
        let mut at = 0;
        while at < piece.len() && !reading.tally.has_done_mark {
            let rest = &piece[at..];
            if std::mem::take(&mut self.has_ended_by_cr) && rest[0] == b'\n' {
                at += 1;
                continue;
            }
            at += match self.line {
                Line::Start if rest.starts_with(DATA_PREFIX) => {
                    self.begin_value(Field::Data, reading);
                    self.line = Line::Value(Field::Data);
                    DATA_PREFIX.len()
                }
                Line::Start | Line::Name => self.name(rest, reading),
                Line::Colon(field) => {
                    self.line = Line::Value(field);
                    usize::from(rest[0] == b' ')
                }
                Line::Value(field) => self.value(rest, field, reading),
            };
        }
    }

    /// What ends the last event as it was meant, if anything does; `data` is how far its JSON came.
    ///
    /// Data cannot be taken back, and whatever follows in an event becomes a part of them. An event without any,
    /// even if it has a name, goes on as whatever comes next.
    pub fn closing(&self, data: Progress) -> Option<&'static str> {
        let is_whole = data == Progress::Complete;
        match (self.data, self.line) {
            (Data::None | Data::Mark(0), Line::Start) => Some(""),
            (Data::None | Data::Mark(0), _) => Some("\n"),
            // The first LF would belong to the CR.
            (Data::Json, Line::Start) if is_whole && self.has_ended_by_cr => Some("\n\n"),
            (Data::Json, Line::Start) if is_whole => Some("\n"),
            (Data::Json, Line::Value(Field::Data)) if is_whole => Some("\n\n"),
            (Data::Json | Data::Mark(_), _) => None,
        }
    }

    /// Bytes of a field's name, up to the colon or the end of the line.
    fn name(&mut self, rest: &[u8], reading: &mut Reading) -> usize {
        let Some(end) = memchr3(b':', b'\n', b'\r', rest) else {
            self.word.push(rest);
            self.line = Line::Name;
            return rest.len();
        };
        let is_blank = end == 0 && self.word.is_empty() && rest[0] != b':';
        let field = match self.word.ended_by(&rest[..end]) {
            Some(b"data") => Field::Data,
            Some(b"event") => Field::Event,
            Some(b"error") => Field::Error,
            _ => Field::Other,
        };
        self.word.clear();
        if is_blank {
            self.end_of_event(reading);
        } else {
            self.begin_value(field, reading);
        }
        if rest[end] == b':' {
            self.line = Line::Colon(field);
        } else {
            self.end_of_line(rest[end]);
        }
        end + 1
    }

    fn begin_value(&mut self, field: Field, reading: &mut Reading) {
        match field {
            Field::Data if self.data == Data::None => self.data = Data::Mark(0),
            Field::Data => self.data(b"\n", reading),
            Field::Event => self.is_error = false,
            Field::Error | Field::Other => {}
        }
    }

    /// Bytes of a value, up to the end of the line.
    #[inline]
    fn value(&mut self, rest: &[u8], field: Field, reading: &mut Reading) -> usize {
        let end = memchr2(b'\n', b'\r', rest);
        let value = &rest[..end.unwrap_or(rest.len())];
        match field {
            Field::Data => self.data(value, reading),
            Field::Event => self.event_name(value, end.is_some()),
            Field::Error if !value.is_empty() => {
                reading.tally.has_error |= value[0] == b'{';
                self.line = Line::Value(Field::Other); // only its first byte tells
            }
            Field::Error | Field::Other => {}
        }
        match end {
            Some(end) => {
                self.end_of_line(rest[end]);
                end + 1
            }
            None => rest.len(),
        }
    }

    #[inline]
    fn data(&mut self, mut value: &[u8], reading: &mut Reading) {
        while let (Data::Mark(matched), [first, rest @ ..]) = (self.data, value) {
            if *first == DONE_MARK[matched] {
                value = rest;
                self.data = Data::Mark(matched + 1);
                if matched + 1 == DONE_MARK.len() {
                    reading.tally.has_done_mark = true;
                    return;
                }
            } else {
                self.data = Data::Json;
                reading.push(&DONE_MARK[..matched]);
            }
        }
        reading.push(value);
    }

    fn event_name(&mut self, value: &[u8], is_end: bool) {
        if is_end {
            self.is_error = self.word.ended_by(value) == Some(b"error");
            self.word.clear();
        } else {
            self.word.push(value);
        }
    }

    fn end_of_line(&mut self, end: u8) {
        self.has_ended_by_cr = end == b'\r';
        self.line = Line::Start;
    }

    fn end_of_event(&mut self, reading: &mut Reading) {
        if self.data != Data::None {
            reading.tally.has_error |= self.is_error;
            reading.tally.has_error_event |= self.is_error;
            reading.end_of_event();
        }
        self.data = Data::None;
        self.is_error = false;
    }
}
