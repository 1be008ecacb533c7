//! Replaces the model's name in a JSON body that comes in pieces.
//!
//! Never parsed as a whole and never written anew: the scan says which bytes to pass on and where the
//! environment's own name takes the place of the client's; whitespace, order and numbers stay as they
//! were. Held back is the name alone, while it is being read: at most 4 KiB, then it is no name.
//!
//! Only `model` at the top counts, also where it is written with escapes, as every JSON parser would
//! read it. Where it stands twice, each is replaced: servers take the last, some parsers the first, and
//! neither may get a name that was meant for somebody else. A body that is no JSON passes untouched from
//! where that shows.

use std::ops::Range;
use std::sync::Arc;

use super::json_text::JsonText;
use crate::model::model_names::ModelNames;

/// Longest value that may be a name, as written. A name of 200 characters has 2 400 bytes when every
/// character is a pair of `\uXXXX`.
const HELD_BYTES_MAX: usize = 4096;

/// The key that is looked for.
const KEY: &[u8] = b"model";

/// A run of bytes to pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These of the piece at hand.
    Copy(Range<usize>),
    /// These instead.
    New(Vec<u8>),
}

impl Part {
    /// Its bytes.
    pub fn of<'a>(&'a self, piece: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Copy(range) => &piece[range.clone()],
            Self::New(bytes) => bytes,
        }
    }
}

/// The edit of one body.
#[derive(Debug, Clone)]
pub struct ModelEdit {
    names: Arc<ModelNames>,
    state: State,
    text: JsonText,
    /// The beginning of a name that the last pieces ended in.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the object.
    Start,
    /// Before a key, or the end of the object.
    Key,
    InKey,
    Colon {
        is_model: bool,
    },
    Value {
        is_model: bool,
    },
    /// In a string that is the model's name.
    InName,
    /// In any other string of the object itself.
    InText,
    /// In a number or a literal, or after a value.
    After,
    /// So many containers deep in a value.
    Nested(u32),
    NestedText(u32),
    /// Whatever comes is passed on.
    Done,
}

impl ModelEdit {
    /// An edit by these names.
    pub fn new(names: Arc<ModelNames>) -> Self {
        Self { names, state: State::Start, text: JsonText::default(), held: Vec::new() }
    }

    /// Reads the next piece, and adds to `parts` what to pass on.
    pub fn push(&mut self, piece: &[u8], parts: &mut Vec<Part>) {
        // Bytes before `passed` are dealt with.
        let (mut at, mut passed) = (0, 0);
        while at < piece.len() {
            let rest = &piece[at..];
            at += match self.state {
                State::Done => rest.len(),
                State::InKey => self.in_key(rest),
                State::InText => self.in_other(rest, State::After),
                State::NestedText(depth) => self.in_other(rest, State::Nested(depth)),
                State::Nested(depth) => self.nested(rest[0], depth),
                State::InName => {
                    let used = self.in_name(piece, at, &mut passed, parts);
                    if self.state == State::InName {
                        return; // the rest of the piece is held
                    }
                    used
                }
                _ => self.structure(piece, at, &mut passed, parts),
            };
        }
        copy(passed..piece.len(), parts);
    }

    /// The length of a body that is there as a whole, after the edit.
    pub fn length_of<'a>(mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let (mut parts, mut length) = (Vec::new(), 0);
        for piece in pieces {
            self.push(piece, &mut parts);
            length += parts.drain(..).map(|part| part.of(piece).len()).sum::<usize>();
        }
        self.finish(&mut parts);
        length + parts.iter().map(|part| part.of(&[]).len()).sum::<usize>()
    }

    /// The body has ended: passes on what was held.
    pub fn finish(&mut self, parts: &mut Vec<Part>) {
        self.state = State::Done;
        if !self.held.is_empty() {
            parts.push(Part::New(std::mem::take(&mut self.held)));
        }
    }

    /// One byte of the object itself. Returns how many bytes were used.
    fn structure(
        &mut self,
        piece: &[u8],
        at: usize,
        passed: &mut usize,
        parts: &mut Vec<Part>,
    ) -> usize {
        self.state = match (self.state, piece[at]) {
            (state, b' ' | b'\t' | b'\r' | b'\n') => state,
            // A byte order mark, which some parsers accept.
            (State::Start, 0xEF | 0xBB | 0xBF) => State::Start,
            (State::Start, b'{') | (State::After, b',') => State::Key,
            (State::Key, b'"') => {
                self.text.restart(KEY.len());
                State::InKey
            }
            (State::Colon { is_model }, b':') => State::Value { is_model },
            (State::Value { is_model: true }, b'"') => {
                copy(*passed..at, parts);
                *passed = at;
                self.text.restart(HELD_BYTES_MAX);
                State::InName
            }
            (State::Value { .. }, b'"') => {
                self.text.restart(0);
                State::InText
            }
            (State::Value { .. }, b'{' | b'[') => State::Nested(1),
            (State::Value { .. } | State::After, byte) if is_bare(byte) => State::After,
            _ => State::Done, // the object's end, or no JSON
        };
        // The opening quote is held with the name.
        if self.state == State::InName && at + 1 == piece.len() {
            self.held.push(b'"');
            *passed = piece.len();
        }
        1
    }

    fn in_key(&mut self, rest: &[u8]) -> usize {
        let (used, is_over) = self.text.read(rest);
        if is_over {
            self.state = State::Colon { is_model: self.text.whole() == Some(KEY) };
        }
        used
    }

    fn in_other(&mut self, rest: &[u8], after: State) -> usize {
        let (used, is_over) = self.text.read(rest);
        if is_over {
            self.state = after;
        }
        used
    }

    fn nested(&mut self, byte: u8, depth: u32) -> usize {
        self.state = match byte {
            b'"' => {
                self.text.restart(0);
                State::NestedText(depth)
            }
            b'{' | b'[' => depth.checked_add(1).map_or(State::Done, State::Nested),
            b'}' | b']' if depth == 1 => State::After,
            b'}' | b']' => State::Nested(depth - 1),
            _ => State::Nested(depth),
        };
        1
    }

    /// Bytes of the name from `at` on; those from `passed` on are not dealt with yet.
    fn in_name(
        &mut self,
        piece: &[u8],
        at: usize,
        passed: &mut usize,
        parts: &mut Vec<Part>,
    ) -> usize {
        let (used, is_over) = self.text.read(&piece[at..]);
        let end = at + used;
        if is_over {
            self.state = State::After;
            if let Some(own) = self.text.whole().and_then(|asked| self.names.own(asked)) {
                parts.push(Part::New(own.json().to_vec()));
                self.held.clear();
                *passed = end;
            } else {
                self.give_back(parts);
            }
        } else if self.held.len() + (end - *passed) > HELD_BYTES_MAX {
            self.give_back(parts);
            self.state = State::InText;
        } else {
            self.held.extend_from_slice(&piece[*passed..end]);
            *passed = end;
        }
        used
    }

    /// Passes on what earlier pieces had of a name; the piece at hand still has its own share.
    fn give_back(&mut self, parts: &mut Vec<Part>) {
        if !self.held.is_empty() {
            parts.push(Part::New(std::mem::take(&mut self.held)));
        }
    }
}

fn copy(range: Range<usize>, parts: &mut Vec<Part>) {
    if !range.is_empty() {
        parts.push(Part::Copy(range));
    }
}

/// Bytes of numbers and of `true`, `false` and `null`.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::model_names::OwnName;

    fn one_name() -> Arc<ModelNames> {
        let otherwise = Some(OwnName::new("own").unwrap());
        Arc::new(ModelNames { otherwise, list: vec![] })
    }

    fn listed() -> Arc<ModelNames> {
        let list = vec![("gpt-4o".into(), OwnName::new("green-v2").unwrap())];
        Arc::new(ModelNames { otherwise: None, list })
    }

    fn edited(names: &Arc<ModelNames>, pieces: &[&[u8]]) -> Vec<u8> {
        let mut edit = ModelEdit::new(Arc::clone(names));
        let mut out = Vec::new();
        for piece in pieces {
            let mut parts = Vec::new();
            edit.push(piece, &mut parts);
            parts.iter().for_each(|part| out.extend_from_slice(part.of(piece)));
            assert!(edit.held.len() <= HELD_BYTES_MAX);
        }
        let mut parts = Vec::new();
        edit.finish(&mut parts);
        parts.iter().for_each(|part| out.extend_from_slice(part.of(&[])));
        out
    }

    /// Cut at every byte, and into single bytes, the outcome is the same.
    fn everywhere(names: &Arc<ModelNames>, body: &str, expected: &str) {
        let bytes = body.as_bytes();
        for cut in 0..=bytes.len() {
            let out = edited(names, &[&bytes[..cut], &bytes[cut..]]);
            assert_eq!(String::from_utf8_lossy(&out), expected, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(String::from_utf8_lossy(&edited(names, &single)), expected);
    }

    #[test]
    fn the_name_at_the_top_is_replaced_and_nothing_else() {
        for (body, expected) in [
            (r#"{"model":"x"}"#, r#"{"model":"own"}"#),
            (
                " {\n\t\"model\" :\r\n \"x\" , \"n\" : 1.50e0 }\n",
                " {\n\t\"model\" :\r\n \"own\" , \"n\" : 1.50e0 }\n",
            ),
            (
                r#"{"messages":[{"model":"no","role":"\"model\":"}],"model":"x","z":{"model":"no"}}"#,
                r#"{"messages":[{"model":"no","role":"\"model\":"}],"model":"own","z":{"model":"no"}}"#,
            ),
            (r#"{"mod\u0065l":"x"}"#, r#"{"mod\u0065l":"own"}"#),
            (r#"{"model":"a\"\\b\u00e9"}"#, r#"{"model":"own"}"#),
            (r#"{"model":"a","x":null,"model":"b"}"#, r#"{"model":"own","x":null,"model":"own"}"#),
            (r#"{"model":""}"#, r#"{"model":"own"}"#),
            ("\u{feff}{\"model\":\"x\"}", "\u{feff}{\"model\":\"own\"}"),
            (r#"{"model":"x"} {"model":"x"}"#, r#"{"model":"own"} {"model":"x"}"#),
        ] {
            everywhere(&one_name(), body, expected);
        }
    }

    #[test]
    fn what_has_no_name_at_the_top_passes_untouched() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "\"model\"",
            r#"["model","x"]"#,
            r#"[{"model":"x"}]"#,
            r#"{"Model":"x","models":"x","mode":"x","model ":"x"}"#,
            r#"{"model":7}"#,
            r#"{"model":null,"a":"x"}"#,
            r#"{"model":["x"]}"#,
            r#"{"model":{"model":"x"}}"#,
            r#"{"a":"model","b":"x"}"#,
            // No JSON, or not all of it.
            r#"{"model"#,
            r#"{"model":"#,
            r#"{"model":"x"#,
            r#"{"model":"x\"#,
            r#"{"model" "x"}"#,
            r#"{model:"x"}"#,
            r#"{,"model":"x"}"#,
            r#"model":"x"}"#,
            r#"{"a" 1,"model":"x"}"#,
            "model=x&n=1",
            &deep,
        ] {
            everywhere(&one_name(), body, body);
        }
        let invalid: &[u8] = b"{\"a\":\"\xff\xfe\",\"b\":1}";
        assert_eq!(edited(&one_name(), &[invalid]), invalid);
    }

    #[test]
    fn names_that_are_not_listed_pass() {
        for (body, expected) in [
            (r#"{"model":"gpt-4o"}"#, r#"{"model":"green-v2"}"#),
            (r#"{"model":"gpt\u002d4o"}"#, r#"{"model":"green-v2"}"#),
            (r#"{"model":"gpt-4o-mini"}"#, r#"{"model":"gpt-4o-mini"}"#),
            (r#"{"model":"gpt\u002d4"}"#, r#"{"model":"gpt\u002d4"}"#),
        ] {
            everywhere(&listed(), body, expected);
        }
    }

    #[test]
    fn a_value_too_long_for_a_name_is_not_held() {
        let body = format!(r#"{{"model":"{}","model":"x"}}"#, "x".repeat(3 * HELD_BYTES_MAX));
        let expected = body.replace(r#""model":"x"}"#, r#""model":"own"}"#);
        for size in [1, 100, HELD_BYTES_MAX, HELD_BYTES_MAX + 9, usize::MAX] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size.min(body.len())).collect();
            let out = edited(&one_name(), &pieces);
            assert_eq!(out.len(), expected.len(), "{size}");
            assert!(out == expected.as_bytes(), "{size}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let key = prop_oneof![Just("model".to_owned()), ".{0,6}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key, inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_parser_sees_the_new_name_and_no_other_change(
            body in json(),
            is_pretty in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = if is_pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
            let text = text.unwrap();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            let out = edited(&one_name(), &pieces);
            let mut expected = body;
            if let Some(name @ Value::String(_)) = expected.get_mut("model") {
                *name = Value::from("own");
            }
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
            prop_assert_eq!(edited(&one_name(), &[text.as_bytes()]), out);
        }

        #[test]
        fn whatever_comes_passes_when_no_name_is_listed(body in "[\\[\\]{}\",:\\\\model x1]{0,60}") {
            let bytes = body.as_bytes();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(edited(&listed(), &[bytes]), bytes);
            prop_assert_eq!(edited(&listed(), &single), bytes);
        }
    }
}
