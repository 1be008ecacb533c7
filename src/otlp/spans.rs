//! One span per exchange, by the semantic conventions for HTTP servers and for generative AI.
//!
//! What clients choose freely stands in attributes only: the span's name has the path where Cyan knows
//! the API behind it, and is the method elsewhere, so that names stay few.
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>,
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::attributes::Attributes;
use crate::metrics::exchange_record::ExchangeRecord;
use crate::model::answer::FinishReason;
use crate::model::api::Api;
use crate::model::standing::Standing;
use crate::model::trace_context::TraceContext;
use crate::model::verdict::Verdict;

/// The methods that the conventions know.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/// A path that generates nothing, and which all clients ask for all the same.
const MODELS: &str = "/v1/models";
/// Flag of a span: the next bit tells whether its parent is remote.
const HAS_IS_REMOTE: u32 = 0x100;
/// Flag of a span: its parent is remote.
const IS_REMOTE: u32 = 0x200;

/// The span of an exchange in its trace.
pub(super) fn span(record: &ExchangeRecord, context: &TraceContext) -> Span {
    let start = record.ended_at.checked_sub(record.total).unwrap_or(UNIX_EPOCH);
    let parent = context.parent.map(|parent| parent.get().to_be_bytes().to_vec());
    let remote = if parent.is_some() { IS_REMOTE } else { 0 };
    Span {
        trace_id: context.trace.get().to_be_bytes().to_vec(),
        span_id: record.exchange.to_be_bytes().to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        flags: u32::from(context.is_sampled) | HAS_IS_REMOTE | remote,
        name: name(record),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(record.ended_at),
        attributes: attributes(record),
        events: events(record, start),
        status: Some(status(record)),
        ..Span::default()
    }
}

fn name(record: &ExchangeRecord) -> String {
    let Some((method, path)) = record.target.as_deref() else { return "HTTP".to_owned() };
    let method = if METHODS.contains(&method.as_str()) { method } else { "HTTP" };
    match known_part(path) {
        None => method.to_owned(),
        Some(path) => format!("{method} {path}"),
    }
}

/// The end of the path that may stand in a name: by which Cyan knows the API, or the one of models.
fn known_part(path: &str) -> Option<&str> {
    let is_models = path.strip_suffix('/').unwrap_or(path).ends_with(MODELS);
    if is_models { Some(MODELS) } else { Api::known_part(path) }
}

fn attributes(record: &ExchangeRecord) -> Vec<KeyValue> {
    let mut attributes = Attributes::default();
    if let Some((method, path)) = record.target.as_deref() {
        let is_known = METHODS.contains(&method.as_str());
        attributes
            .text("http.request.method", if is_known { method } else { "_OTHER" })
            .text_if("http.request.method_original", (!is_known).then_some(method))
            .text("url.path", path)
            .text_if("gen_ai.operation.name", operation(method, path));
    }
    attributes
        .whole_if("http.response.status_code", (record.status > 0).then_some(record.status))
        .text_if("error.type", is_error(record).then(|| record.verdict.label()))
        .text_if("client.address", record.client)
        .whole_if("http.request.body.size", Some(record.request_bytes))
        .whole_if("http.response.body.size", Some(record.response_bytes))
        .whole_if("rpc.grpc.status_code", record.grpc_status)
        .whole_if("gen_ai.usage.input_tokens", record.tokens.input)
        .whole_if("gen_ai.usage.cache_read.input_tokens", record.tokens.cached)
        .whole_if("gen_ai.usage.output_tokens", record.tokens.output)
        .texts_if("gen_ai.response.finish_reasons", record.finish.map(FinishReason::label))
        .text_if("cyan.service", record.service.as_ref())
        .text_if("cyan.environment", record.environment.as_ref())
        .text_if("cyan.served_by", record.served_by.as_ref())
        .text_if("cyan.upstream", record.upstream.as_ref())
        .text_if("cyan.sticky", record.sticky.as_ref())
        .text("cyan.verdict", record.verdict.label())
        .text_if("cyan.reason", record.refused)
        .text("cyan.request_id", &*record.request_id)
        .flag_if("cyan.tokens.output.estimated", record.tokens.is_output_estimated)
        .flag_if("cyan.stream", record.is_stream)
        .flag_if("cyan.forced", record.is_forced)
        .flag_if("cyan.client_retry", record.is_client_retry)
        .flag_if("cyan.replayed", record.was_replayed)
        .finish()
}

/// What a model is asked to do; `None` for what no model is asked.
fn operation(method: &str, path: &str) -> Option<&'static str> {
    match Api::of(method, path) {
        Api::Ollama if known_part(path).is_some_and(|part| part.ends_with("/generate")) => {
            Some("text_completion")
        }
        Api::Chat | Api::Responses | Api::Messages | Api::Ollama => Some("chat"),
        Api::Completions => Some("text_completion"),
        Api::Embeddings => Some("embeddings"),
        Api::Other => None,
    }
}

/// The moments in between.
fn events(record: &ExchangeRecord, start: SystemTime) -> Vec<Event> {
    let event = |name: &str, after: Option<Duration>| {
        let time_unix_nano = nanos(start + after?);
        Some(Event { time_unix_nano, name: name.to_owned(), ..Event::default() })
    };
    let moments = [
        event("cyan.response_head", record.response_head),
        event("cyan.first_content", record.ttft),
    ];
    moments.into_iter().flatten().collect()
}

fn status(record: &ExchangeRecord) -> Status {
    if !is_error(record) {
        return Status::default();
    }
    let message = match record.refused {
        Some(reason) => format!("{}: {reason}", record.verdict.label()),
        None => record.verdict.label().to_owned(),
    };
    Status { message, code: StatusCode::Error.into() }
}

/// Whether the server failed. By the conventions a 4xx is the client's error and not the span's, and so
/// is a client that left.
fn is_error(record: &ExchangeRecord) -> bool {
    let is_refusal = record.verdict == Verdict::Shed && record.status >= 500;
    is_refusal || Standing::of(record.verdict, record.status) == Standing::Bad
}

/// A moment as OTLP writes it.
pub(super) fn nanos(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    use super::*;
    use crate::metrics::exchange_record::specimen;

    fn of(record: &ExchangeRecord) -> Span {
        span(record, &record.trace.unwrap())
    }

    fn with(method: &str, path: &str) -> ExchangeRecord {
        let target = Some(Box::new((method.to_owned(), path.to_owned())));
        ExchangeRecord { target, ..specimen() }
    }

    #[test]
    fn a_span_lies_where_the_exchange_was() {
        let span = of(&specimen());
        assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
        assert_eq!(span.span_id, [0, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!(span.parent_span_id[..2], [0xb7, 0xad]);
        let ms = |nanos: u64| nanos / 1_000_000;
        assert_eq!(ms(span.end_time_unix_nano), 1_795_270_867_042);
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 150_000_000);
        let after = |event: &Event| (event.time_unix_nano - span.start_time_unix_nano) / 1000;
        let events: Vec<_> = span.events.iter().map(|e| (e.name.as_str(), after(e))).collect();
        assert_eq!(events, [("cyan.response_head", 10_000), ("cyan.first_content", 12_345)]);
    }

    #[test]
    fn names_are_few_whatever_clients_ask_for() {
        for (method, path, expected) in [
            ("POST", "/v1/chat/completions", "POST /v1/chat/completions"),
            ("POST", "/tenant-7/v1/messages/", "POST /v1/messages"),
            ("POST", "/api/chat", "POST /api/chat"),
            ("POST", "/completion", "POST /completion"),
            ("POST", "/v1/a/b/chat/completions", "POST /chat/completions"),
            ("GET", "/v1/models", "GET /v1/models"),
            ("GET", "/u/8231/avatar", "GET"),
            ("BREW", "/v1/chat/completions", "HTTP /v1/chat/completions"),
        ] {
            assert_eq!(of(&with(method, path)).name, expected);
        }
    }

    #[test]
    fn attributes_follow_the_conventions() {
        let span = of(&specimen());
        let value = |key: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
            found.value.as_ref()?.value.clone()
        };
        let text = |text: &str| Some(Value::StringValue(text.to_owned()));
        assert_eq!(value("http.request.method"), text("POST"));
        assert_eq!(value("url.path"), text("/v1/chat/completions"));
        assert_eq!(value("http.response.status_code"), Some(Value::IntValue(200)));
        assert_eq!(value("gen_ai.operation.name"), text("chat"));
        assert_eq!(value("gen_ai.usage.input_tokens"), Some(Value::IntValue(20)));
        assert_eq!(value("gen_ai.usage.output_tokens"), Some(Value::IntValue(7)));
        assert_eq!(value("cyan.environment"), text("green"));
        assert_eq!(value("cyan.verdict"), text("complete"));
        assert_eq!(value("error.type"), None);
    }

    #[test]
    fn only_what_the_server_did_wrong_is_an_error() {
        for (verdict, status, is_error) in [
            (Verdict::Complete, 200, false),
            (Verdict::HttpError, 404, false),
            (Verdict::HttpError, 503, true),
            (Verdict::Truncated, 200, true),
            (Verdict::ClientGone, 200, false),
            (Verdict::Shed, 400, false),
            (Verdict::Shed, 503, true),
        ] {
            let span = of(&ExchangeRecord { status, verdict, ..specimen() });
            let code = span.status.as_ref().unwrap().code;
            assert_eq!(code == i32::from(StatusCode::Error), is_error, "{verdict:?} {status}");
            let has_type = span.attributes.iter().any(|a| a.key == "error.type");
            assert_eq!(has_type, is_error, "{verdict:?} {status}");
        }
    }
}
