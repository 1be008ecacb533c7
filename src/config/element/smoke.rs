//! `[service.NAME.rollout]`, the part about smoke tests: `smoke.NAME`, `probes`, `smoke_hooks.NAME`.

use std::sync::Arc;
use std::time::Duration;

use super::super::reader::Section;
use super::{probes, receiver, smoke_request};
use crate::model::name::Name;
use crate::model::plan::smoke::{SmokeHook, SmokeSpec};

/// Most tests of a kind: each is run against every upstream, within one limit on time.
const TESTS_MAX: usize = 64;

/// An evaluation takes its time; a smoke test should not take this long.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// The smoke tests of the service whose table `rollout` this is.
pub(super) fn read(rollout: &Section<'_>) -> Arc<SmokeSpec> {
    let requests = named(rollout, "smoke").into_iter();
    let hooks = named(rollout, "smoke_hooks").into_iter();
    Arc::new(SmokeSpec {
        requests: requests.filter_map(|(name, test)| smoke_request::read(name, &test)).collect(),
        probes: probes::read(&rollout.section("probes")),
        hooks: hooks.filter_map(|(name, hook)| read_hook(name, &hook)).collect(),
    })
}

fn named<'a>(rollout: &Section<'a>, key: &str) -> Vec<(Name, Section<'a>)> {
    let tests = rollout.named_sections(key);
    if tests.len() > TESTS_MAX {
        let sentence = format!("{} tests; write at most {TESTS_MAX}", tests.len());
        rollout.reader.error(&rollout.place_of(key), sentence);
    }
    tests
}

fn read_hook(name: Name, section: &Section<'_>) -> Option<SmokeHook> {
    let timeout = section.duration("timeout", HOOK_TIMEOUT);
    Some(SmokeHook { name, receivers: receiver::read(section)?, timeout })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};
    use super::*;
    use crate::model::hook::Receiver;

    #[test]
    fn hooks_are_programs_web_addresses_or_both() {
        let smoke = service(
            "rollout.smoke_hooks.own = { exec = ['./check', '--fast'], url = 'http://h:1/x' }",
        )
        .smoke;
        let [hook] = smoke.hooks.as_slice() else { panic!("{smoke:?}") };
        assert_eq!((hook.name.as_str(), hook.timeout), ("own", Duration::from_secs(30)));
        let [Receiver::Program(arguments), Receiver::Web(address)] = hook.receivers.as_slice()
        else {
            panic!("{hook:?}")
        };
        assert_eq!(arguments.to_string(), "./check --fast");
        assert_eq!((address.to_string().as_str(), &*address.path), ("http://h:1", "/x"));
        assert!(service("").smoke.is_empty() && !smoke.is_empty());
    }

    #[test]
    fn a_hook_without_a_receiver_is_refused() {
        let sentence = "has nobody to tell; write exec = [\"/usr/bin/program\", \"argument\"] or url = \"https://…\"";
        for (text, expected) in [
            ("rollout.smoke_hooks.own = {}", format!("rollout.smoke_hooks.own: {sentence}")),
            (
                "rollout.smoke_hooks.own.exec = []",
                "rollout.smoke_hooks.own.exec: names no program; write one and its arguments, e.g. [\"python3\", \"evaluate.py\"]".into(),
            ),
            (
                "rollout.smoke_hooks.own.url = 'h/with/key'",
                "rollout.smoke_hooks.own.url: is no address; write http://HOST:PORT/PATH or https://HOST/PATH, without a password".into(),
            ),
        ] {
            assert_eq!(service_errors(text), [expected]);
        }
    }
}
