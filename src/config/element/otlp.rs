//! `[otlp]`: where traces and metrics are pushed. The table switches it on by standing there.

use std::time::Duration;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::resolved::OtlpSpec;
use super::access_log::read_share;
use super::{endpoint, header};
use crate::model::upstream::UpstreamSpec;

/// The port of OTLP over HTTP.
const ENDPOINT: &str = "http://127.0.0.1:4318";
const INTERVAL: Duration = Duration::from_secs(10);

/// The export; `None` when the table is not written.
pub(super) fn read(section: &Section<'_>) -> Option<OtlpSpec> {
    let endpoint = section.value("endpoint", Kind::Text);
    let endpoint = match endpoint {
        Some(value) => value.with_text(parse_endpoint),
        None => parse_endpoint(ENDPOINT).ok(),
    };
    let chosen = section.section("headers").chosen_values(Kind::Secret);
    let headers = chosen.into_iter().filter_map(|(name, value)| {
        Some((header::parse(section, &value.place, name)?, value.secret()?))
    });
    let headers = headers.collect();
    let interval = section.duration("interval", INTERVAL);
    let sample = read_share(section, "sample").unwrap_or(1.0);
    if section.is_written() && !section.reader.surroundings.has_otlp {
        let sentence = "this cyan was built without the export of traces and metrics; build it with \
                        `cargo build --release --features otlp`, or remove the table";
        section.reader.error(&section.place, sentence);
    }
    let (upstream, path) = endpoint.filter(|_| section.is_written())?;
    Some(OtlpSpec { upstream, path, headers, interval, sample })
}

/// Address and path of a URL.
fn parse_endpoint(url: &str) -> Result<(UpstreamSpec, String), String> {
    let wrong = || format!("`{url}` is no endpoint; write for example {ENDPOINT}");
    let after_scheme = url.find("://").map(|at| at + 3).ok_or_else(wrong)?;
    let path_at = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    let (address, path) = url.split_at(path_at);
    let upstream: UpstreamSpec = address.parse().map_err(|_| wrong())?;
    let path = path.trim_end_matches('/');
    if !path.is_empty() && endpoint::parse_path(path).is_none() {
        return Err(wrong());
    }
    Ok((upstream, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::super::{Surroundings, from_text};
    use super::super::testing::{config, errors};
    use super::*;

    const SERVED: &str =
        "listen.http = '127.0.0.1:80'\nenvironment.blue.upstreams = 'http://h:1'\n";

    #[test]
    fn the_table_switches_it_on() {
        let with = |table: &str| config(&format!("{SERVED}{table}")).otlp;
        assert_eq!(with(""), None);
        let plain = with("[otlp]").unwrap();
        assert_eq!(plain.upstream.to_string(), ENDPOINT);
        assert_eq!((&*plain.path, plain.interval, plain.sample), ("", INTERVAL, 1.0));
        let hosted = "[otlp]\nendpoint = 'https://otlp.example.com/otlp/'\nsample = 0.1\n\
                      headers.Authorization = '${TOKEN}'";
        let hosted = with(hosted).unwrap();
        assert_eq!(hosted.upstream.to_string(), "https://otlp.example.com");
        assert_eq!(hosted.path, "/otlp");
        assert_eq!(hosted.headers[0].0.name(), "authorization");
        assert_eq!(hosted.headers[0].1.expose(), "secret-token");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for endpoint in ["127.0.0.1:4318", "ftp://h", "http://", "http://h:1/a b", "unix:/x"] {
            let errors = errors(&format!("{SERVED}[otlp]\nendpoint = '{endpoint}'"));
            let expected =
                format!("otlp.endpoint: `{endpoint}` is no endpoint; write for example {ENDPOINT}");
            assert!(errors.iter().any(|error| error.ends_with(&expected)), "{errors:?}");
        }
    }

    #[test]
    fn a_program_without_it_says_how_to_get_it() {
        let surroundings = Surroundings {
            variable: &|_| None,
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
            has_otlp: false,
        };
        let text = format!("{SERVED}[otlp]\n");
        let errors = from_text(&text, "a.toml", &surroundings).unwrap_err().to_string();
        assert!(errors.contains("a.toml:3: otlp: this cyan was built without"), "{errors}");
        assert!(errors.contains("`cargo build --release --features otlp`"), "{errors}");
        assert!(from_text(SERVED, "a.toml", &surroundings).is_ok());
    }
}
