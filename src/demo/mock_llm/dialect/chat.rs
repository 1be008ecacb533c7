//! Chat Completions: `data:` events, a role before the first content, `[DONE]` at the end.

use super::{DONE, Identity, Outcome, Script, data};

pub(super) fn script(identity: &Identity) -> Script {
    let head = head(identity, "chat.completion.chunk");
    let role = format!(
        r#"{head},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}],"prompt_token_ids":null}}"#
    );
    Script {
        opening: vec![data(&role)],
        before: format!(r#"data: {head},"choices":[{{"index":0,"delta":{{"content":""#),
        after: "\"},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}]}\n\n".to_owned(),
        after_number: None,
    }
}

pub(super) fn closing(identity: &Identity, end: &Outcome) -> Vec<String> {
    let head = head(identity, "chat.completion.chunk");
    let reason = finish_reason(end);
    let finish = format!(
        r#"{head},"choices":[{{"index":0,"delta":{{"content":""}},"logprobs":null,"finish_reason":"{reason}","stop_reason":null,"token_ids":null}}]}}"#
    );
    let mut events = vec![data(&finish)];
    if identity.include_usage {
        let usage = usage(identity, end);
        events.push(data(&format!(r#"{head},"choices":[],"usage":{usage}}}"#)));
    }
    events.push(DONE.to_owned());
    events
}

pub(super) fn whole(identity: &Identity, end: &Outcome) -> String {
    let head = head(identity, "chat.completion");
    let (text, reason, usage) = (&end.text, finish_reason(end), usage(identity, end));
    format!(
        r#"{head},"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null}},"logprobs":null,"finish_reason":"{reason}","stop_reason":null,"token_ids":null}}],"service_tier":null,"system_fingerprint":"mock-llm","usage":{usage},"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}}"#
    )
}

/// The object without its closing brace, up to the field that differs.
fn head(identity: &Identity, object: &str) -> String {
    let Identity { id, created, model, .. } = identity;
    format!(r#"{{"id":"chatcmpl-{id}","object":"{object}","created":{created},"model":"{model}""#)
}

pub(super) fn finish_reason(end: &Outcome) -> &'static str {
    if end.cut_by_length { "length" } else { "stop" }
}

pub(super) fn usage(identity: &Identity, end: &Outcome) -> String {
    let (prompt, answer) = (identity.prompt_tokens, end.tokens);
    let total = prompt + answer;
    format!(
        r#"{{"prompt_tokens":{prompt},"total_tokens":{total},"completion_tokens":{answer},"prompt_tokens_details":null}}"#
    )
}
