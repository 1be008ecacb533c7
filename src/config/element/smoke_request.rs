//! `[service.NAME.rollout.smoke.NAME]`: one request and what its answer must be.

use std::time::Duration;

use serde_json::Value;

use super::super::duration;
use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use super::{endpoint, header};
use crate::model::answer::FinishReason;
use crate::model::environment::Secret;
use crate::model::header_id::{HeaderId, is_token_byte};
use crate::model::name::Name;
use crate::model::plan::smoke::{Expectations, JsonExpectation, Pattern, SmokeRequest};

/// A request that generates nothing is answered within this, or users would notice.
const TIMEOUT: Duration = Duration::from_secs(2);

/// One test; `None` when it has no path, or a wrong one.
pub(super) fn read(name: Name, section: &Section<'_>) -> Option<SmokeRequest> {
    let body = section.parsed::<String>("body");
    let path = read_path(section);
    if !section.has("path") {
        section.reader.error(&section.place, "has no path; write for example path = \"/health\"");
    }
    let method =
        section.value("method", Kind::Text).and_then(|value| value.with_text(parse_method));
    let usual = if body.is_some() { "POST" } else { "GET" };
    Some(SmokeRequest {
        name,
        method: method.unwrap_or_else(|| usual.to_owned()).into(),
        path: path?.into(),
        headers: read_headers(&section.section("headers")),
        body: body.map(Into::into),
        timeout: section.duration("timeout", TIMEOUT),
        expect: read_expectations(&section.section("expect")),
    })
}

/// A table of headers with values that are not printed.
pub(super) fn read_headers(section: &Section<'_>) -> Vec<(HeaderId, Secret)> {
    let chosen = section.chosen_values(Kind::Secret).into_iter();
    chosen
        .filter_map(|(name, value)| {
            Some((header::parse(section, &value.place, name)?, value.secret()?))
        })
        .collect()
}

fn read_path(section: &Section<'_>) -> Option<String> {
    let parse = |text: &str| {
        let path = text.split('?').next().unwrap_or_default();
        let is_sendable = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let is_path = endpoint::parse_path(path).is_some() && is_sendable;
        is_path.then(|| text.to_owned()).ok_or_else(|| {
            format!("`{text}` is no path; write for example /health or /v1/models?limit=1")
        })
    };
    section.value("path", Kind::Text)?.with_text(parse)
}

fn parse_method(text: &str) -> Result<String, String> {
    let is_method = !text.is_empty() && text.bytes().all(is_token_byte) && text != "CONNECT";
    is_method
        .then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is no method of a request; write for example GET or POST"))
}

fn read_expectations(section: &Section<'_>) -> Expectations {
    Expectations {
        status: section.whole("status", 200..=599).and_then(|status| u16::try_from(status).ok()),
        headers: each(section, "headers", parse_header),
        json: each(section, "json", parse_json),
        text: section.parsed::<Pattern>("text"),
        ttft_max: limit(section, "ttft_max"),
        total_max: limit(section, "total_max"),
        tokens_min: section.whole("tokens_min", 1..=1_000_000),
        finish_reasons: each(section, "finish_reason", parse_reason),
    }
}

/// A limit on time that need not be there.
pub(super) fn limit(section: &Section<'_>, key: &str) -> Option<Duration> {
    let value = section.value(key, Kind::Duration)?;
    let limit = value.with_text(duration::parse)?;
    if limit.is_zero() {
        value.error("must not be zero; write at least 1ms");
        return None;
    }
    Some(limit)
}

/// Items of a list, as far as they can be understood.
fn each<T>(section: &Section<'_>, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let item = |(place, text): (Place, String)| {
        parse(&text).map_err(|error| section.reader.error(&place, error)).ok()
    };
    section.texts(key).into_iter().filter_map(item).collect()
}

/// `content-type: ^text/event-stream`
fn parse_header(text: &str) -> Result<(HeaderId, Pattern), String> {
    let form = || format!("`{text}` is no header with a pattern; write \"NAME: PATTERN\"");
    let (name, pattern) = text.split_once(':').ok_or_else(form)?;
    let id = HeaderId::intern(name.trim()).map_err(|error| error.to_string())?;
    Ok((id, pattern.trim().parse().map_err(|error| format!("{error}"))?))
}

/// `/choices/0/finish_reason = stop`
fn parse_json(text: &str) -> Result<JsonExpectation, String> {
    let form = || format!("`{text}` is no value in JSON; write \"/pointer = value\"");
    let (pointer, value) = text.split_once('=').ok_or_else(form)?;
    let (pointer, value) = (pointer.trim(), value.trim());
    if !(pointer.is_empty() || pointer.starts_with('/')) {
        return Err(form());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok(JsonExpectation { pointer: pointer.into(), value })
}

fn parse_reason(text: &str) -> Result<FinishReason, String> {
    let found = FinishReason::ALL.into_iter().find(|reason| reason.label() == text);
    found.ok_or_else(|| {
        let known: Vec<_> = FinishReason::ALL.iter().map(|reason| reason.label()).collect();
        format!("`{text}` is no finish reason; there are: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{service, service_errors};
    use super::*;

    fn only(keys: &str) -> SmokeRequest {
        let smoke = service(&format!("[rollout.smoke.ready]\n{keys}\n")).smoke;
        let [request] = smoke.requests.as_slice() else { panic!("{smoke:?}") };
        request.clone()
    }

    #[test]
    fn a_path_is_enough() {
        let request = only("path = '/health'");
        assert_eq!((request.name.as_str(), &*request.method), ("ready", "GET"));
        assert_eq!((request.timeout, request.expect), (TIMEOUT, Expectations::default()));
        assert_eq!(&*only("path = '/v1/models?limit=1'\nbody = '{}'").method, "POST");
    }

    #[test]
    fn expectations_are_understood_when_the_file_is_read() {
        let expect = only(
            "path = '/x'\n[rollout.smoke.ready.expect]\nstatus = 404\n\
             headers = ['Content-Type: ^application/json']\n\
             json = ['/a = 1', '/b = \"1\"', '/c = stop', '/d = a = b']\ntext = '\"id\"'\n\
             ttft_max = '800ms'\ntotal_max = '2s'\ntokens_min = 3\n\
             finish_reason = ['stop', 'length']",
        )
        .expect;
        assert_eq!(expect.status, Some(404));
        assert_eq!(expect.headers[0].0, HeaderId::CONTENT_TYPE);
        let values: Vec<_> = expect.json.iter().map(|json| json.value.clone()).collect();
        assert_eq!(values, [json!(1), json!("1"), json!("stop"), json!("a = b")]);
        assert_eq!(expect.ttft_max, Some(Duration::from_millis(800)));
        assert_eq!(expect.finish_reasons, [FinishReason::Stop, FinishReason::Length]);
    }

    #[test]
    fn what_cannot_be_expected_is_refused() {
        for (keys, expected) in [
            ("method = 'GET'", ": has no path; write for example path = \"/health\""),
            (
                "path = 'health'",
                ".path: `health` is no path; write for example /health or /v1/models?limit=1",
            ),
            (
                "path = '/a b'",
                ".path: `/a b` is no path; write for example /health or /v1/models?limit=1",
            ),
            (
                "path = '/'\nmethod = 'G T'",
                ".method: `G T` is no method of a request; write for example GET or POST",
            ),
            (
                "path = '/'\nexpect.status = 99",
                ".expect.status: 99 is out of range; write 200 to 599",
            ),
            (
                "path = '/'\nexpect.json = 'a = 1'",
                ".expect.json: `a = 1` is no value in JSON; write \"/pointer = value\"",
            ),
            (
                "path = '/'\nexpect.headers = 'etag'",
                ".expect.headers: `etag` is no header with a pattern; write \"NAME: PATTERN\"",
            ),
            (
                "path = '/'\nexpect.text = '('",
                ".expect.text: `(` is no regular expression: unclosed group; a backslash before a sign takes it as it is",
            ),
            (
                "path = '/'\nexpect.ttft_max = '0s'",
                ".expect.ttft_max: must not be zero; write at least 1ms",
            ),
            (
                "path = '/'\nexpect.finish_reason = 'end'",
                ".expect.finish_reason: `end` is no finish reason; there are: stop, length, tool_calls, filtered, paused, repetition, aborted, other",
            ),
            (
                "path = '/'\nheaders.Host = 'a'",
                ".headers.Host: `Host` belongs to the connection; use the key `host`",
            ),
        ] {
            let errors = service_errors(&format!("[rollout.smoke.ready]\n{keys}\n"));
            assert_eq!(errors, [format!("rollout.smoke.ready{expected}")]);
        }
    }
}
