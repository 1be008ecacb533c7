//! `[service.NAME.rollout.probes]`: a few tokens asked for in each API.

use std::time::Duration;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::{endpoint, smoke_request};
use crate::model::plan::smoke::{ProbeApi, Probes};

const PROMPT: &str = "Say hello.";
const TOKENS: u32 = 8;
/// The first answer of a server that has just loaded its weights may take seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The probes; `None` when no API is named.
pub(super) fn read(section: &Section<'_>) -> Option<Probes> {
    let probes = Probes {
        apis: read_apis(section),
        base: read_base(section).into(),
        model: section.parsed::<String>("model").map(Into::into),
        prompt: section.parsed::<String>("prompt").unwrap_or_else(|| PROMPT.to_owned()).into(),
        tokens: section.whole("tokens", 1..=1_000).unwrap_or(TOKENS),
        headers: smoke_request::read_headers(&section.section("headers")),
        timeout: section.duration("timeout", TIMEOUT),
        ttft_max: smoke_request::limit(section, "ttft_max"),
    };
    if section.is_written() && !section.has("apis") {
        let sentence = "names no API; write apis = [\"chat\"]";
        section.reader.error(&section.place, sentence);
    }
    (!probes.apis.is_empty()).then_some(probes)
}

fn read_apis(section: &Section<'_>) -> Vec<ProbeApi> {
    let mut apis = Vec::new();
    for (place, text) in section.texts("apis") {
        match ProbeApi::ALL.into_iter().find(|api| api.name() == text) {
            Some(api) if apis.contains(&api) => {
                section.reader.error(&place, format!("`{text}` stands twice; leave one out"));
            }
            Some(api) => apis.push(api),
            None => {
                let known = ProbeApi::ALL.map(ProbeApi::name).join(", ");
                section.reader.error(&place, format!("unknown API `{text}`; there are: {known}"));
            }
        }
    }
    apis
}

/// What stands before a path; nothing for `/`.
pub(super) fn read_base(section: &Section<'_>) -> String {
    let parse = |text: &str| match endpoint::parse_path(text) {
        Some(path) if &*path == "/" => Ok(String::new()),
        Some(path) => Ok(path.to_string()),
        None => Err(format!("`{text}` is no path; write for example /v1, or / for none")),
    };
    let written = section.value("base", Kind::Text).and_then(|value| value.with_text(parse));
    written.unwrap_or_else(|| "/v1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};
    use super::*;

    #[test]
    fn probes_are_of_the_apis_that_are_named() {
        let probes = service("rollout.probes = { apis = ['chat', 'ollama-generate'] }").smoke;
        let probes = probes.probes.clone().unwrap();
        assert_eq!(probes.apis, [ProbeApi::Chat, ProbeApi::OllamaGenerate]);
        assert_eq!((&*probes.base, probes.tokens, probes.timeout), ("/v1", 8, TIMEOUT));
        let bare = service("rollout.probes = { apis = 'chat', base = '/' }").smoke;
        assert_eq!(&*bare.probes.clone().unwrap().base, "");
    }

    #[test]
    fn what_no_probe_can_be_is_refused() {
        for (keys, expected) in [
            ("tokens = 4", ": names no API; write apis = [\"chat\"]"),
            ("apis = 'chat'\ntokens = 0", ".tokens: 0 is out of range; write 1 to 1000"),
            ("apis = ['chat', 'chat']", ".apis: `chat` stands twice; leave one out"),
            (
                "apis = 'grpc'",
                ".apis: unknown API `grpc`; there are: chat, completions, responses, messages, ollama-chat, ollama-generate",
            ),
            (
                "apis = 'chat'\nbase = 'v1'",
                ".base: `v1` is no path; write for example /v1, or / for none",
            ),
        ] {
            let errors = service_errors(&format!("[rollout.probes]\n{keys}\n"));
            assert_eq!(errors, [format!("rollout.probes{expected}")]);
        }
    }
}
