//! `[hooks.NAME]`: who is told what happens.

use std::time::Duration;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::receiver;
use crate::model::hook::{HookFormat, HookSpec, Receiver};
use crate::model::name::Name;
use crate::model::occasion::Occasion;
use crate::model::service::ServiceSpec;

/// Most hooks; one event goes to each of them.
const HOOKS_MAX: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: u32 = 3;
/// A signature is worth what its key is: shorter ones can be guessed offline.
const SECRET_CHARS_MIN: usize = 16;

/// A hook, and where its services are written.
pub(super) struct PlacedHook<'a> {
    pub(super) spec: HookSpec,
    section: Section<'a>,
}

/// The hooks at the top of the file.
pub(super) fn read<'a>(root: &Section<'a>) -> Vec<PlacedHook<'a>> {
    let hooks = root.named_sections("hooks");
    if hooks.len() > HOOKS_MAX {
        let sentence = format!("{} hooks; write at most {HOOKS_MAX}", hooks.len());
        root.reader.error(&root.place_of("hooks"), sentence);
    }
    let hooks = hooks.into_iter();
    hooks
        .filter_map(|(name, section)| Some(PlacedHook { spec: read_one(name, &section)?, section }))
        .collect()
}

/// Refuses hooks that are told of services that there are not.
pub(super) fn check_services(hooks: &[PlacedHook<'_>], services: &[ServiceSpec]) {
    for hook in hooks {
        for name in &hook.spec.services {
            if services.iter().all(|service| service.name != *name) {
                let known: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
                let sentence = format!("unknown service `{name}`; there are: {}", known.join(", "));
                hook.section.reader.error(&hook.section.place_of("services"), sentence);
            }
        }
    }
}

fn read_one(name: Name, section: &Section<'_>) -> Option<HookSpec> {
    let on = read_occasions(section);
    let secret = section.secret("secret");
    if secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_CHARS_MIN) {
        let sentence = "must have at least 16 characters; make one with `openssl rand -hex 32`";
        section.reader.error(&section.place_of("secret"), sentence);
    }
    let format = section.value("format", Kind::Text).and_then(|v| v.with_text(parse_format));
    let services = read_services(section);
    let timeout = section.duration("timeout", TIMEOUT);
    let retries = section.whole("retries", 0..=10).unwrap_or(RETRIES);
    let receivers = receiver::read(section)?;
    let has_address = receivers.iter().any(|receiver| matches!(receiver, Receiver::Web(_)));
    if let Some(key) = ["format", "secret"].into_iter().find(|key| section.has(key) && !has_address)
    {
        let sentence =
            format!("`{key}` is for a url, and there is none; write url, or leave it out");
        section.reader.error(&section.place_of(key), sentence);
    }
    let format = format.unwrap_or_default();
    Some(HookSpec { name, on, services, receivers, format, secret, timeout, retries })
}

fn read_occasions(section: &Section<'_>) -> Vec<Occasion> {
    let known = || Occasion::ALL.map(Occasion::name).join(", ");
    let mut on = Vec::new();
    for (place, text) in section.texts("on") {
        match Occasion::ALL.into_iter().find(|occasion| occasion.name() == text) {
            Some(occasion) => on.push(occasion),
            None => {
                let sentence = format!("unknown occasion `{text}`; there are: {}", known());
                section.reader.error(&place, sentence);
            }
        }
    }
    let value = section.value("on", Kind::Texts);
    if value.is_none_or(|value| value.is_empty_list()) {
        let sentence = format!("is told of nothing; write on = [\"rolled_back\"], of: {}", known());
        section.reader.error(&section.place, sentence);
    }
    on
}

fn read_services(section: &Section<'_>) -> Vec<Name> {
    let name = |(place, text): (_, String)| {
        Name::new(&text).map_err(|error| section.reader.error(&place, error)).ok()
    };
    section.texts("services").into_iter().filter_map(name).collect()
}

fn parse_format(text: &str) -> Result<HookFormat, String> {
    let found = [HookFormat::Json, HookFormat::Slack].into_iter().find(|f| f.name() == text);
    found.ok_or_else(|| format!("`{text}` is no format; write json or slack"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{config, errors};
    use super::*;

    const SERVED: &str =
        "listen.http = '127.0.0.1:80'\nenvironment.blue.upstreams = 'http://h:1'\n";

    #[test]
    fn a_hook_is_told_of_its_occasions_and_services() {
        let hooks = config(&format!(
            "{SERVED}[hooks.scale]\non = ['rolled_back', 'drained']\nexec = '/bin/true'\n\
             services = 'default'\n[hooks.chat]\non = 'alert'\nurl = 'https://h/key'\n\
             format = 'slack'"
        ))
        .hooks;
        let service = Name::new("default").unwrap();
        let (scale, chat) = (&hooks[0], &hooks[1]);
        let other = Name::new("other").unwrap();
        assert!(scale.is_told(Occasion::Drained, Some(&service)));
        assert!(scale.is_told(Occasion::Drained, None));
        assert!(!scale.is_told(Occasion::Alert, Some(&service)));
        assert!(!scale.is_told(Occasion::Drained, Some(&other)));
        assert_eq!((scale.timeout, scale.retries), (TIMEOUT, RETRIES));
        assert!(chat.is_told(Occasion::Alert, Some(&other)));
        assert_eq!(chat.format, HookFormat::Slack);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for (keys, expected) in [
            (
                "exec = 'a'",
                ": is told of nothing; write on = [\"rolled_back\"], of: started, stepped, switched, done, held, rolled_back, drained, alert",
            ),
            (
                "on = []\nexec = 'a'",
                ": is told of nothing; write on = [\"rolled_back\"], of: started, stepped, switched, done, held, rolled_back, drained, alert",
            ),
            (
                "on = 'end'\nexec = 'a'",
                ".on: unknown occasion `end`; there are: started, stepped, switched, done, held, rolled_back, drained, alert",
            ),
            (
                "on = 'done'",
                ": has nobody to tell; write exec = [\"/usr/bin/program\", \"argument\"] or url = \"https://…\"",
            ),
            (
                "on = 'done'\nexec = 'a'\nsecret = 'a-secret-of-enough-letters'",
                ".secret: `secret` is for a url, and there is none; write url, or leave it out",
            ),
            (
                "on = 'done'\nurl = 'http://h'\nsecret = 'short'",
                ".secret: must have at least 16 characters; make one with `openssl rand -hex 32`",
            ),
            (
                "on = 'done'\nurl = 'http://h'\nformat = 'xml'",
                ".format: `xml` is no format; write json or slack",
            ),
            (
                "on = 'done'\nexec = 'a'\nservices = 'embed'",
                ".services: unknown service `embed`; there are: default",
            ),
        ] {
            let errors = errors(&format!("{SERVED}[hooks.one]\n{keys}\n"));
            assert!(
                errors.len() == 1 && errors[0].ends_with(&format!(" hooks.one{expected}")),
                "{errors:?}"
            );
        }
    }
}
