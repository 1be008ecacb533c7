//! The id of an answer of the Responses API, by which a client goes on with it.

use xxhash_rust::xxh3::xxh3_64;

/// The hash of such an id. It is all that is kept of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseId(pub u64);

/// What stands before an id in a path: `…/responses/{id}`, `…/responses/{id}/cancel`.
const BEFORE: &str = "/responses/";

impl ResponseId {
    /// The id with these bytes; of an empty one, none.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(xxh3_64(bytes)))
    }

    /// The id that a path names.
    pub fn in_path(path: &str) -> Option<Self> {
        let (_, named) = path.rsplit_once(BEFORE)?;
        Self::of(named.split('/').next().unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_id_behind_its_api() {
        let id = ResponseId::of(b"resp_1");
        for (path, named) in [
            ("/v1/responses/resp_1", id),
            ("/v1/responses/resp_1/", id),
            ("/openai/v1/responses/resp_1/cancel", id),
            ("/v1/responses/resp_1/input_items", id),
            ("/v1/responses/", None),
            ("/v1/responses", None),
            ("/v1/chat/completions", None),
        ] {
            assert_eq!(ResponseId::in_path(path), named, "{path}");
        }
    }
}
