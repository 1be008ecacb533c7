//! Responses: named and numbered events; a whole response object opens and closes the stream, and
//! `response.completed` is its end, for answers cut by length too, as vLLM has it.

use super::{Identity, Outcome, Script, named};

/// Events before the first delta, so the number of that one.
pub(in super::super) const OPENING_EVENTS: usize = 4;

pub(super) fn script(identity: &Identity) -> Script {
    let response = response(identity, "in_progress", None);
    let id = &identity.id;
    let event = |name: &str, number: usize, fields: &str| {
        named(name, &format!(r#"{{{fields},"sequence_number":{number},"type":"{name}"}}"#))
    };
    let item = format!(
        r#""item":{{"id":"msg_{id}","content":[],"role":"assistant","status":"in_progress","type":"message","phase":null}},"output_index":0"#
    );
    let part = format!(
        r#""content_index":0,"item_id":"msg_{id}","output_index":0,"part":{{"annotations":[],"text":"","type":"output_text","logprobs":[]}}"#
    );
    let response = format!(r#""response":{response}"#);
    let opening: [String; OPENING_EVENTS] = [
        event("response.created", 0, &response),
        event("response.in_progress", 1, &response),
        event("response.output_item.added", 2, &item),
        event("response.content_part.added", 3, &part),
    ];
    Script {
        opening: opening.into(),
        before: "event: response.output_text.delta\ndata: {\"content_index\":0,\"delta\":\""
            .to_owned(),
        after: format!(
            r#"","item_id":"msg_{id}","logprobs":[],"output_index":0,"sequence_number":"#
        ),
        after_number: Some(",\"type\":\"response.output_text.delta\"}\n\n"),
    }
}

pub(super) fn closing(identity: &Identity, end: &Outcome, number: usize) -> Vec<String> {
    let (id, text) = (&identity.id, &end.text);
    let place = format!(r#""content_index":0,"item_id":"msg_{id}","output_index":0"#);
    let item = item(identity, end);
    let response = response(identity, status(end), Some(end));
    let events = [
        ("response.output_text.done", format!(r#"{place},"logprobs":[],"text":"{text}""#)),
        (
            "response.content_part.done",
            format!(
                r#"{place},"part":{{"annotations":[],"text":"{text}","type":"output_text","logprobs":null}}"#
            ),
        ),
        ("response.output_item.done", format!(r#""item":{item},"output_index":0"#)),
        ("response.completed", format!(r#""response":{response}"#)),
    ];
    let numbered = events.iter().zip(number..).map(|((name, fields), number)| {
        named(name, &format!(r#"{{{fields},"sequence_number":{number},"type":"{name}"}}"#))
    });
    numbered.collect()
}

pub(super) fn whole(identity: &Identity, end: &Outcome) -> String {
    response(identity, status(end), Some(end))
}

/// The response object, without output and usage while it is in progress.
fn response(identity: &Identity, status: &str, end: Option<&Outcome>) -> String {
    let Identity { id, created, model, prompt_tokens: input, .. } = identity;
    let cut = end.is_some_and(|end| end.cut_by_length);
    let incomplete = if cut { r#"{"reason":"max_output_tokens"}"# } else { "null" };
    let output = end.map_or_else(|| "[]".to_owned(), |end| format!("[{}]", item(identity, end)));
    let usage = end.map_or_else(
        || "null".to_owned(),
        |Outcome { tokens, .. }| {
            let total = input + tokens;
            format!(
                r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{tokens},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{total}}}"#
            )
        },
    );
    format!(
        r#"{{"id":"resp_{id}","created_at":{created},"incomplete_details":{incomplete},"instructions":null,"metadata":null,"model":"{model}","object":"response","output":{output},"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"none","tools":[],"top_p":1.0,"background":false,"previous_response_id":null,"reasoning":null,"service_tier":"auto","status":"{status}","text":null,"truncation":"disabled","usage":{usage},"user":null}}"#
    )
}

fn item(identity: &Identity, end: &Outcome) -> String {
    let (id, text) = (&identity.id, &end.text);
    format!(
        r#"{{"id":"msg_{id}","content":[{{"annotations":[],"text":"{text}","type":"output_text","logprobs":null}}],"role":"assistant","status":"completed","type":"message","phase":null}}"#
    )
}

fn status(end: &Outcome) -> &'static str {
    if end.cut_by_length { "incomplete" } else { "completed" }
}
