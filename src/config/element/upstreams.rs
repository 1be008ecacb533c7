//! The addresses of an environment.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use crate::model::upstream::UpstreamSpec;

/// The least busy of them is looked for with every request.
const UPSTREAMS_MAX: usize = 256;

/// The upstreams, each with its place.
pub(super) fn read(section: &Section<'_>) -> Vec<(Place, UpstreamSpec)> {
    let Some(value) = section.value("upstreams", Kind::Texts) else {
        let sentence = "has no upstreams; write upstreams = [\"http://127.0.0.1:8001\"], or [] until the API adds some";
        section.reader.error(&section.place, sentence);
        return Vec::new();
    };
    let mut upstreams: Vec<(Place, UpstreamSpec)> = Vec::new();
    for (place, text) in value.texts() {
        match text.parse::<UpstreamSpec>() {
            Ok(upstream) => match upstreams.iter().find(|(_, other)| *other == upstream) {
                Some((first, _)) => {
                    let sentence = format!("{upstream} stands there twice; keep one of them");
                    section.reader.error_with(&place, sentence, vec![first.span.clone()]);
                }
                None => upstreams.push((place, upstream)),
            },
            Err(error) => section.reader.error(&place, error),
        }
    }
    if upstreams.len() > UPSTREAMS_MAX {
        let sentence = format!("{} upstreams; write at most 256", upstreams.len());
        value.error(sentence);
    }
    upstreams
}

#[cfg(test)]
mod tests {
    use super::super::testing::errors;

    #[test]
    fn an_upstream_is_an_address_and_stands_there_once() {
        for (upstreams, expected) in [
            (
                "",
                "a.toml:2: environment.blue: has no upstreams; write upstreams = [\"http://127.0.0.1:8001\"], or [] until the API adds some",
            ),
            (
                "upstreams = \"127.0.0.1:1\"",
                "a.toml:3: environment.blue.upstreams: `127.0.0.1:1` is not an upstream; write http://HOST:PORT, https://HOST or unix:/path",
            ),
            (
                "upstreams = [\"http://a\",\n\"http://a:80/\"]",
                "a.toml:4: environment.blue.upstreams: http://a stands there twice; keep one of them",
            ),
            (
                "upstreams = [\"http://a\", 1]",
                "a.toml:3: environment.blue.upstreams: must be a text or list of texts; write for example [\"http://10.0.0.1:8000\", \"https://api.example.com\", \"unix:/run/llm.sock\"]",
            ),
        ] {
            let text = format!("listen.http = \"127.0.0.1:80\"\n[environment.blue]\n{upstreams}\n");
            let errors = errors(&text);
            assert_eq!(errors.first().map(String::as_str), Some(expected), "{errors:?}");
        }
    }
}
