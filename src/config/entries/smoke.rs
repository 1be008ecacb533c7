//! Smoke tests as keys and values.

use super::hooks::of_receivers;
use super::{Entry, Shown, entry, free, free_list, hidden, list, optional, text, time};
use crate::model::plan::smoke::{
    Expectations, JsonExpectation, Pattern, ProbeApi, Probes, SmokeHook, SmokeRequest, SmokeSpec,
};

pub(super) fn of_smoke(smoke: &SmokeSpec) -> Vec<Entry> {
    let mut entries: Vec<Entry> = smoke.requests.iter().flat_map(of_request).collect();
    entries.extend(smoke.probes.iter().flat_map(of_probes));
    entries.extend(smoke.hooks.iter().flat_map(of_hook));
    entries
}

fn of_request(request: &SmokeRequest) -> Vec<Entry> {
    let table = format!("rollout.smoke.{}", request.name);
    let key = |key: &str| format!("{table}.{key}");
    let mut entries = vec![
        entry(&key("method"), text(&request.method)),
        entry(&key("path"), free(Some(&request.path))),
        entry(&key("body"), free(request.body.as_ref())),
        entry(&key("timeout"), time(request.timeout)),
    ];
    for (id, secret) in &request.headers {
        entries.push(entry(&key(&format!("headers.{}", id.name())), hidden(Some(secret))));
    }
    entries.extend(of_expectations(&key("expect"), &request.expect));
    entries
}

fn of_expectations(table: &str, expect: &Expectations) -> [Entry; 8] {
    let key = |key: &str| format!("{table}.{key}");
    let limit = |limit: Option<_>| limit.map_or(Shown::Nothing, time);
    let headers = expect.headers.iter();
    let headers = headers.map(|(id, pattern)| format!("{}: {}", id.name(), pattern.as_str()));
    let json =
        |JsonExpectation { pointer, value }: &JsonExpectation| format!("{pointer} = {value}");
    [
        entry(&key("status"), optional(expect.status)),
        entry(&key("headers"), free_list(headers)),
        entry(&key("json"), free_list(expect.json.iter().map(json))),
        entry(&key("text"), free(expect.text.as_ref().map(Pattern::as_str))),
        entry(&key("ttft_max"), limit(expect.ttft_max)),
        entry(&key("total_max"), limit(expect.total_max)),
        entry(&key("tokens_min"), optional(expect.tokens_min)),
        entry(
            &key("finish_reason"),
            list(expect.finish_reasons.iter().map(|reason| reason.label())),
        ),
    ]
}

fn of_probes(probes: &Probes) -> Vec<Entry> {
    let key = |key: &str| format!("rollout.probes.{key}");
    let mut entries = vec![
        entry(&key("apis"), list(probes.apis.iter().copied().map(ProbeApi::name))),
        entry(&key("base"), text(&probes.base)),
        entry(&key("model"), optional(probes.model.as_ref())),
        entry(&key("prompt"), free(Some(&probes.prompt))),
        entry(&key("tokens"), text(probes.tokens)),
        entry(&key("timeout"), time(probes.timeout)),
        entry(&key("ttft_max"), probes.ttft_max.map_or(Shown::Nothing, time)),
    ];
    for (id, secret) in &probes.headers {
        entries.push(entry(&key(&format!("headers.{}", id.name())), hidden(Some(secret))));
    }
    entries
}

fn of_hook(hook: &SmokeHook) -> [Entry; 3] {
    let key = |key: &str| format!("rollout.smoke_hooks.{}.{key}", hook.name);
    let [exec, url] = of_receivers(&hook.receivers);
    [entry(&key("exec"), exec), entry(&key("url"), url), entry(&key("timeout"), time(hook.timeout))]
}
