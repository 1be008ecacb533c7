//! `[service.NAME]`: a public endpoint with its own environments, sticky rule and weights.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use super::{
    endpoint, environment, force, header, quality, requests_per_client, rollout, smoke, split,
    sticky, warm_up,
};
use crate::model::name::Name;
use crate::model::service::{HostPattern, InitialSplit, ServiceSpec, StreamErrors};
use crate::model::upstream::UpstreamSpec;

const BODY_BYTES_MAX: u64 = 32 << 20;

/// Most environments of a service; each bids in the choice for every request.
const ENVIRONMENTS_MAX: usize = 64;

/// A service and where the things are written that are compared with those of others.
pub(super) struct PlacedService {
    pub(super) spec: ServiceSpec,
    /// Every pair of host and path it answers to, as it would be called.
    pub(super) endpoints: Vec<(Place, String)>,
    pub(super) upstreams: Vec<(Place, UpstreamSpec)>,
}

/// The name of a service whose keys stand at the top of the file.
pub(super) fn only_name() -> Name {
    Name::new("default").expect("a word of small letters is a name")
}

/// A service; `None` when something that has no default is wrong or missing.
pub(super) fn read(name: Name, section: &Section<'_>) -> Option<PlacedService> {
    let hosts = endpoint::read_hosts(section);
    let paths = endpoint::read_paths(section);
    let endpoints = endpoints(section, &hosts, paths.iter().map(|(_, path)| &**path));
    let named = section.named_sections("environment");
    check_count(section, &named);
    let environments: Vec<_> =
        named.iter().map(|(name, section)| environment::read(name, section)).collect();
    let initial = split::read(section, &named);
    let force = force::read(&section.section("force"));
    let quality = quality::read(&section.section("rollout").section("quality"), force.as_ref());
    // Read whatever else is wrong, so that its errors are told too.
    let plans = rollout::read(&section.section("rollout"));
    let spec = ServiceSpec {
        name,
        hosts: hosts.into_iter().map(|(_, host)| host).collect(),
        path_prefixes: paths.into_iter().map(|(_, path)| path).collect(),
        sticky: sticky::read(section),
        headers: header::read_names(&section.section("headers")),
        force,
        body_bytes_max: section.size("body_max", BODY_BYTES_MAX, 0..=super::super::size::SIZE_MAX),
        body_bytes_by_path: read_body_by_path(&section.section("body_max_by_path")),
        requests_per_client: requests_per_client::read(&section.section("requests_per_client")),
        stream_errors: read_stream_errors(section),
        quality,
        smoke: smoke::read(&section.section("rollout")),
        warm_up: warm_up::read(&section.section("rollout").section("warm_up")),
        environments: environments.iter().map(|environment| environment.spec.clone()).collect(),
        initial: initial?,
        plans,
    };
    check_traffic(&named, &spec.initial);
    let upstreams =
        environments.into_iter().flat_map(|environment| environment.upstreams).collect();
    Some(PlacedService { spec, endpoints, upstreams })
}

fn read_stream_errors(section: &Section<'_>) -> StreamErrors {
    let known = [("cut", StreamErrors::Cut), ("event", StreamErrors::Event)];
    environment::one_of(section, "stream_errors", &known)
}

fn read_body_by_path(section: &Section<'_>) -> Vec<(std::sync::Arc<str>, u64)> {
    let mut limits = Vec::new();
    for (written, value) in section.chosen_values(Kind::Size) {
        match endpoint::parse_path(written) {
            Some(path) => limits.extend(value.size().map(|max| (path, max))),
            None => {
                let sentence =
                    format!("`{written}` is no path prefix; write for example \"/v1/audio\"");
                value.error(sentence);
            }
        }
    }
    limits
}

fn endpoints<'a>(
    section: &Section<'_>,
    hosts: &[(Place, HostPattern)],
    paths: impl Iterator<Item = &'a str>,
) -> Vec<(Place, String)> {
    let paths: Vec<&str> = paths.map(|path| if path == "/" { "" } else { path }).collect();
    let paths = if paths.is_empty() { vec![""] } else { paths };
    let mut shown: Vec<(Place, String)> = Vec::new();
    for (place, host) in hosts {
        shown.push((
            place.clone(),
            match host {
                HostPattern::Exact(name) => name.to_string(),
                HostPattern::Below(suffix) => format!("*{suffix}"),
            },
        ));
    }
    let place =
        if section.has("paths") { section.place_of("paths") } else { section.place.clone() };
    if shown.is_empty() {
        shown.push((place, String::new()));
    }
    let pair = |(place, host): &(Place, String), path: &str| match (host.as_str(), path) {
        ("", "") => (place.clone(), "every host and path".to_owned()),
        (host, path) => (place.clone(), format!("{host}{path}")),
    };
    shown.iter().flat_map(|host| paths.iter().map(move |path| pair(host, path))).collect()
}

fn check_count(section: &Section<'_>, environments: &[(Name, Section<'_>)]) {
    let sentence = match environments.len() {
        0 if section.has("environment") => return, // what stands there was refused already
        0 => "no environment; write [environment.blue] with upstreams".to_owned(),
        1..=ENVIRONMENTS_MAX => return,
        count => format!("{count} environments; write at most 64"),
    };
    section.reader.error(&section.place, sentence);
}

/// Traffic needs somewhere to go.
fn check_traffic(environments: &[(Name, Section<'_>)], initial: &InitialSplit) {
    for ((_, section), weighted) in environments.iter().zip(&initial.weights) {
        let upstreams = section.value("upstreams", Kind::Texts);
        let is_empty = upstreams.is_some_and(|upstreams| upstreams.is_empty_list());
        if is_empty && !weighted.weight.is_zero() {
            let sentence = format!(
                "gets {} % of the traffic and has no upstream; add one, or write weight = 0",
                weighted.weight
            );
            section.reader.error(&section.place, sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{config, errors};

    const BLUE: &str = "environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n";

    #[test]
    fn the_only_service_may_stand_at_the_top() {
        let listen = "listen.http = \"127.0.0.1:80\"\n";
        let short = config(&format!("{listen}body_max = \"1MiB\"\n[{BLUE}"));
        let long = config(&format!(
            "{listen}[service.default]\nbody_max = \"1MiB\"\n[service.default.{BLUE}"
        ));
        assert_eq!(short, long);
        assert_eq!(short.services[0].body_bytes_max, 1 << 20);
    }

    #[test]
    fn services_are_named_and_have_environments() {
        for (text, expected) in [
            ("", "a.toml:1: no service; write [environment.blue] with upstreams = [\"http://127.0.0.1:8001\"]".to_owned()),
            ("[service.chat]\nstiky = \"bearer\"\n[service.chat.environment.blue]\nupstreams = \"http://127.0.0.1:1\"", "a.toml:3: service.chat: unknown key `stiky`, did you mean `sticky`?".to_owned()),
            ("[service.chat]\nbody_max = 1", "a.toml:2: service.chat: no environment; write [environment.blue] with upstreams".to_owned()),
            ("[service.Chat.environment.blue]\nupstreams = \"http://127.0.0.1:1\"", "a.toml:2: service.Chat: `Chat` is not a name; use 1 to 60 of a-z, 0-9, `-` and `_`, beginning with a letter or digit".to_owned()),
            ("[environment.blue]\nupstreams = []", "a.toml:2: environment.blue: gets 100 % of the traffic and has no upstream; add one, or write weight = 0".to_owned()),
            ("[environment.blue]\nupstreams = \"http://a\"\n[service.chat.environment.blue]\nupstreams = \"http://b\"\n", "a.toml:2: keys of a service stand at the top beside [service.chat]; move them into a [service.NAME] of their own".to_owned()),
            ("body_max_by_path.audio = 1\n[environment.blue]\nupstreams = \"http://a\"", "a.toml:2: body_max_by_path.audio: `audio` is no path prefix; write for example \"/v1/audio\"".to_owned()),
            ("stream_errors = \"json\"\n[environment.blue]\nupstreams = \"http://a\"", "a.toml:2: stream_errors: `json` is not known; write cut or event".to_owned()),
            ("environment = 1", "a.toml:2: environment: must be a table; write [environment]".to_owned()),
        ] {
            let errors = errors(&format!("listen.http = \"127.0.0.1:80\"\n{text}"));
            assert_eq!(errors.first(), Some(&expected), "{errors:?}");
        }
    }
}
