//! Which paths an emulated server knows, with which methods.

use hyper::Method;

use super::dialect::Dialect;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Models,
    Generate(Dialect),
    Embeddings,
    Faults,
    Stats,
    Echo,
}

/// Why a request is for nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    NotFound,
    /// The path exists; these are its methods.
    Method(&'static str),
}

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";
const BOTH: &str = "GET, HEAD, POST";
const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const ROUTES: [(&str, &str, Route); 11] = [
    ("/v1/chat/completions", WRITE, Route::Generate(Dialect::Chat)),
    ("/v1/completions", WRITE, Route::Generate(Dialect::Completions)),
    ("/v1/responses", WRITE, Route::Generate(Dialect::Responses)),
    ("/v1/messages", WRITE, Route::Generate(Dialect::Messages)),
    ("/v1/embeddings", WRITE, Route::Embeddings),
    ("/v1/models", READ, Route::Models),
    ("/health", READ, Route::Health),
    ("/ready", READ, Route::Health),
    ("/mock/faults", BOTH, Route::Faults),
    ("/mock/stats", READ, Route::Stats),
    ("/mock/echo", ANY, Route::Echo),
];

impl Route {
    /// The route of a path.
    ///
    /// # Errors
    /// When there is no such path, or it does not take this method.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let (_, methods, route) =
            ROUTES.iter().find(|(known, ..)| *known == path).ok_or(NoRoute::NotFound)?;
        if methods.split(", ").any(|known| known == method.as_str()) {
            Ok(*route)
        } else {
            Err(NoRoute::Method(methods))
        }
    }

    /// The path under which a request is counted; `None` for the server's own calls.
    pub(super) fn counted_as(path: &str) -> Option<&'static str> {
        let known = ROUTES.iter().map(|(known, ..)| *known).find(|known| *known == path);
        match known {
            Some(own) if own.starts_with("/mock/") && own != "/mock/echo" => None,
            Some(known) => Some(known),
            None => Some("other"),
        }
    }

    /// The API in whose form an error on this path is worded.
    pub(super) fn dialect_of(path: &str) -> Dialect {
        if path.starts_with("/v1/messages") { Dialect::Messages } else { Dialect::Chat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_exact_and_methods_are_checked() {
        for (method, path, expected) in [
            (Method::POST, "/v1/chat/completions", Ok(Route::Generate(Dialect::Chat))),
            (Method::GET, "/v1/chat/completions", Err(NoRoute::Method("POST"))),
            (Method::HEAD, "/health", Ok(Route::Health)),
            (Method::GET, "/v1/nope", Err(NoRoute::NotFound)),
            (Method::GET, "/health/", Err(NoRoute::NotFound)),
        ] {
            assert_eq!(Route::find(&method, path), expected, "{method} {path}");
        }
    }
}
