//! `[service.NAME.force]`: who may name an environment, and how.

use super::super::reader::Section;
use super::{header, range};
use crate::model::header_id::{HeaderId, is_token_byte};
use crate::model::service::ForceRule;

/// A signature is worth what its key is: shorter ones can be guessed offline.
const SECRET_CHARS_MIN: usize = 16;

pub(super) fn read(section: &Section<'_>) -> Option<ForceRule> {
    let cookie = section.parsed::<String>("cookie");
    if let Some(name) = &cookie
        && (name.is_empty() || !name.bytes().all(is_token_byte))
    {
        let sentence = format!("`{name}` is no name of a cookie; use letters, digits, `-` and `_`");
        section.reader.error(&section.place_of("cookie"), sentence);
    }
    let secret = section.secret("secret");
    if secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_CHARS_MIN) {
        let sentence = "must have at least 16 characters; make one with `openssl rand -hex 32`";
        section.reader.error(&section.place_of("secret"), sentence);
    }
    let rule = ForceRule {
        header: header::read(section, "header", HeaderId::X_CYAN_ENVIRONMENT),
        cookie: cookie.map(Into::into),
        trusted: range::read_list(section, "trusted"),
        secret,
    };
    if section.is_written() && !section.has("secret") && rule.trusted.is_empty() {
        let sentence =
            "nobody may name an environment; write trusted = [\"127.0.0.1\"] or a secret";
        section.reader.error(&section.place, sentence);
    }
    section.is_written().then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};

    #[test]
    fn nobody_may_force_unless_written() {
        assert_eq!(service("").force, None);
        let rule = service("force.trusted = \"127.0.0.1\"").force.unwrap();
        assert_eq!(rule.header.name(), "x-cyan-environment");
        assert_eq!(rule.trusted.len(), 1);
    }

    #[test]
    fn a_rule_for_nobody_or_with_a_weak_key_is_refused() {
        for (text, expected) in [
            (
                "force.cookie = \"env\"",
                "force: nobody may name an environment; write trusted = [\"127.0.0.1\"] or a secret",
            ),
            (
                "force.secret = \"short\"",
                "force.secret: must have at least 16 characters; make one with `openssl rand -hex 32`",
            ),
            (
                "force = { cookie = \"a=b\", trusted = \"::1\" }",
                "force.cookie: `a=b` is no name of a cookie; use letters, digits, `-` and `_`",
            ),
        ] {
            assert_eq!(service_errors(text), [expected]);
        }
    }
}
