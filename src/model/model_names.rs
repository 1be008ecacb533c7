//! What an environment calls the models that clients ask for.
//!
//! Two environments rarely serve a model under the same name: `green` has `llama-3-70b-v2` where clients
//! go on asking for `llama-3-70b`. So an environment may have one name for whatever is asked for, or a
//! list from clients' names to its own, or both: the list first, the one name for the rest.

use std::fmt;
use std::sync::Arc;

/// A model's name as an environment's servers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnName {
    name: Arc<str>,
    json: Arc<[u8]>,
}

/// Why a text is no name of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one line of 1 to {CHARS_MAX} characters; write the name that the servers know")]
pub struct OwnNameError;

/// Longest name, in characters. The longest in use (`owner/model-variant-quantisation:tag`) are below 100.
const CHARS_MAX: usize = 200;

impl OwnName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is empty, too long, or has control characters.
    pub fn new(name: &str) -> Result<Self, OwnNameError> {
        let is_name =
            (1..=CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        let json = serde_json::to_vec(name).ok().filter(|_| is_name).ok_or(OwnNameError)?;
        Ok(Self { name: name.into(), json: json.into() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// As a JSON string, quotes included.
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}

impl fmt::Display for OwnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl std::str::FromStr for OwnName {
    type Err = OwnNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

/// The names of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelNames {
    /// For whatever is asked for and not in the list; `None` passes it on as it is.
    pub otherwise: Option<OwnName>,
    /// From a client's name to the environment's own.
    pub list: Vec<(Arc<str>, OwnName)>,
}

impl ModelNames {
    /// Whether every name is passed on as it is.
    pub fn is_empty(&self) -> bool {
        self.otherwise.is_none() && self.list.is_empty()
    }

    /// The environment's own name for what a client asks for; `None` passes it on as it is.
    pub fn own(&self, asked: &[u8]) -> Option<&OwnName> {
        let listed = self.list.iter().find(|(theirs, _)| theirs.as_bytes() == asked);
        listed.map(|(_, own)| own).or(self.otherwise.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_comes_first_and_the_rest_has_one_name_or_its_own() {
        let own = |name: &str| OwnName::new(name).unwrap();
        let mut names = ModelNames::default();
        assert!(names.is_empty() && names.own(b"gpt-4o").is_none());
        names.list.push(("gpt-4o".into(), own("green-v2")));
        assert!(!names.is_empty() && names.own(b"other").is_none());
        names.otherwise = Some(own("small"));
        assert_eq!(names.own(b"gpt-4o"), Some(&own("green-v2")));
        assert_eq!(names.own(b"other"), Some(&own("small")));
    }

    #[test]
    fn a_name_is_one_line_and_becomes_a_json_string() {
        assert_eq!(OwnName::new("a \"b\" \\ é").unwrap().json(), r#""a \"b\" \\ é""#.as_bytes());
        for text in ["", "a\nb", &"x".repeat(CHARS_MAX + 1)] {
            assert_eq!(OwnName::new(text), Err(OwnNameError), "{text}");
        }
        assert!(OwnName::new(&"é".repeat(CHARS_MAX)).is_ok());
    }
}
