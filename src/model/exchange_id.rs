//! The id of an exchange, as clients get it in `X-Cyan-Exchange`: `chat.green.0.00f3a1c2d4e5f607`.
//!
//! It names service, environment and rollout itself, so that a quality score which is sent back hours
//! later finds where it belongs without a table of everything that was ever answered. (The data plane
//! writes it piece by piece, without allocating; `tests/it/scores.rs` holds both against each other.)

use std::fmt;
use std::str::FromStr;

use super::name::Name;

/// Hexadecimal digits of the number.
const DIGITS: usize = 16;

/// Where an exchange belongs, and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeId {
    /// The service that answered.
    pub service: Name,
    /// The environment that the exchange counts for.
    pub environment: Name,
    /// The rollout under way at the time; 0 for none.
    pub rollout: u64,
    /// Its own number.
    pub number: u64,
}

/// Why a text is no id of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no id of an exchange; send the answer's `X-Cyan-Exchange` as it was, \
     e.g. chat.green.0.00f3a1c2d4e5f607"
)]
pub struct ExchangeIdError(String);

/// Characters of a wrong id that are quoted.
const QUOTED_CHARS_MAX: usize = 80;

impl FromStr for ExchangeId {
    type Err = ExchangeIdError;

    fn from_str(text: &str) -> Result<Self, ExchangeIdError> {
        read(text).ok_or_else(|| {
            let begin: String = text.chars().take(QUOTED_CHARS_MAX).collect();
            ExchangeIdError(super::printable::printable(&begin).into_owned())
        })
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, environment, rollout, number } = self;
        write!(f, "{service}.{environment}.{rollout}.{number:016x}")
    }
}

fn read(text: &str) -> Option<ExchangeId> {
    let mut parts = text.split('.');
    let (service, environment) = (parts.next()?, parts.next()?);
    let (rollout, number) = (parts.next()?, parts.next()?);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_number = number.len() == DIGITS && number.bytes().all(is_digit);
    if parts.next().is_some() || !is_number || !rollout.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(ExchangeId {
        service: Name::new(service).ok()?,
        environment: Name::new(environment).ok()?,
        rollout: rollout.parse().ok()?,
        number: u64::from_str_radix(number, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id: ExchangeId = "chat.green.17.00f3a1c2d4e5f607".parse().unwrap();
        assert_eq!((id.service.as_str(), id.environment.as_str()), ("chat", "green"));
        assert_eq!((id.rollout, id.number), (17, 0x00f3_a1c2_d4e5_f607));
        assert_eq!(id.to_string(), "chat.green.17.00f3a1c2d4e5f607");
    }

    #[test]
    fn what_is_no_id_is_named() {
        for text in [
            "",
            "00f3a1c2d4e5f607",
            "chat.green.0.00F3A1C2D4E5F607",
            "chat.green.0.0f3a1c2d4e5f607",
            "chat.green.0.+0f3a1c2d4e5f607",
            "chat.green.+0.00f3a1c2d4e5f607",
            "chat.green.0.00f3a1c2d4e5f607.x",
            "Chat.green.0.00f3a1c2d4e5f607",
            "chat..0.00f3a1c2d4e5f607",
        ] {
            let error = text.parse::<ExchangeId>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no id of an exchange; ")), "{error}");
        }
        let long = "x".repeat(10_000).parse::<ExchangeId>().unwrap_err().to_string();
        assert!(long.len() < 300, "{}", long.len());
    }
}
