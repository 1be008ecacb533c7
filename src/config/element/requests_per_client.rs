//! `[service.NAME.requests_per_client]`: how many requests each client may send.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::{sticky, warm_up};
use crate::model::client_rate::{BURST_MAX, ClientRate, PER_SECOND_MAX};
use crate::model::sticky::KeySource;

pub(super) fn read(section: &Section<'_>) -> Option<ClientRate> {
    let per_second = warm_up::read_rate(section, "per_second", PER_SECOND_MAX);
    let burst = section.whole("burst", 1..=BURST_MAX);
    let by = read_by(section);
    if section.is_written() && !section.has("per_second") {
        let sentence = "has no rate; write for example per_second = 10";
        section.reader.error(&section.place, sentence);
    }
    let usual = ClientRate::new(per_second?);
    Some(ClientRate {
        burst: burst.unwrap_or(usual.burst),
        by: by.unwrap_or(usual.by),
        per_second: usual.per_second,
    })
}

fn read_by(section: &Section<'_>) -> Option<Vec<KeySource>> {
    let written = section.value("by", Kind::Texts)?;
    let sources = sticky::read_sources(section, &written.place, &written.texts());
    if sources.iter().any(|source| matches!(source, KeySource::Json(_))) {
        written.error("a client is refused before its body is read; write for example `bearer`");
    }
    Some(sources)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{config, errors};
    use super::*;

    fn text(keys: &str) -> String {
        format!(
            "listen.http = \"127.0.0.1:80\"\nrequests_per_client = {{ {keys} }}\n\
             [environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n"
        )
    }

    #[test]
    fn a_rate_is_enough() {
        let rate = |keys| config(&text(keys)).services[0].requests_per_client.clone();
        assert_eq!(rate("per_second = 0.5"), Some(ClientRate::new(0.5)));
        let whole = rate("per_second = 10, burst = 20, by = [\"bearer\", \"client-address\"]");
        let by = vec![KeySource::Bearer, KeySource::ClientAddress];
        assert_eq!(whole, Some(ClientRate { per_second: 10.0, burst: 20, by }));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (keys, expected) in [
            ("burst = 20", "requests_per_client: has no rate; write for example per_second = 10"),
            (
                "per_second = 0",
                "requests_per_client.per_second: 0 is out of range; write above 0 to 10000",
            ),
            (
                "per_second = 1, burst = 0",
                "requests_per_client.burst: 0 is out of range; write 1 to 100000",
            ),
            (
                "per_second = 1, by = \"json:/user\"",
                "requests_per_client.by: a client is refused before its body is read; write for example `bearer`",
            ),
        ] {
            let errors = errors(&text(keys));
            assert_eq!(errors, [format!("a.toml:2: {expected}")]);
        }
    }
}
