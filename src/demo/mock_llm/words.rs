//! The words of an answer. Any word can be computed from the seed and its place, so a stream keeps
//! no text and still can repeat the whole of it at its end.

/// Tokens after the first two. None needs escaping in JSON; one is four bytes long, so that answers
/// exercise whoever splits UTF-8.
const VOCABULARY: [&str; 32] = [
    " light", " river", " stone", " and", " the", " quiet", " north", " of", " seven", " windows",
    " open", " slowly", " under", " a", " paper", " moon", " while", " trains", " count", " their",
    " wheels", " until", " morning", " finds", " one", " small", " harbour", " 🦀", " without",
    " any", " noise", " again",
];

/// The third word of an answer that a grader shall find wrong.
pub(super) const WRONG: &str = " wrong";

/// What the words of one answer follow from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wording {
    pub(super) seed: u64,
    /// Whether a grader shall find it wrong.
    pub(super) is_wrong: bool,
}

/// Who speaks: every answer begins with its name and version, so that any client can see who answered.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    name: Box<str>,
    version: Box<str>,
}

impl Speaker {
    pub(super) fn new(name: &str, version: &str) -> Self {
        Self { name: json_escaped(name), version: json_escaped(&format!(" {version}")) }
    }

    /// The token at `place`, ready to stand inside a JSON string.
    pub(super) fn token(&self, Wording { seed, is_wrong }: Wording, place: usize) -> &str {
        match place {
            0 => &self.name,
            1 => &self.version,
            2 if is_wrong => WRONG,
            _ => {
                let drawn = xxhash_rust::xxh3::xxh3_64_with_seed(&place.to_le_bytes(), seed);
                // The lower bits of a hash are as good as any; the table's length is a power of two.
                VOCABULARY[usize::try_from(drawn % VOCABULARY.len() as u64).unwrap_or(0)]
            }
        }
    }

    /// The first `tokens` tokens in one piece, ready to stand inside a JSON string.
    pub(super) fn text(&self, wording: Wording, tokens: usize) -> String {
        (0..tokens).map(|place| self.token(wording, place)).collect()
    }
}

/// `text` as it stands between the quotes of a JSON string.
pub(super) fn json_escaped(text: &str) -> Box<str> {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_begins_with_the_speaker_and_repeats() {
        let speaker = Speaker::new("blue", "v1.2.3");
        let right = |seed| speaker.text(Wording { seed, is_wrong: false }, 8);
        let text = right(5);
        assert!(text.starts_with("blue v1.2.3 "), "{text}");
        assert_eq!(text, right(5));
        assert_ne!(text, right(6));
        assert!(!VOCABULARY.contains(&WRONG));
        let wrong = speaker.text(Wording { seed: 5, is_wrong: true }, 8);
        assert!(wrong.starts_with("blue v1.2.3 wrong "), "{wrong}");
    }

    #[test]
    fn what_json_reserves_is_escaped() {
        assert_eq!(&*json_escaped("a\"b\\c\n"), "a\\\"b\\\\c\\n");
    }
}
