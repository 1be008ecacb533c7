//! What an answer says, in one short line for people, without what must not be shown.

use serde_json::Value;

use crate::model::environment::Secret;

/// Most characters of an answer that are quoted.
const QUOTED_CHARS_MAX: usize = 80;

/// Secrets shorter than this are not looked for: every answer has an `a` in it.
const SECRET_CHARS_MIN: usize = 4;

/// What an answer says: the message of an error object, else its first line. `None` when it is blank.
pub(super) fn quote(answer: &[u8], secrets: &Secrets) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let said = serde_json::from_slice::<Value>(answer).ok().and_then(|json| {
        let places = ["/error/message", "/error", "/message", "/detail", "/status"];
        places.iter().find_map(|place| json.pointer(place)?.as_str().map(str::to_owned))
    });
    let said = said.unwrap_or_else(|| text.lines().next().unwrap_or_default().to_owned());
    let said = shorten(&secrets.cover(&said));
    (!said.is_empty()).then_some(said)
}

/// One line of at most 80 characters that can be printed.
pub(super) fn shorten(text: &str) -> String {
    let plain: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if plain.chars().count() <= QUOTED_CHARS_MAX {
        return plain;
    }
    plain.chars().take(QUOTED_CHARS_MAX - 1).chain(['…']).collect()
}

/// Texts that must not be shown although an upstream repeats them: what was sent to it as credentials.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// These, each also without the scheme before it: `Bearer `.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut covered = Vec::new();
        for secret in secrets {
            covered.push(secret.clone());
            let bare = secret.expose().split_once(' ').map(|(_, credential)| credential);
            covered.extend(bare.map(Secret::new));
        }
        covered.retain(|secret| secret.expose().chars().count() >= SECRET_CHARS_MIN);
        Self(covered)
    }

    /// The text with stars in their place.
    pub(super) fn cover(&self, text: &str) -> String {
        let covered = text.to_owned();
        self.0.iter().fold(covered, |text, secret| text.replace(secret.expose(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_quoted_in_one_short_line() {
        for (answer, expected) in [
            (&b"{\"error\":{\"message\":\"Loading model\"}}"[..], Some("Loading model")),
            (b"{\"detail\":\"Not Found\"}", Some("Not Found")),
            (b"{\"error\":\"busy\"}", Some("busy")),
            (b"first\nsecond", Some("first")),
            (b" \x1b[31mred\x1b[0m ", Some("[31mred[0m")),
            (b"", None),
            (b"\n", None),
        ] {
            assert_eq!(quote(answer, &Secrets::default()).as_deref(), expected);
        }
        let long = quote("x".repeat(500).as_bytes(), &Secrets::default()).unwrap();
        assert_eq!((long.chars().count(), long.ends_with('…')), (80, true));
    }

    #[test]
    fn credentials_that_an_upstream_repeats_are_covered_before_the_cut() {
        let secrets = Secrets::of(&[Secret::new("Bearer sk-12345"), Secret::new("x")]);
        let said = quote(b"no such key: sk-12345 (Bearer sk-12345), x", &secrets);
        assert_eq!(said.as_deref(), Some("no such key: *** (***), x"));
        let at_the_cut = format!("{} sk-12345", "y".repeat(75));
        assert!(!quote(at_the_cut.as_bytes(), &secrets).unwrap().contains("sk"));
    }
}
