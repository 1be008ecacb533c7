//! `[service.NAME.rollout.warm_up]`: what a candidate is warmed up by. The table switches it on by
//! standing there.

use std::sync::Arc;
use std::time::Duration;

use super::super::duration;
use super::super::keys::Kind;
use super::super::reader::Section;
use super::access_log::read_share;
use super::environment::one_of;
use super::{mirror, probes, smoke_request};
use crate::model::plan::smoke::ProbeApi;
use crate::model::plan::warm_up::{AtDeadline, Synthetic, WarmUpRule, WarmUpSpec};

/// The first answers of a server that compiles with its first requests may take long.
const TIMEOUT: Duration = Duration::from_secs(60);
const TOKENS: u32 = 32;
const TOKENS_MOST: u32 = 100_000;
const CONCURRENCY: u32 = 4;
const CONCURRENCY_MOST: u32 = 1_000;
const PER_SECOND: f64 = 2.0;
/// Each request has a connection and a task of its own in the control plane.
pub(super) const PER_SECOND_MOST: f64 = 1_000.0;
const REQUESTS_MOST: u32 = 1_000_000;
/// Most prompts, and most bodies.
const LIST_MAX: usize = 256;

/// The warm-up; `None` when the table is not written, or has nothing that could be sent.
pub(super) fn read(section: &Section<'_>) -> Option<Arc<WarmUpSpec>> {
    let synthetic = read_synthetic(section);
    let timeout = section.duration("timeout", TIMEOUT);
    let rule = read_rule(section);
    let mirror = mirror::read(&section.section("mirror"));
    if !section.is_written() {
        return None;
    }
    let is_given =
        |key: &str| section.value(key, Kind::Texts).is_some_and(|value| !value.is_empty_list());
    if !["prompts", "bodies"].into_iter().any(is_given) && mirror.is_none() {
        let sentence = "sends nothing; write prompts = [\"Tell a story.\", \"Count to fifty.\"], or \
                        mirror.share = 0.05";
        section.reader.error(&section.place, sentence);
    }
    let has_any = synthetic.is_some() || mirror.is_some();
    has_any.then(|| Arc::new(WarmUpSpec { synthetic, timeout, rule, mirror }))
}

fn read_synthetic(section: &Section<'_>) -> Option<Synthetic> {
    let synthetic = Synthetic {
        api: one_of(section, "api", &ProbeApi::ALL.map(|api| (api.name(), api))),
        base: probes::read_base(section).into(),
        model: section.parsed::<String>("model").map(Into::into),
        prompts: read_list(section, "prompts", |_| Ok(())),
        bodies: read_list(section, "bodies", check_json),
        tokens: section.whole("max_tokens", 1..=TOKENS_MOST).unwrap_or(TOKENS),
        headers: smoke_request::read_headers(&section.section("headers")),
        concurrency: section.whole("concurrency", 1..=CONCURRENCY_MOST).unwrap_or(CONCURRENCY),
        requests_per_second: read_rate(section, "requests_per_second", PER_SECOND_MOST)
            .unwrap_or(PER_SECOND),
    };
    (!synthetic.prompts.is_empty() || !synthetic.bodies.is_empty()).then_some(synthetic)
}

fn read_rule(section: &Section<'_>) -> WarmUpRule {
    let usual = WarmUpRule::default();
    let rule = WarmUpRule {
        window: section.duration("window", usual.window),
        requests_min: section
            .whole("requests_min", 1..=REQUESTS_MOST)
            .unwrap_or(usual.requests_min),
        tolerance: read_share(section, "tolerance").unwrap_or(usual.tolerance),
        deadline: section.duration("deadline", usual.deadline),
        at_deadline: one_of(
            section,
            "at_deadline",
            &[("go-on", AtDeadline::GoOn), ("fail", AtDeadline::Fail)],
        ),
    };
    if rule.deadline < rule.window * 2 {
        let sentence = format!(
            "{} has no room for two windows of {}; write at least {}",
            duration::print(rule.deadline),
            duration::print(rule.window),
            duration::print(rule.window * 2)
        );
        section.reader.error(&section.place_of("deadline"), sentence);
    }
    rule
}

/// So many in a second.
pub(super) fn read_rate(section: &Section<'_>, key: &str, most: f64) -> Option<f64> {
    let value = section.value(key, Kind::Number)?;
    let rate = value.number()?;
    if rate > 0.0 && rate <= most {
        return Some(rate);
    }
    value.error(format!("{rate} is out of range; write above 0 to {most}"));
    None
}

fn read_list(
    section: &Section<'_>,
    key: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Vec<Arc<str>> {
    let texts = section.texts(key);
    if texts.len() > LIST_MAX {
        let sentence = format!("{} of them; write at most {LIST_MAX}", texts.len());
        section.reader.error(&section.place_of(key), sentence);
    }
    for (place, text) in &texts {
        if let Err(problem) = check(text) {
            section.reader.error(place, problem);
        }
    }
    texts.into_iter().map(|(_, text)| text.into()).collect()
}

fn check_json(text: &str) -> Result<(), String> {
    let read = serde_json::from_str::<serde::de::IgnoredAny>(text);
    read.map(drop).map_err(|error| format!("is no JSON: {error}; write a whole request body"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};
    use super::*;

    #[test]
    fn the_table_switches_it_on() {
        assert_eq!(service("").warm_up, None);
        let written = service("rollout.warm_up.prompts = ['a', 'b']").warm_up.unwrap();
        assert_eq!((written.rule, written.timeout), (WarmUpRule::default(), TIMEOUT));
        let synthetic = written.synthetic.clone().unwrap();
        assert_eq!((synthetic.api, &*synthetic.base), (ProbeApi::Chat, "/v1"));
        assert_eq!((synthetic.prompts.len(), synthetic.bodies.len()), (2, 0));
        assert_eq!((synthetic.concurrency, synthetic.tokens), (4, 32));
    }

    #[test]
    fn what_warms_nothing_is_refused() {
        for (keys, expected) in [
            (
                "max_tokens = 8",
                ": sends nothing; write prompts = [\"Tell a story.\", \"Count to fifty.\"], or mirror.share = 0.05",
            ),
            (
                "prompts = []",
                ": sends nothing; write prompts = [\"Tell a story.\", \"Count to fifty.\"], or mirror.share = 0.05",
            ),
            (
                "prompts = 'a'\nwindow = '1m'\ndeadline = '90s'",
                ".deadline: 1m30s has no room for two windows of 1m; write at least 2m",
            ),
            (
                "prompts = 'a'\nrequests_per_second = 0",
                ".requests_per_second: 0 is out of range; write above 0 to 1000",
            ),
            (
                "prompts = 'a'\ntolerance = 10",
                ".tolerance: 10 is no share; write 0 to 1, e.g. 0.1 for every tenth",
            ),
            ("prompts = 'a'\nconcurrency = 0", ".concurrency: 0 is out of range; write 1 to 1000"),
            (
                "bodies = ['{}', '{']",
                ".bodies: is no JSON: EOF while parsing an object at line 1 column 1; write a whole request body",
            ),
            (
                "prompts = 'a'\nat_deadline = 'wait'",
                ".at_deadline: `wait` is not known; write go-on or fail",
            ),
            (
                "prompts = 'a'\napi = 'grpc'",
                ".api: `grpc` is not known; write chat or completions or responses or messages or ollama-chat or ollama-generate",
            ),
        ] {
            let errors = service_errors(&format!("[rollout.warm_up]\n{keys}\n"));
            assert_eq!(errors, [format!("rollout.warm_up{expected}")]);
        }
    }
}
