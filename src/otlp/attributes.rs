//! Attributes as OTLP has them, and those of the whole process.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Attributes that are collected one after the other; those without a value are left out.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub(super) fn text(&mut self, key: &str, text: impl Into<String>) -> &mut Self {
        self.push(key, Value::StringValue(text.into()))
    }

    pub(super) fn text_if(&mut self, key: &str, text: Option<impl ToString>) -> &mut Self {
        match text {
            Some(text) => self.text(key, text.to_string()),
            None => self,
        }
    }

    pub(super) fn texts_if(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        let Some(text) = text else { return self };
        let value = Some(Value::StringValue(text.to_owned()));
        let values = vec![AnyValue { value }];
        self.push(key, Value::ArrayValue(ArrayValue { values }))
    }

    pub(super) fn whole_if(&mut self, key: &str, number: Option<impl Into<u64>>) -> &mut Self {
        let number = number.and_then(|number| i64::try_from(number.into()).ok());
        match number {
            Some(number) => self.push(key, Value::IntValue(number)),
            None => self,
        }
    }

    /// A fact that is told only where it holds.
    pub(super) fn flag_if(&mut self, key: &str, holds: bool) -> &mut Self {
        if holds { self.push(key, Value::BoolValue(true)) } else { self }
    }

    pub(super) fn finish(&mut self) -> Vec<KeyValue> {
        std::mem::take(&mut self.0)
    }

    fn push(&mut self, key: &str, value: Value) -> &mut Self {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
        self
    }
}

/// This process.
pub(super) fn resource() -> Resource {
    let attributes = Attributes::default()
        .text("service.name", "cyan")
        .text("service.version", env!("CARGO_PKG_VERSION"))
        .whole_if("process.pid", Some(std::process::id()))
        .finish();
    Resource { attributes, ..Resource::default() }
}

/// Who measured.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "cyan".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
