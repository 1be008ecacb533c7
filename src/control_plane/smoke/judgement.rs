//! Compares what was seen of an answer with what is expected. Pure; every failure is a sentence.

use std::time::Duration;

use serde_json::Value;

use super::report::CheckKind;
use crate::control_plane::quote::{Secrets, quote, shorten};
use crate::control_plane::trial::Seen;
use crate::model::plan::smoke::{Expectations, SmokeRequest};
use crate::model::verdict::Verdict;

/// Everything in which the answer is not as expected; empty when it passes.
pub(super) fn failures(
    request: &SmokeRequest,
    kind: CheckKind,
    seen: &Seen,
    secrets: &Secrets,
) -> Vec<String> {
    let expect = &request.expect;
    if let Some(failure) = status(expect, seen, secrets) {
        return vec![failure]; // another answer than the one that the rest is about
    }
    let mut failures: Vec<String> = seen.broke.iter().map(ToString::to_string).collect();
    if failures.is_empty() {
        failures.extend(words(kind, seen, secrets));
    }
    failures.extend(headers(expect, seen, secrets));
    failures.extend(json(expect, seen, secrets));
    failures.extend(text(expect, seen, secrets));
    failures.extend(times(expect, seen));
    failures.extend(generated(expect, seen));
    failures
}

/// What a passing answer was like: `200, first after 31 ms, whole after 80 ms, 8 tokens, length`.
pub(super) fn sentence(seen: &Seen) -> String {
    let mut parts = vec![seen.status.as_u16().to_string()];
    if let Some(first) = seen.first.filter(|_| seen.is_stream) {
        parts.push(format!("first content after {}", ms(first)));
    }
    parts.push(format!("whole after {}", ms(seen.total)));
    if let Some(words) = &seen.words {
        parts.extend(words.tokens.output.map(|tokens| format!("{tokens} tokens")));
        parts.extend(words.finish.map(|finish| finish.label().to_owned()));
    }
    parts.join(", ")
}

fn status(expect: &Expectations, seen: &Seen, secrets: &Secrets) -> Option<String> {
    let expected = match expect.status {
        Some(status) if seen.status.as_u16() == status => return None,
        None if seen.status.is_success() => return None,
        Some(status) => status.to_string(),
        None => "2xx".to_owned(),
    };
    let said = quote(&seen.body, secrets);
    let said = said.map_or_else(String::new, |text| format!(" \"{text}\""));
    Some(format!("{}{said}, expected {expected}", seen.status.as_u16()))
}

/// Whether it is an answer that Cyan would not hold against the environment, and of a probe one that
/// was generated event by event.
fn words(kind: CheckKind, seen: &Seen, secrets: &Secrets) -> Option<String> {
    let quoted = || quote(&seen.body, secrets).map_or_else(String::new, |t| format!(": \"{t}\""));
    let Some(words) = &seen.words else {
        let unreadable = "the answer cannot be read as that of a model";
        return (kind == CheckKind::Probe).then(|| format!("{unreadable}{}", quoted()));
    };
    match words.verdict {
        Verdict::Complete | Verdict::Length if kind == CheckKind::Probe && !seen.is_stream => {
            Some("the answer came in one piece, and a stream was asked for".to_owned())
        }
        Verdict::Complete | Verdict::Length => None,
        Verdict::Filtered if kind != CheckKind::Probe => None,
        Verdict::Empty => Some("the answer has no content".to_owned()),
        Verdict::ErrorInBand => Some(format!("an error inside a 2xx{}", quoted())),
        Verdict::Truncated => Some("the answer ended without its end".to_owned()),
        Verdict::Filtered => Some("the answer was refused or filtered".to_owned()),
        verdict => Some(format!("the answer counts as {}", verdict.label())),
    }
}

fn headers(expect: &Expectations, seen: &Seen, secrets: &Secrets) -> Vec<String> {
    let missed = expect.headers.iter().filter_map(|(id, pattern)| {
        let values = seen.headers.get_all(id.name()).iter();
        let values: Vec<_> = values.map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        if values.iter().any(|value| pattern.matches(value)) {
            return None;
        }
        let found = match values.first() {
            Some(value) => format!("is \"{}\"", shorten(&secrets.cover(value))),
            None => "is missing".to_owned(),
        };
        Some(format!("header {} {found}, expected `{}`", id.name(), pattern.as_str()))
    });
    missed.collect()
}

fn json(expect: &Expectations, seen: &Seen, secrets: &Secrets) -> Vec<String> {
    if expect.json.is_empty() {
        return Vec::new();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&seen.body) else {
        let said = quote(&seen.body, secrets).unwrap_or_else(|| "nothing".to_owned());
        return vec![format!("the body is no JSON: \"{said}\"")];
    };
    let missed = expect.json.iter().filter_map(|expected| {
        let found = body.pointer(&expected.pointer);
        if found == Some(&expected.value) {
            return None;
        }
        let found = found.map_or_else(|| "missing".to_owned(), Value::to_string);
        let found = shorten(&secrets.cover(&found));
        Some(format!("`{}` is {found}, expected {}", expected.pointer, expected.value))
    });
    missed.collect()
}

fn text(expect: &Expectations, seen: &Seen, secrets: &Secrets) -> Option<String> {
    let pattern = expect.text.as_ref()?;
    if pattern.matches(&String::from_utf8_lossy(&seen.body)) {
        return None;
    }
    let said = quote(&seen.body, secrets).unwrap_or_default();
    Some(format!("`{}` is not in the body: \"{said}\"", pattern.as_str()))
}

fn times(expect: &Expectations, seen: &Seen) -> Vec<String> {
    let mut late = Vec::new();
    if let Some(max) = expect.ttft_max {
        match seen.first {
            Some(first) if first > max => {
                late.push(format!(
                    "first content after {}, at most {} expected",
                    ms(first),
                    ms(max)
                ));
            }
            Some(_) => {}
            None => late.push("no content came".to_owned()),
        }
    }
    if let Some(max) = expect.total_max.filter(|max| seen.total > *max) {
        late.push(format!("whole after {}, at most {} expected", ms(seen.total), ms(max)));
    }
    late
}

fn generated(expect: &Expectations, seen: &Seen) -> Vec<String> {
    let mut missed = Vec::new();
    let words = seen.words.as_ref();
    if let Some(min) = expect.tokens_min {
        match words.and_then(|words| words.tokens.output) {
            Some(tokens) if tokens >= u64::from(min) => {}
            Some(tokens) => missed.push(format!("{tokens} tokens, at least {min} expected")),
            None => missed.push(format!("tokens cannot be counted, at least {min} expected")),
        }
    }
    let expected = &expect.finish_reasons;
    let finish = words.and_then(|words| words.finish);
    if !expected.is_empty() && !finish.is_some_and(|finish| expected.contains(&finish)) {
        let expected: Vec<_> = expected.iter().map(|reason| reason.label()).collect();
        let finish = finish.map_or("no finish reason", |finish| finish.label());
        missed.push(format!("{finish}, expected {}", expected.join(" or ")));
    }
    missed
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::inspect::answer::Conclusion;
    use crate::model::answer::{FinishReason, Inspection, Tokens};
    use crate::model::api::Api;
    use crate::model::environment::Secret;
    use crate::model::header_id::HeaderId;
    use crate::model::name::Name;
    use crate::model::plan::smoke::JsonExpectation;

    fn seen() -> Seen {
        let tokens = Tokens { output: Some(8), ..Tokens::default() };
        let verdict = Verdict::Complete;
        let finish = Some(FinishReason::Stop);
        Seen {
            api: Api::Chat,
            is_page: false,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: br#"{"object":"list","n":1,"key":"sk-secret"}"#.to_vec(),
            first: Some(Duration::from_millis(30)),
            total: Duration::from_millis(80),
            is_stream: true,
            words: Some(Conclusion { verdict, finish, tokens, inspection: Inspection::Read }),
            broke: None,
        }
    }

    fn failures_of(expect: Expectations, kind: CheckKind, seen: &Seen) -> String {
        let request = SmokeRequest {
            name: Name::new("ready").unwrap(),
            method: "GET".into(),
            path: "/".into(),
            headers: vec![],
            body: None,
            timeout: Duration::from_secs(2),
            expect,
        };
        failures(&request, kind, seen, &Secrets::of(&[Secret::new("sk-secret")])).join("; ")
    }

    fn json(pointer: &str, value: Value) -> Vec<JsonExpectation> {
        vec![JsonExpectation { pointer: pointer.into(), value }]
    }

    #[test]
    fn each_expectation_is_told_when_it_is_missed() {
        let none = Expectations::default;
        let header = |pattern: &str| vec![(HeaderId::CONTENT_TYPE, pattern.parse().unwrap())];
        let ms = |ms| Some(Duration::from_millis(ms));
        for (expect, expected) in [
            (none(), ""),
            (Expectations { status: Some(200), ..none() }, ""),
            (
                Expectations { status: Some(404), ..none() },
                "200 \"{\"object\":\"list\",\"n\":1,\"key\":\"***\"}\", expected 404",
            ),
            (Expectations { json: json("/n", 1.into()), ..none() }, ""),
            (Expectations { json: json("/n", "1".into()), ..none() }, "`/n` is 1, expected \"1\""),
            (
                Expectations { json: json("/key", 1.into()), ..none() },
                "`/key` is \"***\", expected 1",
            ),
            (Expectations { json: json("/x", 1.into()), ..none() }, "`/x` is missing, expected 1"),
            (
                Expectations { headers: header("json"), ..none() },
                "header content-type is missing, expected `json`",
            ),
            (Expectations { text: Some("li.t".parse().unwrap()), ..none() }, ""),
            (
                Expectations { text: Some("^x".parse().unwrap()), ..none() },
                "`^x` is not in the body: \"{\"object\":\"list\",\"n\":1,\"key\":\"***\"}\"",
            ),
            (Expectations { ttft_max: ms(30), total_max: ms(80), ..none() }, ""),
            (
                Expectations { ttft_max: ms(29), total_max: ms(79), ..none() },
                "first content after 30 ms, at most 29 ms expected; whole after 80 ms, at most 79 ms expected",
            ),
            (Expectations { tokens_min: Some(8), ..none() }, ""),
            (Expectations { tokens_min: Some(9), ..none() }, "8 tokens, at least 9 expected"),
            (
                Expectations {
                    finish_reasons: vec![FinishReason::Length, FinishReason::Stop],
                    ..none()
                },
                "",
            ),
            (
                Expectations { finish_reasons: vec![FinishReason::Length], ..none() },
                "stop, expected length",
            ),
        ] {
            assert_eq!(failures_of(expect, CheckKind::Request, &seen()), expected);
        }
        assert_eq!(
            sentence(&seen()),
            "200, first content after 30 ms, whole after 80 ms, 8 tokens, stop"
        );
    }

    #[test]
    fn an_answer_that_users_would_not_take_passes_nowhere() {
        for (verdict, of_request, of_probe) in [
            (Verdict::Complete, "", ""),
            (Verdict::Length, "", ""),
            (Verdict::Filtered, "", "the answer was refused or filtered"),
            (Verdict::Empty, "the answer has no content", "the answer has no content"),
            (
                Verdict::Truncated,
                "the answer ended without its end",
                "the answer ended without its end",
            ),
            (
                Verdict::AbortedByServer,
                "the answer counts as aborted_by_server",
                "the answer counts as aborted_by_server",
            ),
        ] {
            let mut seen = seen();
            seen.words.as_mut().unwrap().verdict = verdict;
            let failures = |kind| failures_of(Expectations::default(), kind, &seen);
            assert_eq!(failures(CheckKind::Request), of_request, "{verdict:?}");
            assert_eq!(failures(CheckKind::Probe), of_probe, "{verdict:?}");
        }
        let whole = Seen { is_stream: false, ..seen() };
        let failed = failures_of(Expectations::default(), CheckKind::Probe, &whole);
        assert_eq!(failed, "the answer came in one piece, and a stream was asked for");
        let unread = Seen { words: None, body: b"<html>".to_vec(), ..seen() };
        let failed = failures_of(Expectations::default(), CheckKind::Probe, &unread);
        assert_eq!(failed, "the answer cannot be read as that of a model: \"<html>\"");
    }
}
