//! `[admin.tokens.NAME]`: tokens with a name, which the journal tells, and a role. Beside them
//! `admin.token`, which has no name and may do everything.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::resolved::NamedToken;
use crate::model::environment::Secret;
use crate::model::role::Role;

/// Shorter tokens can be guessed over the network.
const TOKEN_CHARS_MIN: usize = 8;
/// Most tokens with a name: each call is held against every one of them.
const TOKENS_MAX: usize = 64;

/// The tokens with names, in the order of the file; `unnamed` may not be among them.
pub(super) fn read_all(section: &Section<'_>, unnamed: Option<&Secret>) -> Vec<NamedToken> {
    let sections = section.named_sections("tokens");
    if section.has_table("tokens") && section.section("tokens").written_keys().is_empty() {
        let sentence = "names no token; write [admin.tokens.NAME] with token = { env = \"VARIABLE\" }, or leave it out";
        section.reader.error(&section.place_of("tokens"), sentence);
    }
    if sections.len() > TOKENS_MAX {
        let sentence = format!("{} tokens; write at most {TOKENS_MAX}", sections.len());
        section.reader.error(&section.place_of("tokens"), sentence);
    }
    let mut tokens: Vec<NamedToken> = Vec::new();
    for (name, section) in sections {
        let role = section.value("role", Kind::Text).and_then(|value| value.parsed());
        let role = role.unwrap_or(Role::Read);
        let Some(secret) = section.secret("token") else {
            if !section.has("token") {
                let sentence = "has no token; write token = { env = \"VARIABLE\" }";
                section.reader.error(&section.place, sentence);
            }
            continue;
        };
        check(&section, "token", &secret);
        let others = tokens.iter().map(|token| &token.secret).chain(unnamed);
        if others.into_iter().any(|other| other.expose() == secret.expose()) {
            let sentence =
                "is another token too, so nobody could tell who calls; make one of its own";
            section.reader.error(&section.place_of("token"), sentence);
        }
        tokens.push(NamedToken { name, role, secret });
    }
    tokens
}

/// The token without a name, written as `token` or `token_file`.
pub(in super::super) fn read_unnamed(section: &Section<'_>) -> Option<Secret> {
    let from_file = section.value("token_file", Kind::Path);
    if let (Some(value), true) = (&from_file, section.has("token")) {
        value.error("stands beside `token`; keep one of them");
    }
    let field = if section.has("token") { "token" } else { "token_file" };
    let token = match from_file {
        Some(value) => value.secret_in_file(),
        None => section.secret("token"),
    }?;
    check(section, field, &token);
    Some(token)
}

/// Whether any token is written, as whatever it may be. A table without a name holds none.
pub(super) fn is_any_written(section: &Section<'_>) -> bool {
    ["token", "token_file"].into_iter().any(|key| section.has(key))
        || !section.section("tokens").written_keys().is_empty()
}

fn check(section: &Section<'_>, field: &str, token: &Secret) {
    if token.expose().len() < TOKEN_CHARS_MIN || token.expose().contains(' ') {
        let sentence =
            "must have at least 8 characters and no space; make one with `openssl rand -hex 32`";
        section.reader.error(&section.place_of(field), sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{errors, with_files};
    use super::*;

    const REST: &str = "[listen]\nhttp = \"127.0.0.1:80\"\n[environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n";

    #[test]
    fn a_token_has_a_name_and_may_read_unless_more_is_written() {
        let text = "[admin]\naddress = \"0.0.0.0:9901\"\n[admin.tokens.grafana]\ntoken = \"reads-only\"\n\
             [admin.tokens.ci]\ntoken = { file = \"/token\" }\nrole = \"operate\"\n";
        let config = with_files(&format!("{text}{REST}"), &[("/token", "from-a-file\n")]).unwrap();
        let told =
            |token: &NamedToken| format!("{} {} {}", token.name, token.role, token.secret.expose());
        let tokens: Vec<_> = config.admin.tokens.iter().map(told).collect();
        assert_eq!(tokens, ["grafana read reads-only", "ci operate from-a-file"]);
        assert!(config.admin.token.is_none());
    }

    #[test]
    fn a_token_that_cannot_be_meant_is_refused() {
        for (tokens, expected) in [
            (
                "[admin.tokens]",
                "a.toml:2: admin.tokens: names no token; write [admin.tokens.NAME] with token = { env = \"VARIABLE\" }, or leave it out",
            ),
            (
                "tokens = {}",
                "a.toml:2: admin.tokens: names no token; write [admin.tokens.NAME] with token = { env = \"VARIABLE\" }, or leave it out",
            ),
            (
                "[admin.tokens.ci]\nrole = \"operate\"",
                "a.toml:2: admin.tokens.ci: has no token; write token = { env = \"VARIABLE\" }",
            ),
            (
                "[admin.tokens.ci]\ntoken = \"long-enough\"\nrole = \"admin\"",
                "a.toml:4: admin.tokens.ci.role: `admin` is no role; write `read` or `operate`",
            ),
            (
                "[admin.tokens.a]\ntoken = \"the-same-one\"\n[admin.tokens.b]\ntoken = \"the-same-one\"",
                "a.toml:5: admin.tokens.b.token: is another token too, so nobody could tell who calls; make one of its own",
            ),
            (
                "[admin.tokens.a]\ntoken = \"short\"",
                "a.toml:3: admin.tokens.a.token: must have at least 8 characters and no space; make one with `openssl rand -hex 32`",
            ),
        ] {
            let errors = errors(&format!("[admin]\n{tokens}\n{REST}"));
            assert_eq!(errors.first().map(String::as_str), Some(expected), "{errors:?}");
        }
    }
}
