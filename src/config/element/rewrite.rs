//! What is changed in a request on its way to the upstreams: host, path, headers, credentials, the
//! model's name.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use super::{endpoint, header};
use crate::model::environment::{HostPolicy, Secret};
use crate::model::header_id::HeaderId;
use crate::model::model_names::{ModelNames, OwnName};

/// What upstreams see in `Host`.
pub(super) fn read_host(section: &Section<'_>) -> HostPolicy {
    let Some(text) = section.parsed::<String>("host") else { return HostPolicy::default() };
    let may_stand = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match text.as_str() {
        "preserve" => HostPolicy::Preserve,
        "upstream" => HostPolicy::Upstream,
        name if !name.is_empty() && name.bytes().all(may_stand) => HostPolicy::Fixed(name.into()),
        _ => {
            let sentence = format!(
                "`{text}` is no host; write preserve, upstream or a name like llm.internal"
            );
            section.reader.error(&section.place_of("host"), sentence);
            HostPolicy::default()
        }
    }
}

/// What is put before every path.
pub(super) fn read_path_prefix(section: &Section<'_>) -> Option<std::sync::Arc<str>> {
    let text = section.parsed::<String>("path_prefix")?;
    let prefix = endpoint::parse_path(&text);
    if prefix.is_none() {
        let sentence = format!("`{text}` is no path prefix; write for example /prod");
        section.reader.error(&section.place_of("path_prefix"), sentence);
    }
    prefix.filter(|prefix| &**prefix != "/")
}

/// Headers that are set, credentials among them.
pub(super) fn read_set_headers(section: &Section<'_>) -> Vec<(HeaderId, Secret)> {
    let mut set: Vec<(HeaderId, Secret)> = Vec::new();
    if let Some(secret) = section.secret("credentials") {
        let bearer = Secret::new(&format!("Bearer {}", secret.expose()));
        set.push((HeaderId::AUTHORIZATION, bearer));
    }
    for (name, value) in section.section("set_headers").chosen_values(Kind::Secret) {
        let Some(id) = header::parse(section, &value.place, name) else { continue };
        if set.iter().any(|(other, _)| *other == id) {
            let sentence = if id == HeaderId::AUTHORIZATION && section.has("credentials") {
                "is set by `credentials` already; keep one of them".to_owned()
            } else {
                format!("`{name}` is set twice; keep one of them")
            };
            value.error(sentence);
        }
        set.extend(value.secret().map(|secret| (id, secret)));
    }
    set
}

/// Headers that are removed; none of them may be set too.
pub(super) fn read_remove_headers(
    section: &Section<'_>,
    set: &[(HeaderId, Secret)],
) -> Vec<HeaderId> {
    let mut removed = Vec::new();
    for (place, name) in section.texts("remove_headers") {
        let Some(id) = header::parse(section, &place, &name) else { continue };
        refuse_both(section, &place, id, set);
        if !removed.contains(&id) {
            removed.push(id);
        }
    }
    removed
}

/// Names of models: one for whatever is asked for, or one each for those that are listed.
pub(super) fn read_models(section: &Section<'_>) -> ModelNames {
    let otherwise = section.parsed::<OwnName>("model");
    let mut list = Vec::new();
    for (asked, value) in section.section("models").chosen_values(Kind::Text) {
        // A name that no client can send would never be found.
        if asked.is_empty() {
            value.error("stands for the empty name; write the name that clients ask for");
        }
        list.extend(value.parsed::<OwnName>().map(|own| (asked.into(), own)));
    }
    ModelNames { otherwise, list }
}

fn refuse_both(section: &Section<'_>, place: &Place, id: HeaderId, set: &[(HeaderId, Secret)]) {
    if set.iter().any(|(other, _)| *other == id) {
        let sentence = format!("`{}` is set and removed; setting replaces it already", id.name());
        section.reader.error(place, sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{environment, environment_errors};
    use super::*;

    #[test]
    fn hosts_and_prefixes_can_be_rewritten() {
        for (text, policy) in [
            ("", HostPolicy::Preserve),
            ("host = \"preserve\"", HostPolicy::Preserve),
            ("host = \"upstream\"", HostPolicy::Upstream),
            ("host = \"llm.internal:8000\"", HostPolicy::Fixed("llm.internal:8000".into())),
        ] {
            assert_eq!(environment(text).host, policy);
        }
        for (text, prefix) in [("/prod", Some("/prod")), ("/prod/", Some("/prod")), ("/", None)] {
            let environment = environment(&format!("path_prefix = \"{text}\""));
            assert_eq!(environment.path_prefix.as_deref(), prefix);
        }
    }

    #[test]
    fn credentials_become_a_header() {
        let text = "credentials = \"${TOKEN}\"\nset_headers.X-Api-Key = \"k\"\nremove_headers = [\"Cookie\"]";
        let environment = environment(text);
        let set: Vec<_> =
            environment.set_headers.iter().map(|(id, value)| (id.name(), value.expose())).collect();
        assert_eq!(set, [("authorization", "Bearer secret-token"), ("x-api-key", "k")]);
        assert_eq!(environment.remove_headers, [HeaderId::COOKIE]);
    }

    #[test]
    fn models_have_one_name_or_are_listed_or_both() {
        assert!(environment("").models.is_empty());
        let models = environment("model = \"llama-3-70b-v2\"").models;
        assert_eq!(models.own(b"any").map(OwnName::as_str), Some("llama-3-70b-v2"));
        let text = "model = \"small\"\nmodels = { \"gpt-4.1\" = \"big\", mini = \"small-v2\" }";
        let models = environment(text).models;
        let own = |asked: &str| models.own(asked.as_bytes()).unwrap().as_str().to_owned();
        assert_eq!(
            (own("gpt-4.1"), own("mini"), own("x")),
            ("big".into(), "small-v2".into(), "small".into())
        );
        let models = environment("models.gpt-4o = \"green-v2\"").models;
        assert_eq!((models.list.len(), models.own(b"x")), (1, None));
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, expected) in [
            (
                "host = \"a b\"",
                "host: `a b` is no host; write preserve, upstream or a name like llm.internal",
            ),
            (
                "path_prefix = \"prod\"",
                "path_prefix: `prod` is no path prefix; write for example /prod",
            ),
            (
                "set_headers.host = \"a\"",
                "set_headers.host: `host` belongs to the connection; use the key `host`",
            ),
            (
                "model = \"\"",
                "model: must be one line of 1 to 200 characters; write the name that the servers know",
            ),
            (
                "models.gpt-4o = \"a\\nb\"",
                "models.gpt-4o: must be one line of 1 to 200 characters; write the name that the servers know",
            ),
            ("models.a = 1", "models.a: must be a text; write for example \"green-v2\""),
            (
                "models.\"\" = \"a\"",
                "models.: stands for the empty name; write the name that clients ask for",
            ),
            ("models = \"a\"", "models: must be a table; write [environment.blue.models]"),
            (
                "set_headers.a = 1",
                "set_headers.a: must be a secret; write for example { env = \"UPSTREAM_KEY\" }",
            ),
            (
                "set_headers.a = \"\\n\"",
                "set_headers.a: must be one line of text and not empty; look at what it holds",
            ),
            (
                "set_headers = { a = \"1\", A = \"2\" }",
                "set_headers.A: `A` is set twice; keep one of them",
            ),
            (
                "credentials = \"k\"\nset_headers.authorization = \"a\"",
                "set_headers.authorization: is set by `credentials` already; keep one of them",
            ),
            (
                "set_headers.a = \"1\"\nremove_headers = [\"a\"]",
                "remove_headers: `a` is set and removed; setting replaces it already",
            ),
        ] {
            assert_eq!(environment_errors(text), [expected]);
        }
    }
}
