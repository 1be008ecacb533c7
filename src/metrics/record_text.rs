//! A record as a line of text: JSON, or logfmt.
//!
//! A line is one line whatever a client wrote into its id or path: quotes, backslashes and everything
//! that a terminal, a line reader or a log shipper could take for more than text is escaped. Beyond
//! what JSON demands that is DEL, the C1 controls, the line separators of Unicode and the marks that
//! turn the direction of a text.

use super::exchange_record::ExchangeRecord;
use super::record_fields::{FIELDS, Value};
use crate::model::printable::is_printable;

/// Appends the record as a JSON object without a newline. Every field is there; absent ones are null.
pub fn json(record: &ExchangeRecord, line: &mut String) {
    for (index, field) in FIELDS.iter().enumerate() {
        line.push_str(if index == 0 { "{\"" } else { ",\"" });
        line.push_str(field.name);
        line.push_str("\":");
        match (field.value)(record) {
            Value::Absent => line.push_str("null"),
            Value::Text(text) => quote(&text, line),
            plain => bare(&plain, line),
        }
    }
    line.push('}');
}

/// Appends the record as `key=value` pairs without a newline. Absent fields are left out; a text is
/// quoted where it could be read as something else.
pub fn logfmt(record: &ExchangeRecord, line: &mut String) {
    for field in FIELDS {
        let value = (field.value)(record);
        if value == Value::Absent {
            continue;
        }
        if !line.is_empty() && !line.ends_with('\n') {
            line.push(' ');
        }
        line.push_str(field.name);
        line.push('=');
        match value {
            Value::Text(text) if needs_quotes(&text) => quote(&text, line),
            Value::Text(text) => line.push_str(&text),
            plain => bare(&plain, line),
        }
    }
}

/// What needs no escape, whatever it is.
fn bare(value: &Value<'_>, line: &mut String) {
    match value {
        Value::Absent | Value::Text(_) => {}
        Value::Whole(number) => line.push_str(&number.to_string()),
        Value::Flag(flag) => line.push_str(if *flag { "true" } else { "false" }),
        Value::Time(time) => {
            let us = time.as_micros();
            line.push_str(&format!("{}.{:03}", us / 1000, us % 1000));
        }
    }
}

/// The text in quotes, in the escapes of JSON.
fn quote(text: &str, line: &mut String) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            unsafe_one if !is_printable(unsafe_one) => {
                line.push_str(&format!("\\u{:04x}", u32::from(unsafe_one)));
            }
            plain => line.push(plain),
        }
    }
    line.push('"');
}

fn needs_quotes(text: &str) -> bool {
    let is_special =
        |c: char| matches!(c, ' ' | '=' | '"' | '\\') || !is_printable(c) || !c.is_ascii();
    text.is_empty() || text.chars().any(is_special)
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::super::exchange_record::specimen;
    use super::*;

    fn parsed(record: &ExchangeRecord) -> Json {
        let mut line = String::new();
        json(record, &mut line);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[test]
    fn json_has_every_field_and_null_for_what_is_absent() {
        let mut record = specimen();
        let full = parsed(&record);
        assert!(full.as_object().unwrap().values().all(|value| !value.is_null()), "{full}");
        assert_eq!(full["ttft_ms"], 12.345);
        assert_eq!(full["exchange"], "00000000000000ff");
        record.ttft = None;
        record.target = None;
        record.status = 0;
        let sparse = parsed(&record);
        for field in ["ttft_ms", "method", "path", "status"] {
            assert!(sparse.get(field).is_some_and(Json::is_null), "{field}");
        }
        assert_eq!(sparse.as_object().unwrap().len(), FIELDS.len());
    }

    #[test]
    fn logfmt_leaves_out_what_is_absent() {
        let mut record = specimen();
        record.ttft = None;
        let mut line = String::new();
        logfmt(&record, &mut line);
        assert!(line.starts_with("time=2026-11-21T14:21:07.042Z request_id=r-1 "), "{line}");
        assert!(line.contains(" method=POST path=/v1/chat/completions status=200 "), "{line}");
        assert!(!line.contains("ttft_ms"), "{line}");
    }

    #[test]
    fn nothing_a_client_writes_leaves_its_value() {
        let evil = [
            "/a\nverdict=complete",
            "/a\r\n{\"verdict\":\"complete\"}",
            "/\" forced=true \"",
            "/\\\" x",
            "/\u{1b}[2J\u{7f}\u{9b}31m",
            "/\u{2028}\u{202e}gnp.exe",
            "/ä b=c",
            "",
            "/\u{0}",
        ];
        for path in evil {
            let mut record = specimen();
            record.target = Some(Box::new(("GET".to_owned(), path.to_owned())));
            assert_eq!(parsed(&record)["path"], path);
            for print in [json, logfmt] {
                let mut line = String::new();
                print(&record, &mut line);
                assert!(line.chars().all(is_printable), "{line:?}");
            }
            let mut line = String::new();
            logfmt(&record, &mut line);
            let (_, rest) = line.split_once(" path=").unwrap();
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            assert_eq!(values.next().unwrap().unwrap(), path, "{line}");
            assert!(rest[values.byte_offset()..].starts_with(" status="), "{line}");
        }
    }
}
