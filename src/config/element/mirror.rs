//! `[service.NAME.rollout.warm_up.mirror]`: which live requests a candidate gets copies of.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use super::access_log::read_share;
use super::{endpoint, warm_up};
use crate::model::mirror::MirrorRule;

/// Paths that generate and keep nothing. Not `/v1/responses`, where answers are stored, nor `/v1/messages`,
/// which has batches below it.
const PATHS: [&str; 6] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/api/chat",
    "/api/generate",
    "/api/embed",
];
/// Each copy is a task of the control plane while it is answered.
const IN_FLIGHT_MOST: u32 = 1_000;
const TOKENS_MOST: f64 = 1e9;
/// Copies are kept in memory, as many as may be in flight.
const BODY_MOST: u64 = 64 << 20;

/// The rule; `None` without a share.
pub(super) fn read(section: &Section<'_>) -> Option<MirrorRule> {
    let usual = MirrorRule::default();
    let share = read_share(section, "share").unwrap_or(0.0);
    let rule = MirrorRule {
        share,
        in_flight_max: section
            .whole("in_flight_max", 1..=IN_FLIGHT_MOST)
            .unwrap_or(usual.in_flight_max),
        requests_per_second: warm_up::read_rate(
            section,
            "requests_per_second",
            warm_up::PER_SECOND_MOST,
        )
        .unwrap_or(usual.requests_per_second),
        tokens_per_second: warm_up::read_rate(section, "tokens_per_second", TOKENS_MOST),
        body_max: section.size("body_max", usual.body_max, 0..=BODY_MOST),
        paths: read_paths(section),
    };
    (share > 0.0).then_some(rule)
}

fn read_paths(section: &Section<'_>) -> Vec<String> {
    if !section.has("paths") {
        return PATHS.map(str::to_owned).to_vec();
    }
    if section.value("paths", Kind::Texts).is_some_and(|value| value.is_empty_list()) {
        let sentence = "names no path; leave it out, or write [\"/v1/chat/completions\"]";
        section.reader.error(&section.place_of("paths"), sentence);
    }
    let path = |(place, text): (Place, String)| {
        let path = endpoint::parse_path(&text);
        if path.is_none() {
            let sentence = format!("`{text}` is no path; write for example /v1/chat/completions");
            section.reader.error(&place, sentence);
        }
        path.map(|path| path.to_string())
    };
    section.texts("paths").into_iter().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};

    #[test]
    fn a_share_switches_it_on() {
        let mirror =
            |keys: &str| service(&format!("[rollout.warm_up]\nprompts = 'a'\n{keys}")).warm_up;
        assert_eq!(mirror("mirror.in_flight_max = 2").unwrap().mirror, None);
        let rule = mirror("mirror.share = 0.5").unwrap().mirror.clone().unwrap();
        assert!(rule.is_on() && rule.allows("POST", "/v1/chat/completions"));
        assert!(
            !rule.allows("POST", "/v1/responses") && !rule.allows("POST", "/v1/messages/batches")
        );
        let alone = service("rollout.warm_up.mirror.share = 1").warm_up.unwrap();
        assert!(alone.synthetic.is_none() && alone.mirror.is_some());
    }

    #[test]
    fn what_cannot_be_copied_is_refused() {
        for (keys, expected) in [
            ("share = 5", ".share: 5 is no share; write 0 to 1, e.g. 0.1 for every tenth"),
            ("in_flight_max = 0", ".in_flight_max: 0 is out of range; write 1 to 1000"),
            ("body_max = '1GiB'", ".body_max: 1GiB is out of range; write 0B to 64MiB"),
            (
                "tokens_per_second = 0",
                ".tokens_per_second: 0 is out of range; write above 0 to 1000000000",
            ),
            ("paths = 'v1'", ".paths: `v1` is no path; write for example /v1/chat/completions"),
            (
                "paths = []",
                ".paths: names no path; leave it out, or write [\"/v1/chat/completions\"]",
            ),
        ] {
            let text =
                format!("[rollout.warm_up]\nprompts = 'a'\n[rollout.warm_up.mirror]\n{keys}\n");
            assert_eq!(service_errors(&text), [format!("rollout.warm_up.mirror{expected}")]);
        }
    }
}
