//! The dashboard: one page, compiled into the program, that asks the calls everybody else asks.
//!
//! It fetches nothing from elsewhere and may run nothing but its own scripts. The page is open, since it
//! holds nothing but a sentence, and that only for who may call; a token becomes a cookie that no script
//! can read and no other site can send.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::Access;
use super::body::Body;
use super::path::Word;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;

const PAGE: &str = include_str!("dashboard/page.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The parts of the page: name, type, text.
const PARTS: [(&str, &str, &str); 10] = [
    ("style.css", "text/css; charset=utf-8", include_str!("dashboard/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    ("app.js", SCRIPT, include_str!("dashboard/app.js")),
    ("api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("actions.js", SCRIPT, include_str!("dashboard/actions.js")),
    ("band.js", SCRIPT, include_str!("dashboard/band.js")),
    ("charts.js", SCRIPT, include_str!("dashboard/charts.js")),
    ("dom.js", SCRIPT, include_str!("dashboard/dom.js")),
    ("marks.js", SCRIPT, include_str!("dashboard/marks.js")),
    ("sections.js", SCRIPT, include_str!("dashboard/sections.js")),
];

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, with what goes on in the first service for who may know.
pub(super) async fn page(
    State(admin): State<Admin>,
    Extension(access): Extension<Arc<Access>>,
    headers: HeaderMap,
) -> Response {
    let sentence = if access.check(&headers).is_ok() {
        admin.controller.view().iter().map(|view| admin.described(view).explanation).next()
    } else {
        None
    };
    let page = PAGE.replace("{{sentence}}", &escaped(&sentence.unwrap_or_default()));
    answer("text/html; charset=utf-8", page)
}

/// A part of it.
pub(super) async fn part(Word(name): Word) -> Result<Response, Problem> {
    let part = PARTS.into_iter().find(|(part, _, _)| *part == name);
    let (_, kind, text) = part.ok_or_else(|| {
        Problem::new(ProblemKind::NotFound, format!("the dashboard has no part `{name}`"))
    })?;
    Ok(answer(kind, text.to_owned()))
}

/// What somebody enters to see more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    token: String,
}

/// Makes a cookie of the token.
pub(super) async fn enter(
    Extension(access): Extension<Arc<Access>>,
    headers: HeaderMap,
    Body(entry): Body<Entry>,
) -> Result<Response, Problem> {
    let cookie = access.session(&headers, &entry.token)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn answer(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

/// Text as it stands in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_that_is_named_is_there_and_nothing_is_fetched_from_elsewhere() {
        for (name, _, text) in PARTS {
            let imports = text.lines().filter_map(|line| line.rsplit_once("from \"./"));
            for (_, rest) in imports {
                let import = rest.trim_end_matches("\";");
                assert!(PARTS.iter().any(|(part, _, _)| *part == import), "{name}: {import}");
            }
            assert!(!text.contains("https://"), "{name}");
            assert!(!text.contains("innerHTML"), "{name} makes markup of text");
        }
        let named = PAGE.split("/dashboard/").skip(1).filter_map(|rest| rest.split('"').next());
        let named: Vec<_> = named.collect();
        assert_eq!(named, ["icon.svg", "style.css", "app.js"]);
    }

    #[test]
    fn a_sentence_cannot_become_markup() {
        assert_eq!(escaped("<b>\"a\" & b</b>"), "&lt;b&gt;&quot;a&quot; &amp; b&lt;/b&gt;");
    }
}
