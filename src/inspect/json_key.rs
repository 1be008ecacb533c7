//! Finds the values of a few JSON pointers in a body that comes in pieces.
//!
//! Incremental, without a tree, and with bounded memory: a stack of at most 64 containers, a key of at
//! most 256 bytes, a value of at most 1 KiB. A body that is no JSON is simply one in which nothing more
//! is found; refusing it is the upstream's business.

use std::sync::Arc;

use super::json_text::JsonText;

/// Deepest nesting that is followed; the scan ends there with what it has.
const DEPTH_MAX: usize = 64;
/// Longest key that is compared; a longer one matches no pointer.
const KEY_BYTES_MAX: usize = 256;
/// Longest value that can be the key of a user; a longer one is not found.
const VALUE_BYTES_MAX: usize = 1024;

/// A set of pointers by their index, so that "which of them lead here" is one number per container.
type Set = u32;

/// Most pointers of one scan.
pub const POINTERS_MAX: usize = Set::BITS as usize;

/// A scan for several pointers, the first of which that has a string or number wins.
#[derive(Debug)]
pub struct JsonKeyScan {
    pointers: Vec<Vec<Arc<str>>>,
    stack: Vec<Container>,
    state: State,
    /// Pointers of which the value that comes next is a step or the end.
    awaited: Set,
    text: JsonText,
    found: Option<(usize, Vec<u8>)>,
}

#[derive(Debug)]
struct Container {
    /// The index of the current element of an array; `None` in an object.
    index: Option<usize>,
    /// Pointers that lead into this container.
    led_here: Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// Before a key, or the end of an object.
    Key,
    Colon,
    /// After a value.
    After,
    /// In a string, of a key or of a value.
    Text {
        is_key: bool,
    },
    /// In a number or a literal.
    Bare,
    Done,
}

impl JsonKeyScan {
    /// A scan for these pointers, most wanted first; those beyond the 32nd are not looked for.
    pub fn new<'a>(pointers: impl IntoIterator<Item = &'a [Arc<str>]>) -> Self {
        let pointers: Vec<_> = pointers.into_iter().take(POINTERS_MAX).map(<[_]>::to_vec).collect();
        Self {
            pointers,
            stack: Vec::new(),
            state: State::Value,
            awaited: 0,
            text: JsonText::default(),
            found: None,
        }
    }

    /// Reads the next piece. Returns true when reading on cannot change the answer.
    pub fn push(&mut self, piece: &[u8]) -> bool {
        let mut at = 0;
        while at < piece.len() && self.state != State::Done {
            let rest = &piece[at..];
            at += match self.state {
                State::Text { is_key } => self.in_text(rest, is_key),
                State::Bare => self.bare(rest),
                _ => self.structure(rest[0]),
            };
        }
        self.state == State::Done
    }

    /// The index of the pointer that won, and its value.
    pub fn found(&self) -> Option<(usize, &[u8])> {
        self.found.as_ref().map(|(pointer, value)| (*pointer, value.as_slice()))
    }

    /// One byte outside of texts and numbers. Returns how many bytes were used.
    fn structure(&mut self, byte: u8) -> usize {
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (State::Value, b'{') => self.open(None),
            (State::Value, b'[') => self.open(Some(0)),
            (State::Value, b'"') => self.begin(State::Text { is_key: false }),
            (State::Value | State::After, b']') | (State::Key | State::After, b'}') => self.close(),
            (State::Value, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.begin(State::Bare);
                return 0; // the byte belongs to the number
            }
            (State::Key, b'"') => self.begin(State::Text { is_key: true }),
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.next_element(),
            _ => self.state = State::Done, // no JSON
        }
        1
    }

    fn open(&mut self, index: Option<usize>) {
        let depth = self.stack.len();
        if depth == DEPTH_MAX {
            self.state = State::Done;
            return;
        }
        let arrived = if depth == 0 { Set::MAX } else { self.awaited };
        let led_here = self.select(arrived, |tokens| tokens.len() > depth);
        self.stack.push(Container { index, led_here });
        match index {
            None => self.state = State::Key,
            Some(_) => self.await_element(),
        }
    }

    fn close(&mut self) {
        self.stack.pop();
        self.state = if self.stack.is_empty() { State::Done } else { State::After };
    }

    fn next_element(&mut self) {
        match self.stack.last_mut() {
            Some(Container { index: Some(index), .. }) => {
                *index += 1;
                self.await_element();
            }
            Some(_) => self.state = State::Key,
            None => self.state = State::Done,
        }
    }

    /// Before an element of an array: which pointers name its index?
    fn await_element(&mut self) {
        self.state = State::Value;
        let depth = self.stack.len() - 1;
        let Container { index, led_here } = &self.stack[depth];
        self.awaited = match index {
            Some(index) if *led_here != 0 => {
                let index = index.to_string();
                self.select(*led_here, |tokens| *tokens[depth] == index)
            }
            _ => 0,
        };
    }

    /// The pointers of `among` that fulfil a condition.
    fn select(&self, among: Set, holds: impl Fn(&[Arc<str>]) -> bool) -> Set {
        let mut selected = 0;
        for (index, tokens) in self.pointers.iter().enumerate() {
            if among & (1 << index) != 0 && holds(tokens) {
                selected |= 1 << index;
            }
        }
        selected
    }

    fn begin(&mut self, state: State) {
        let max = match (state, self.stack.last()) {
            (State::Text { is_key: true }, Some(container)) if container.led_here != 0 => {
                KEY_BYTES_MAX
            }
            (State::Text { is_key: true }, _) => 0,
            _ if self.ends_here() == 0 => 0,
            _ => VALUE_BYTES_MAX,
        };
        self.text.restart(max);
        self.state = state;
    }

    /// The awaited pointers that end at the coming value.
    fn ends_here(&self) -> Set {
        self.select(self.awaited, |tokens| tokens.len() == self.stack.len())
    }

    /// Bytes of a string, perhaps up to its end.
    fn in_text(&mut self, rest: &[u8], is_key: bool) -> usize {
        let (used, is_over) = self.text.read(rest);
        match is_over {
            true if is_key => self.end_of_key(),
            true => self.end_of_value(true),
            false => {}
        }
        used
    }

    /// Bytes of a number or literal, up to what ends it.
    fn bare(&mut self, rest: &[u8]) -> usize {
        let of_it = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let end = rest.iter().position(|byte| !of_it(byte)).unwrap_or(rest.len());
        self.text.push(&rest[..end]);
        if end < rest.len() {
            // A number identifies a user; true, false and null identify nobody.
            let first = self.text.whole().and_then(<[u8]>::first);
            let is_number = first.is_some_and(|b| *b == b'-' || b.is_ascii_digit());
            self.end_of_value(is_number);
        }
        end
    }

    fn end_of_key(&mut self) {
        let depth = self.stack.len() - 1;
        self.awaited = match self.text.whole() {
            Some(key) => {
                self.select(self.stack[depth].led_here, |tokens| tokens[depth].as_bytes() == key)
            }
            None => 0,
        };
        self.state = State::Colon;
    }

    fn end_of_value(&mut self, is_key_of_user: bool) {
        self.state = if self.stack.is_empty() { State::Done } else { State::After };
        let pointer = self.ends_here().trailing_zeros() as usize;
        self.awaited = 0;
        let better = self.found.as_ref().is_none_or(|(found, _)| pointer < *found);
        if let Some(value) = self.text.whole().filter(|value| !value.is_empty())
            && is_key_of_user
            && pointer < self.pointers.len()
            && better
        {
            self.found = Some((pointer, value.to_vec()));
            if pointer == 0 {
                self.state = State::Done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sticky::JsonPointer;

    fn scan(pointers: &[&str], pieces: &[&[u8]]) -> Option<(usize, String)> {
        let pointers: Vec<JsonPointer> = pointers.iter().map(|p| p.parse().unwrap()).collect();
        let mut scan = JsonKeyScan::new(pointers.iter().map(|pointer| pointer.0.as_slice()));
        for piece in pieces {
            if scan.push(piece) {
                break;
            }
        }
        scan.found().map(|(i, value)| (i, String::from_utf8_lossy(value).into_owned()))
    }

    #[test]
    fn pointers_find_strings_and_numbers_where_they_point() {
        for (pointer, body, value) in [
            ("/user", r#"{"user":"ana"}"#, Some("ana")),
            ("/user", r#"{ "messages" : [{"user":"no"}], "user" : "ana" }"#, Some("ana")),
            ("/user", r#"{"user":42,"x":1}"#, Some("42")),
            ("/user", r#"{"user":null}"#, None),
            ("/user", r#"{"user":{"id":"x"}}"#, None),
            ("/user", r#"{"user":""}"#, None),
            ("/metadata/user_id", r#"{"metadata":{"a":{},"user_id":"u1"}}"#, Some("u1")),
            ("/metadata/user_id", r#"{"user_id":"u0","metadata":[]}"#, None),
            ("/a/1/b", r#"{"a":[{"b":"0"},{"b":"1"}]}"#, Some("1")),
            ("/a~1b", r#"{"a/b":"slash"}"#, Some("slash")),
            ("/user", r#"{"us\u0065r":"\ud83e\udd80 \n\u00e9"}"#, Some("🦀 \né")),
            ("/user", r#"{"x":"\"user\":\"no\"","user":"yes"}"#, Some("yes")),
            ("/user", r#"["user","ana"]"#, None),
            ("/0", r#"["ana"]"#, Some("ana")),
            ("/user", "not json", None),
            ("/user", r#"{"user":"ana"#, None),
        ] {
            let found = scan(&[pointer], &[body.as_bytes()]).map(|(_, value)| value);
            assert_eq!(found.as_deref(), value, "{pointer} in {body}");
        }
    }

    #[test]
    fn the_first_pointer_of_the_list_wins_wherever_it_stands() {
        let body = br#"{"prompt_cache_key":"c","safety_identifier":"s","user":"u"}"#;
        let found = scan(&["/user", "/safety_identifier", "/prompt_cache_key"], &[body]);
        assert_eq!(found, Some((0, "u".into())));
        let found = scan(&["/nobody", "/safety_identifier", "/prompt_cache_key"], &[body]);
        assert_eq!(found, Some((1, "s".into())));
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_not_found_and_not_kept() {
        let long = format!(r#"{{"user":"{}"}}"#, "x".repeat(VALUE_BYTES_MAX + 1));
        assert_eq!(scan(&["/user"], &[long.as_bytes()]), None);
        let deep = format!(r#"{{"a":{}1{},"user":"ana"}}"#, "[".repeat(100), "]".repeat(100));
        assert_eq!(scan(&["/user"], &[deep.as_bytes()]), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in proptest::collection::vec(0_usize..200, 0..12)) {
            let body = r#"{"messages":[{"role":"user","content":"a \"b\" \\ é"}],"n":[1,2.5e3,true],"metadata":{"user_id":"z\u00e9\ud83e\udd80"},"user":"an\u0061"}"#;
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &body.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(scan(&["/missing", "/user"], &pieces), Some((1, "ana".into())));
            prop_assert_eq!(scan(&["/metadata/user_id"], &pieces), Some((0, "zé🦀".into())));
        }

        #[test]
        fn no_input_makes_it_panic_or_keep_more_than_its_caps(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let pointer: JsonPointer = "/a/0".parse().unwrap();
            let mut scan = JsonKeyScan::new([pointer.0.as_slice()]);
            scan.push(&body);
            let held = scan.text.whole().map_or(0, <[u8]>::len);
            prop_assert!(held <= VALUE_BYTES_MAX && scan.stack.len() <= DEPTH_MAX);
        }
    }
}
