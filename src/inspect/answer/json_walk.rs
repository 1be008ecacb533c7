//! Walks through the JSON of one event as it arrives, and tells what stands where it means something.
//!
//! Nothing is collected: an event of ten megabytes needs the same few hundred bytes as one of ten. What
//! lies below a place that means nothing is skipped by counting brackets, so it is not checked for being
//! JSON in every detail; what lies on the way to a meaning is. Texts are not decoded: whether they are
//! UTF-8 makes no difference, and a key or word written with escapes is none that is looked for (no
//! serializer escapes plain ASCII letters). `NaN` and `Infinity` are read, because Python writes them.
//!
//! The one limit: more than 65 535 brackets open at once are too deep.

use super::facts::Facts;
use super::member::{Member, Value, end_of_bare, find_quote_or_backslash, is_number_or_literal};
use super::place::Place;
use super::word::Word;

/// Containers that lead to a meaning: three more than the deepest way (a tool call's arguments) has.
const WAY_MAX: usize = 12;

/// Bytes that are looked over at once where nothing means anything.
const BLOCK_BYTES: usize = 32;

/// Where in the JSON of an event the walk stands.
#[derive(Debug, Clone)]
pub struct JsonWalk {
    state: State,
    /// The open containers on the way to a meaning.
    way: [Container; WAY_MAX],
    depth: usize,
    /// Open containers of which nothing is read, below the way.
    skipped: u16,
    /// Where the value stands that is awaited or read.
    place: Place,
    word: Word,
}

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing came but blanks.
    Nothing,
    /// In the middle.
    Open,
    /// One whole value.
    Complete,
    /// What came is no JSON.
    Broken,
    /// Given up on: too many brackets are open.
    TooDeep,
}

#[derive(Debug, Clone, Copy)]
struct Container {
    place: Place,
    is_list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before everything.
    Start,
    Value,
    /// After `[`: a value or the end.
    FirstElement,
    /// After `{`: a key or the end.
    FirstKey,
    Key,
    Colon,
    /// After a value in a container.
    After,
    Text(Role),
    /// Right after a backslash in a text.
    Escape(Role),
    /// A number or a literal.
    Bare,
    End(Progress),
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Key,
    Value,
    /// Within skipped containers.
    Skipped,
    /// No text at all: between the texts of skipped containers.
    Between,
}

impl JsonWalk {
    /// Before the first byte.
    pub const fn new() -> Self {
        Self {
            state: State::Start,
            way: [Container { place: Place::Nothing, is_list: false }; WAY_MAX],
            depth: 0,
            skipped: 0,
            place: Place::Root,
            word: Word::new(),
        }
    }

    /// Goes back to before the first byte.
    pub fn restart(&mut self) {
        self.state = State::Start;
        self.depth = 0;
        self.skipped = 0;
        self.place = Place::Root;
        self.word.clear();
    }

    /// The next bytes, all of one value.
    #[inline]
    pub fn push(&mut self, piece: &[u8], facts: &mut Facts) {
        let used = self.push_value(piece, facts);
        if !piece[used..].iter().all(|byte| is_blank(*byte)) {
            self.state = State::End(Progress::Broken);
        }
    }

    /// The next bytes, up to the end of the value. Returns how many that are.
    #[inline]
    pub fn push_value(&mut self, piece: &[u8], facts: &mut Facts) -> usize {
        let mut at = 0;
        while at < piece.len() {
            let rest = &piece[at..];
            at += match self.state {
                State::Text(Role::Between) => self.skip(rest),
                State::Text(role) => self.text(rest, role, facts),
                State::Escape(role) => {
                    self.state = State::Text(role);
                    1
                }
                State::Bare => self.bare(rest, facts),
                State::End(Progress::Complete) => return at,
                State::End(_) => return piece.len(),
                _ => self.structure(rest, facts),
            };
        }
        at
    }

    /// How far it has come, since nothing follows.
    pub fn end(&mut self, facts: &mut Facts) -> Progress {
        if self.state == State::Bare {
            self.end_bare(&[], facts);
        }
        self.progress()
    }

    /// How far it has come so far.
    pub fn progress(&self) -> Progress {
        match self.state {
            State::Start => Progress::Nothing,
            State::End(progress) => progress,
            _ => Progress::Open,
        }
    }

    /// What begins or ends between texts, numbers and literals. Returns how many bytes were used.
    #[inline]
    fn structure(&mut self, rest: &[u8], facts: &mut Facts) -> usize {
        match (self.state, rest[0]) {
            (State::FirstKey | State::Key, b'"') => {
                if self.state == State::FirstKey && self.is_filled(facts) {
                    return self.open_skipped(0);
                }
                return self.members(rest, facts);
            }
            (_, blank) if is_blank(blank) => {}
            (State::FirstKey | State::FirstElement | State::After, b']' | b'}') => {
                self.close(rest[0], facts);
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.await_next(),
            (State::FirstElement, _) if self.is_filled(facts) => return self.open_skipped(0),
            (State::Start | State::Value | State::FirstElement, _) => {
                return self.begin(rest, facts);
            }
            _ => self.state = State::End(Progress::Broken),
        }
        1
    }

    /// Whether the first key or element of a container is all that it has to tell; takes it off the way.
    fn is_filled(&mut self, facts: &mut Facts) -> bool {
        let place = self.way[self.depth - 1].place;
        let is_filled = place.only_counts_when_filled();
        if is_filled {
            self.depth -= 1;
            facts.fill(place);
        }
        is_filled
    }

    /// The first bytes of a value.
    fn begin(&mut self, rest: &[u8], facts: &mut Facts) -> usize {
        match rest[0] {
            b'"' => self.state = State::Text(Role::Value),
            b'{' | b'[' if self.place == Place::Nothing || self.depth == WAY_MAX => {
                return self.open_skipped(1);
            }
            b'{' => self.open(false, facts),
            b'[' => self.open(true, facts),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'N' | b'I' => {
                self.state = State::Bare;
                return 0; // the byte belongs to the number
            }
            _ => self.state = State::End(Progress::Broken),
        }
        1
    }

    /// Members of an object for as long as they come whole: nearly all of an event in one go. What is cut or
    /// written otherwise goes through the states, which must find the same.
    fn members(&mut self, rest: &[u8], facts: &mut Facts) -> usize {
        let container = self.way[self.depth - 1].place;
        let mut at = 0;
        while let Some(member) = Member::first_of(&rest[at..]) {
            at += member.bytes;
            let place = container.child(member.key);
            match member.value {
                Value::Text(text) => facts.text(place, Word::fitting(text), text.is_empty()),
                Value::Bare(bare) => facts.bare(place, Word::beginning(bare)),
                Value::Other => {
                    self.place = place;
                    self.state = State::Value;
                    return at;
                }
            }
            if !rest[at..].starts_with(b",\"") {
                self.state = State::After;
                return at;
            }
            at += 1;
        }
        self.state = State::Text(Role::Key);
        at + 1
    }

    fn open(&mut self, is_list: bool, facts: &mut Facts) {
        facts.open(self.place);
        self.way[self.depth] = Container { place: self.place, is_list };
        self.depth += 1;
        if is_list {
            self.place = self.place.element();
            self.state = State::FirstElement;
        } else {
            self.state = State::FirstKey;
        }
    }

    /// Skips all up to the end of a container, of which `used` bytes have been seen just now.
    fn open_skipped(&mut self, used: usize) -> usize {
        self.skipped = 1;
        self.state = State::Text(Role::Between);
        used
    }

    fn close(&mut self, byte: u8, facts: &mut Facts) {
        let Container { place, is_list } = self.way[self.depth - 1];
        if is_list == (byte == b']') {
            self.depth -= 1;
            facts.close(place, self.state != State::After);
            self.end_of_value();
        } else {
            self.state = State::End(Progress::Broken);
        }
    }

    fn await_next(&mut self) {
        let Container { place, is_list } = self.way[self.depth - 1];
        if is_list {
            self.place = place.element();
            self.state = State::Value;
        } else {
            self.state = State::Key;
        }
    }

    fn end_of_value(&mut self) {
        self.state = if self.depth == 0 { State::End(Progress::Complete) } else { State::After };
    }

    /// Bytes of a text, up to its end or to an escape.
    fn text(&mut self, rest: &[u8], role: Role, facts: &mut Facts) -> usize {
        let end = find_quote_or_backslash(rest);
        let Some(end) = end.filter(|end| rest[*end] == b'"') else {
            return self.open_text(rest, end, role);
        };
        match role {
            Role::Key => {
                let container = self.way[self.depth - 1].place;
                let key = self.word.ended_by(&rest[..end]);
                self.place = key.map_or(Place::Nothing, |key| container.child(key));
                self.state = State::Colon;
            }
            Role::Value => {
                let is_empty = end == 0 && self.word.is_empty();
                facts.text(self.place, self.word.ended_by(&rest[..end]), is_empty);
                self.end_of_value();
            }
            Role::Skipped | Role::Between => self.state = State::Text(Role::Between),
        }
        self.word.clear();
        end + 1
    }

    /// Bytes of a text that goes on after the piece, or after the backslash in it.
    fn open_text(&mut self, rest: &[u8], backslash: Option<usize>, role: Role) -> usize {
        match backslash {
            Some(backslash) => {
                self.word.mark_foreign();
                self.state = State::Escape(role);
                backslash + 1
            }
            None => {
                if role != Role::Skipped {
                    self.word.push(rest);
                }
                rest.len()
            }
        }
    }

    /// Bytes of a number or literal, up to what ends it.
    fn bare(&mut self, rest: &[u8], facts: &mut Facts) -> usize {
        let Some(end) = end_of_bare(rest) else {
            self.word.push(rest);
            return rest.len();
        };
        self.end_bare(&rest[..end], facts);
        end
    }

    fn end_bare(&mut self, last: &[u8], facts: &mut Facts) {
        let bare = self.word.beginning_ended_by(last);
        if is_number_or_literal(bare) {
            facts.bare(self.place, bare);
            self.end_of_value();
        } else {
            self.state = State::End(Progress::Broken);
        }
        self.word.clear();
    }

    /// Bytes of skipped containers, up to a text or to their end.
    fn skip(&mut self, rest: &[u8]) -> usize {
        let is_mark = |byte: u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
        let mut at = 0;
        // Whole blocks first: the compiler looks at all bytes of one at once.
        for block in rest.chunks_exact(BLOCK_BYTES) {
            if block.iter().fold(false, |any, byte| any | is_mark(*byte)) {
                break;
            }
            at += BLOCK_BYTES;
        }
        let Some(mark) = rest[at..].iter().position(|byte| is_mark(*byte)) else {
            return rest.len();
        };
        match rest[at + mark] {
            b'"' => self.state = State::Text(Role::Skipped),
            b'{' | b'[' => match self.skipped.checked_add(1) {
                Some(skipped) => self.skipped = skipped,
                None => self.state = State::End(Progress::TooDeep),
            },
            _ => {
                self.skipped -= 1;
                if self.skipped == 0 {
                    self.end_of_value();
                }
            }
        }
        at + mark + 1
    }
}

/// What may stand between values (RFC 8259, section 2).
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
