//! The warm-up as keys and values.

use super::{Entry, Shown, entry, free_list, hidden, list, optional, text, time};
use crate::config::size;
use crate::model::mirror::MirrorRule;
use crate::model::plan::warm_up::{AtDeadline, Synthetic, WarmUpRule, WarmUpSpec};

pub(super) fn of_warm_up(warm_up: Option<&WarmUpSpec>) -> Vec<Entry> {
    let mut entries = of_synthetic(warm_up.and_then(|warm_up| warm_up.synthetic.as_ref()));
    let timeout = warm_up.map_or(Shown::Nothing, |warm_up| time(warm_up.timeout));
    entries.push(entry("rollout.warm_up.timeout", timeout));
    entries.extend(of_rule(warm_up.map(|warm_up| &warm_up.rule)));
    entries.extend(of_mirror(warm_up.and_then(|warm_up| warm_up.mirror.as_ref())));
    entries
}

fn of_synthetic(synthetic: Option<&Synthetic>) -> Vec<Entry> {
    let key = |key: &str| format!("rollout.warm_up.{key}");
    let texts = |of: fn(&Synthetic) -> &[std::sync::Arc<str>]| {
        synthetic.map_or(Shown::Nothing, |synthetic| free_list(of(synthetic)))
    };
    let mut entries = vec![
        entry(&key("prompts"), texts(|synthetic| &synthetic.prompts)),
        entry(&key("bodies"), texts(|synthetic| &synthetic.bodies)),
        entry(&key("api"), optional(synthetic.map(|s| s.api.name()))),
        entry(&key("base"), optional(synthetic.map(|s| &s.base))),
        entry(&key("model"), optional(synthetic.and_then(|s| s.model.as_ref()))),
        entry(&key("max_tokens"), optional(synthetic.map(|s| s.tokens))),
        entry(&key("concurrency"), optional(synthetic.map(|s| s.concurrency))),
        entry(&key("requests_per_second"), optional(synthetic.map(|s| s.requests_per_second))),
    ];
    for (id, secret) in synthetic.iter().flat_map(|synthetic| &synthetic.headers) {
        entries.push(entry(&key(&format!("headers.{}", id.name())), hidden(Some(secret))));
    }
    entries
}

fn of_rule(rule: Option<&WarmUpRule>) -> [Entry; 5] {
    let key = |key: &str| format!("rollout.warm_up.{key}");
    let at_deadline = rule.map(|rule| match rule.at_deadline {
        AtDeadline::GoOn => "go-on",
        AtDeadline::Fail => "fail",
    });
    [
        entry(&key("window"), rule.map_or(Shown::Nothing, |rule| time(rule.window))),
        entry(&key("requests_min"), rule.map_or(Shown::Nothing, |rule| text(rule.requests_min))),
        entry(&key("tolerance"), rule.map_or(Shown::Nothing, |rule| text(rule.tolerance))),
        entry(&key("deadline"), rule.map_or(Shown::Nothing, |rule| time(rule.deadline))),
        entry(&key("at_deadline"), optional(at_deadline)),
    ]
}

fn of_mirror(rule: Option<&MirrorRule>) -> [Entry; 6] {
    let key = |key: &str| format!("rollout.warm_up.mirror.{key}");
    let bytes = |rule: &MirrorRule| text(size::print(rule.body_max));
    [
        entry(&key("share"), optional(rule.map(|rule| rule.share))),
        entry(&key("in_flight_max"), optional(rule.map(|rule| rule.in_flight_max))),
        entry(&key("requests_per_second"), optional(rule.map(|rule| rule.requests_per_second))),
        entry(&key("tokens_per_second"), optional(rule.and_then(|rule| rule.tokens_per_second))),
        entry(&key("body_max"), rule.map_or(Shown::Nothing, bytes)),
        entry(&key("paths"), rule.map_or(Shown::Nothing, |rule| list(&rule.paths))),
    ]
}
