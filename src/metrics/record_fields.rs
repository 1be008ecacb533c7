//! The fields in which one exchange is told: to the access log, and to whoever watches live.
//!
//! One list for every surface, so that a field has one name, one unit and one place. Fields are only
//! ever added. What a client may choose (its request id, method and path) is text here and is escaped
//! where it is printed (`record_text`); queries, bodies, credentials and sticky keys are not in a
//! record at all. `docs/reference/access-log.md` describes each, and a test holds it against this list.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use super::exchange_record::ExchangeRecord;
use crate::model::answer::FinishReason;
use crate::model::name::Name;
use crate::model::rfc3339;

/// One field of a record.
#[derive(Debug)]
pub struct Field {
    /// Its name in every format; units stand last.
    pub name: &'static str,
    /// What a record has for it.
    pub value: for<'r> fn(&'r ExchangeRecord) -> Value<'r>,
}

/// What a record has for a field.
#[derive(Debug, PartialEq)]
pub enum Value<'r> {
    /// Nothing: it was not measured, or there was no such thing.
    Absent,
    /// A text, which may come from a client.
    Text(Cow<'r, str>),
    /// A count or a code.
    Whole(u64),
    /// A time, printed in milliseconds.
    Time(Duration),
    /// Yes or no.
    Flag(bool),
}

/// Every field, in the order in which they are printed.
#[rustfmt::skip] // a field a line
pub const FIELDS: &[Field] = &[
    Field { name: "time", value: |r| Value::Text(time(r).into()) },
    Field { name: "request_id", value: |r| text(&r.request_id) },
    Field { name: "exchange", value: |r| Value::Text(format!("{:016x}", r.exchange).into()) },
    Field { name: "service", value: |r| name(r.service.as_ref()) },
    Field { name: "environment", value: |r| name(r.environment.as_ref()) },
    Field { name: "served_by", value: |r| name(r.served_by.as_ref()) },
    Field { name: "upstream", value: |r| optional(r.upstream.as_deref()) },
    Field { name: "sticky", value: |r| optional(r.sticky.as_deref()) },
    Field { name: "forced", value: |r| Value::Flag(r.is_forced) },
    Field { name: "client_retry", value: |r| Value::Flag(r.is_client_retry) },
    Field { name: "replayed", value: |r| Value::Flag(r.was_replayed) },
    Field { name: "client", value: |r| r.client.map_or(Value::Absent, |a| Value::Text(a.to_string().into())) },
    Field { name: "method", value: |r| optional(r.target.as_ref().map(|target| &*target.0)) },
    Field { name: "path", value: |r| optional(r.target.as_ref().map(|target| &*target.1)) },
    Field { name: "status", value: |r| whole((r.status > 0).then_some(r.status)) },
    Field { name: "verdict", value: |r| text(r.verdict.label()) },
    Field { name: "reason", value: |r| optional(r.refused) },
    Field { name: "problem", value: |r| optional(r.problem.as_deref()) },
    Field { name: "stream", value: |r| Value::Flag(r.is_stream) },
    Field { name: "finish", value: |r| optional(r.finish.map(FinishReason::label)) },
    Field { name: "inspection", value: |r| text(r.inspection.label()) },
    Field { name: "tokens_in", value: |r| whole(r.tokens.input) },
    Field { name: "tokens_cached", value: |r| whole(r.tokens.cached) },
    Field { name: "tokens_out", value: |r| whole(r.tokens.output) },
    Field { name: "tokens_out_estimated", value: |r| r.tokens.output.map_or(Value::Absent, |_| Value::Flag(r.tokens.is_output_estimated)) },
    Field { name: "connect_ms", value: |r| duration(r.connect) },
    Field { name: "response_head_ms", value: |r| duration(r.response_head) },
    Field { name: "ttft_ms", value: |r| duration(r.ttft) },
    Field { name: "gap_max_ms", value: |r| duration(r.gap_max) },
    Field { name: "tpot_ms", value: |r| duration(r.tpot) },
    Field { name: "total_ms", value: |r| Value::Time(r.total) },
    Field { name: "request_bytes", value: |r| Value::Whole(r.request_bytes) },
    Field { name: "response_bytes", value: |r| Value::Whole(r.response_bytes) },
    Field { name: "close_code", value: |r| whole(r.close_code) },
    Field { name: "grpc_status", value: |r| whole(r.grpc_status) },
    Field { name: "trace_id", value: |r| r.trace.map_or(Value::Absent, |t| Value::Text(format!("{:032x}", t.trace).into())) },
];

/// When the exchange ended, as RFC 3339 writes it.
pub fn time(record: &ExchangeRecord) -> String {
    let since = record.ended_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339::format(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.into())
}

fn optional(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, self::text)
}

fn name(name: Option<&Name>) -> Value<'_> {
    optional(name.map(Name::as_str))
}

fn whole<'r>(number: Option<impl Into<u64>>) -> Value<'r> {
    number.map_or(Value::Absent, |number| Value::Whole(number.into()))
}

fn duration<'r>(duration: Option<Duration>) -> Value<'r> {
    duration.map_or(Value::Absent, Value::Time)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_field_is_documented_in_its_place() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/access-log.md");
        let page = std::fs::read_to_string(page).unwrap();
        let documented: Vec<_> =
            page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let listed: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(documented, listed);
    }
}
