//! Completions, the older form of Chat Completions: plain text in, plain text out, no role.

use super::chat::{finish_reason, usage};
use super::{DONE, Identity, Outcome, Script, data};

pub(super) fn script(identity: &Identity) -> Script {
    let head = head(identity);
    Script {
        opening: Vec::new(),
        before: format!(r#"data: {head},"choices":[{{"index":0,"text":""#),
        after: "\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null,\
                \"prompt_token_ids\":null,\"token_ids\":null}]}\n\n"
            .to_owned(),
        after_number: None,
    }
}

pub(super) fn closing(identity: &Identity, end: &Outcome) -> Vec<String> {
    let head = head(identity);
    let reason = finish_reason(end);
    let finish = format!(
        r#"{head},"choices":[{{"index":0,"text":"","logprobs":null,"finish_reason":"{reason}","stop_reason":null,"prompt_token_ids":null,"token_ids":null}}]}}"#
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
    let head = head(identity);
    let (text, reason, usage) = (&end.text, finish_reason(end), usage(identity, end));
    format!(
        r#"{head},"choices":[{{"index":0,"text":"{text}","logprobs":null,"finish_reason":"{reason}","stop_reason":null,"token_ids":null,"prompt_logprobs":null,"prompt_token_ids":null}}],"service_tier":null,"system_fingerprint":"mock-llm","usage":{usage},"kv_transfer_params":null}}"#
    )
}

/// The object without its closing brace, up to the choices.
fn head(identity: &Identity) -> String {
    let Identity { id, created, model, .. } = identity;
    format!(
        r#"{{"id":"cmpl-{id}","object":"text_completion","created":{created},"model":"{model}""#
    )
}
