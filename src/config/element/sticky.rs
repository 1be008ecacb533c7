//! `[service.NAME.sticky]`: what makes a user a user.

use std::time::Duration;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use crate::model::header_id::is_token_byte;
use crate::model::sticky::{KeySource, StickyCookie, StickyRule};

/// Sources are tried in order for every request.
const SOURCES_MAX: usize = 16;

const COOKIE_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The rule in the key `sticky` of a service: a table, or only its sources.
pub(super) fn read(service: &Section<'_>) -> StickyRule {
    let default = StickyRule::default();
    if service.has("sticky") && !service.has_table("sticky") {
        let written = service.value("sticky", Kind::Texts).map(|value| value.texts());
        let place = service.place_of("sticky");
        let sources = read_sources(service, &place, &written.unwrap_or_default());
        return StickyRule { sources, ..default };
    }
    let section = service.section("sticky");
    let sources = match section.value("sources", Kind::Texts) {
        Some(written) => read_sources(&section, &written.place, &written.texts()),
        None => default.sources,
    };
    let body = section.size("body_max", u64::from(default.body_bytes_max), 0..=64 << 20);
    StickyRule {
        sources,
        body_bytes_max: u32::try_from(body).expect("the range ends at 64 MiB"),
        set_cookie: read_cookie(&section),
    }
}

/// Sources of a key, each once.
pub(super) fn read_sources(
    section: &Section<'_>,
    place: &Place,
    written: &[(Place, String)],
) -> Vec<KeySource> {
    let mut sources: Vec<KeySource> = Vec::new();
    for (place, text) in written {
        match text.parse() {
            Ok(source) if sources.contains(&source) => {
                section.reader.error(place, format!("`{text}` stands there twice; keep the first"));
            }
            Ok(source) => sources.push(source),
            Err(error) => section.reader.error(place, error),
        }
    }
    if written.is_empty() || written.len() > SOURCES_MAX {
        let sentence =
            format!("{} sources; write 1 to 16, e.g. [\"header:x-user-id\"]", written.len());
        section.reader.error(place, sentence);
    }
    sources
}

fn read_cookie(section: &Section<'_>) -> Option<StickyCookie> {
    if section.has("cookie") && !section.has_table("cookie") {
        let name = section.parsed::<String>("cookie")?;
        return cookie(section, &section.place_of("cookie"), &name, COOKIE_MAX_AGE);
    }
    let table = section.section("cookie");
    let max_age = table.duration("max_age", COOKIE_MAX_AGE);
    let name = table.parsed::<String>("name");
    if table.is_written() && !table.has("name") {
        table.reader.error(&table.place, "has no name; write name = \"cyan\"");
    }
    cookie(section, &table.place_of("name"), &name?, max_age)
}

fn cookie(
    section: &Section<'_>,
    place: &Place,
    name: &str,
    max_age: Duration,
) -> Option<StickyCookie> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        let sentence = format!("`{name}` is no name of a cookie; use letters, digits, `-` and `_`");
        section.reader.error(place, sentence);
        return None;
    }
    Some(StickyCookie { name: name.into(), max_age })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};

    fn sources(text: &str) -> Vec<String> {
        service(text).sticky.sources.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_is_short_for_its_sources() {
        let listed = ["header:x-user-id", "json:/user"];
        assert_eq!(sources("sticky = [\"header:x-user-id\", \"json:/user\"]"), listed);
        assert_eq!(sources("sticky.sources = [\"header:x-user-id\", \"json:/user\"]"), listed);
        assert_eq!(sources("sticky = \"bearer\""), ["bearer"]);
        assert_eq!(sources("sticky.body_max = \"2MiB\"")[0], "header:x-session-id");
    }

    #[test]
    fn a_cookie_is_given_when_it_is_named() {
        assert_eq!(service("").sticky.set_cookie, None);
        for text in ["sticky.cookie = \"sid\"", "sticky.cookie = { name = \"sid\" }"] {
            let cookie = service(text).sticky.set_cookie.unwrap();
            assert_eq!((&*cookie.name, cookie.max_age.as_secs()), ("sid", 2_592_000));
        }
        let week = service("sticky.cookie = { name = \"sid\", max_age = \"7d\" }");
        assert_eq!(week.sticky.set_cookie.unwrap().max_age.as_secs(), 604_800);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (text, expected) in [
            ("sticky = []", "sticky: 0 sources; write 1 to 16, e.g. [\"header:x-user-id\"]"),
            (
                "sticky = [\"user\"]",
                "sticky: `user` is no source of a key; write header:NAME, cookie:NAME, query:NAME, json:/pointer, bearer or client-address",
            ),
            (
                "sticky = [\"bearer\", \"bearer\"]",
                "sticky: `bearer` stands there twice; keep the first",
            ),
            (
                "sticky = 1",
                "sticky: must be a text or list of texts; write for example [\"header:x-user-id\", \"json:/user\"]",
            ),
            (
                "sticky.cookie = \"a b\"",
                "sticky.cookie: `a b` is no name of a cookie; use letters, digits, `-` and `_`",
            ),
            (
                "sticky.cookie = { max_age = \"1h\" }",
                "sticky.cookie: has no name; write name = \"cyan\"",
            ),
            (
                "sticky.body_max = \"65MiB\"",
                "sticky.body_max: 65MiB is out of range; write 0B to 64MiB",
            ),
        ] {
            let errors = service_errors(text);
            assert_eq!(errors.first().map(String::as_str), Some(expected), "{errors:?}");
        }
    }
}
