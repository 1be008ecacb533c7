//! Whether a request asks for a stream or for an answer in one piece: a silent one is late at different
//! times.
//!
//! A hint for who compares times, not for anybody's routing. It looks for a `"stream"` key at any depth, which
//! costs a search and not a walk: inside a string the quotes would be escaped. Pieces may be cut anywhere.

use memchr::memmem;

use crate::model::api::Api;

const KEY: &[u8] = b"\"stream\"";
/// How much of the end of a piece is looked at again with the next: the key, its value, and some blanks.
const OVERLAP: usize = 32;

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// In pieces as they are made.
    Stream,
    /// In one piece.
    Whole,
}

/// Looks through a request's body for how the answer is asked for.
#[derive(Debug, Default)]
pub struct AskedScan {
    state: State,
    overlap: [u8; OVERLAP],
    kept: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Within,
    Over,
}

impl AskedScan {
    /// Takes in a piece, of which `is_last` says whether it ends the body. Answers once, as soon as it is
    /// known; never for a body that is no JSON object, or an API that is not known.
    pub fn push(&mut self, api: Api, piece: &[u8], is_last: bool) -> Option<Asked> {
        if self.state == State::Before {
            match piece.trim_ascii_start().first() {
                None if !is_last => return None,
                Some(b'{') if api != Api::Other => self.state = State::Within,
                _ => self.state = State::Over,
            }
        }
        if self.state == State::Over {
            return None;
        }
        let asked = self.find(piece).or_else(|| unsaid(api).filter(|_| is_last));
        if asked.is_some() || is_last {
            self.state = State::Over;
        }
        asked
    }

    fn find(&mut self, piece: &[u8]) -> Option<Asked> {
        let kept = usize::from(self.kept);
        if kept > 0 {
            let mut seam = [0; 2 * OVERLAP];
            let ahead = piece.len().min(OVERLAP);
            seam[..kept].copy_from_slice(&self.overlap[..kept]);
            seam[kept..kept + ahead].copy_from_slice(&piece[..ahead]);
            if let Some(asked) = within(&seam[..kept + ahead]) {
                return Some(asked);
            }
        }
        self.keep(piece);
        within(piece)
    }

    /// Keeps the last bytes of all that came.
    fn keep(&mut self, piece: &[u8]) {
        let kept = usize::from(self.kept);
        let new = piece.len().min(OVERLAP);
        let old = kept.min(OVERLAP - new);
        self.overlap.copy_within(kept - old..kept, 0);
        self.overlap[old..old + new].copy_from_slice(&piece[piece.len() - new..]);
        self.kept = u8::try_from(old + new).unwrap_or(0);
    }
}

fn within(bytes: &[u8]) -> Option<Asked> {
    memmem::find_iter(bytes, KEY).find_map(|at| {
        let value = bytes[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?;
        let value = value.trim_ascii_start();
        if value.starts_with(b"true") {
            return Some(Asked::Stream);
        }
        value.starts_with(b"false").then_some(Asked::Whole)
    })
}

/// What an API does when it is not told.
fn unsaid(api: Api) -> Option<Asked> {
    match api {
        Api::Chat | Api::Completions | Api::Responses | Api::Messages | Api::Embeddings => {
            Some(Asked::Whole)
        }
        Api::Ollama => Some(Asked::Stream),
        Api::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(api: Api, body: &str, size: usize) -> Option<Asked> {
        let mut scan = AskedScan::default();
        let mut pieces = body.as_bytes().chunks(size).peekable();
        let mut asked = Vec::new();
        while let Some(piece) = pieces.next() {
            asked.extend(scan.push(api, piece, pieces.peek().is_none()));
        }
        assert!(asked.len() <= 1, "{body} in {size} was answered {asked:?}");
        asked.pop()
    }

    #[test]
    fn bodies_say_how_they_want_the_answer_wherever_they_are_cut() {
        let (stream, whole) = (Some(Asked::Stream), Some(Asked::Whole));
        let long = format!(r#"{{"prompt":"{}","stream" : true}}"#, "x".repeat(300));
        for (api, body, asked) in [
            (Api::Chat, r#"{"model":"m","stream":true}"#, stream),
            (Api::Chat, "\n {\"stream\" :\n true, \"n\": 1}", stream),
            (Api::Chat, r#"{"stream":false,"messages":[]}"#, whole),
            (Api::Chat, r#"{"stream":null}"#, whole),
            (Api::Messages, r#"{"messages":[]}"#, whole),
            (Api::Chat, r#"{"stream_options":{"include_usage":true},"stream":true}"#, stream),
            (Api::Chat, r#"{"content":"say \"stream\": true"}"#, whole),
            (Api::Chat, r#"{"mode":"stream","stream":true}"#, stream),
            (Api::Completions, &long, stream),
            (Api::Ollama, r#"{"model":"m"}"#, stream),
            (Api::Ollama, r#"{"stream":false}"#, whole),
            (Api::Embeddings, r#"{"input":"a"}"#, whole),
            (Api::Other, r#"{"stream":true}"#, None),
            (Api::Chat, "\u{1f}\u{8b}\"stream\":true", None),
            (Api::Chat, "   ", None),
            (Api::Chat, "[]", None),
        ] {
            for size in [1, 2, 3, 7, 11, 31, 32, 33, 64, 1_000] {
                assert_eq!(in_pieces(api, body, size), asked, "{body} by {size}");
            }
        }
    }

    #[test]
    fn a_body_without_an_end_says_nothing() {
        let mut scan = AskedScan::default();
        assert_eq!(scan.push(Api::Chat, br#"{"model":"m","#, false), None);
        assert_eq!(scan.push(Api::Chat, b"", true), Some(Asked::Whole));
        assert_eq!(scan.push(Api::Chat, br#""stream":true}"#, true), None);
    }
}
