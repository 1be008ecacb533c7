//! Names of services and environments.
//!
//! They appear in headers, metric labels, file paths and exchange ids, so one narrow alphabet is
//! checked once, here, and needs no escaping anywhere later.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

/// Most characters a name may have; a dashboard row and a header stay readable (`UX` checks 60).
pub const NAME_CHARS_MAX: usize = 60;

/// A checked name: 1 to 60 of `a-z`, `0-9`, `-` and `_`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name; use 1 to 60 of a-z, 0-9, `-` and `_`, beginning with a letter or digit"
)]
pub struct NameError(pub String);

impl Name {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// When it is empty, longer than 60 characters, or has a character outside the alphabet.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let alphabet =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if starts_well && text.len() <= NAME_CHARS_MAX && text.bytes().all(alphabet) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "1 to 60 of a-z, 0-9, `-` and `_`, beginning with a letter or digit.",
            "type": "string",
            "pattern": format!("^[a-z0-9][a-z0-9_-]{{0,{}}}$", NAME_CHARS_MAX - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_narrow_alphabet_is_a_name() {
        for good in ["blue", "green-2", "0", "a_b", &"x".repeat(60)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-blue", "Blue", "b lue", "grün", "a.b", &"x".repeat(61)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
