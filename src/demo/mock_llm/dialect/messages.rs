//! Anthropic Messages: named events, usage always, `message_stop` at the end and no `[DONE]`.

use super::{Identity, Outcome, Script, named};

pub(super) fn script(identity: &Identity) -> Script {
    let Identity { id, model, prompt_tokens, .. } = identity;
    let start = format!(
        r#"{{"type":"message_start","message":{{"id":"msg_{id}","type":"message","role":"assistant","content":[],"model":"{model}","stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":{prompt_tokens},"output_tokens":0}}}}}}"#
    );
    let block =
        r#"{"type":"content_block_start","content_block":{"type":"text","text":""},"index":0}"#;
    Script {
        opening: vec![named("message_start", &start), named("content_block_start", block)],
        before: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\
                 \"delta\":{\"type\":\"text_delta\",\"text\":\""
            .to_owned(),
        after: "\"},\"index\":0}\n\n".to_owned(),
        after_number: None,
    }
}

pub(super) fn closing(identity: &Identity, end: &Outcome) -> Vec<String> {
    let (input, output, reason) = (identity.prompt_tokens, end.tokens, stop_reason(end));
    let delta = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"input_tokens":{input},"output_tokens":{output}}}}}"#
    );
    vec![
        named("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
        named("message_delta", &delta),
        named("message_stop", r#"{"type":"message_stop"}"#),
    ]
}

pub(super) fn whole(identity: &Identity, end: &Outcome) -> String {
    let Identity { id, model, prompt_tokens, .. } = identity;
    let (text, reason, output) = (&end.text, stop_reason(end), end.tokens);
    format!(
        r#"{{"id":"msg_{id}","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}],"model":"{model}","stop_reason":"{reason}","stop_sequence":null,"usage":{{"input_tokens":{prompt_tokens},"output_tokens":{output}}}}}"#
    )
}

fn stop_reason(end: &Outcome) -> &'static str {
    if end.cut_by_length { "max_tokens" } else { "end_turn" }
}
