//! Names of headers: which may be chosen, and those that Cyan adds.

use super::super::reader::Section;
use super::super::source::Place;
use crate::model::header_id::HeaderId;
use crate::model::service::HeaderNames;

/// Headers that say how a message is framed or for whom; an own value would break the connection.
const OF_THE_CONNECTION: [HeaderId; 12] = [
    HeaderId::HOST,
    HeaderId::CONNECTION,
    HeaderId::KEEP_ALIVE,
    HeaderId::PROXY_CONNECTION,
    HeaderId::TE,
    HeaderId::TRAILER,
    HeaderId::TRANSFER_ENCODING,
    HeaderId::UPGRADE,
    HeaderId::EXPECT,
    HeaderId::CONTENT_LENGTH,
    HeaderId::PROXY_AUTHENTICATE,
    HeaderId::PROXY_AUTHORIZATION,
];

/// The header `name`, unless Cyan or the protocol needs it for itself.
pub(super) fn parse(section: &Section<'_>, place: &Place, name: &str) -> Option<HeaderId> {
    let id = HeaderId::intern(name).map_err(|error| section.reader.error(place, error)).ok()?;
    if OF_THE_CONNECTION.contains(&id) {
        let remedy = if id == HeaderId::HOST { "use the key `host`" } else { "choose another" };
        let sentence = format!("`{name}` belongs to the connection; {remedy}");
        section.reader.error(place, sentence);
        return None;
    }
    Some(id)
}

/// The header that `key` names.
pub(super) fn read(section: &Section<'_>, key: &str, default: HeaderId) -> HeaderId {
    let named = section.parsed::<String>(key);
    named.and_then(|name| parse(section, &section.place_of(key), &name)).unwrap_or(default)
}

/// `[service.NAME.headers]`: what Cyan adds to requests and answers.
pub(super) fn read_names(section: &Section<'_>) -> HeaderNames {
    let default = HeaderNames::default();
    let names = HeaderNames {
        deployment: read(section, "deployment", default.deployment),
        request_id: read(section, "request_id", default.request_id),
        exchange: read(section, "exchange", default.exchange),
    };
    for (key, id, others) in [
        ("request_id", names.request_id, vec![names.deployment]),
        ("exchange", names.exchange, vec![names.deployment, names.request_id]),
    ] {
        if others.contains(&id) {
            let sentence =
                format!("`{}` has another meaning already; choose another name", id.name());
            section.reader.error(&section.place_of(key), sentence);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};

    #[test]
    fn names_can_be_chosen() {
        let names = service("headers.deployment = \"X-Served-By\"").headers;
        assert_eq!(names.deployment.name(), "x-served-by");
        assert_eq!(names.request_id.name(), "x-request-id");
    }

    #[test]
    fn names_that_cannot_work_are_refused() {
        for (text, expected) in [
            (
                "headers.exchange = \"x-request-id\"",
                "headers.exchange: `x-request-id` has another meaning already; choose another name",
            ),
            (
                "headers.exchange = \"Connection\"",
                "headers.exchange: `Connection` belongs to the connection; choose another",
            ),
            (
                "headers.deployment = \"a b\"",
                "headers.deployment: `a b` is not a header name; use letters, digits and `-`",
            ),
        ] {
            assert_eq!(service_errors(text), [expected]);
        }
    }
}
