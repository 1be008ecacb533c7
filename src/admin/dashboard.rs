//! The dashboard: one page, compiled into the program, that asks the calls everybody else asks.
//!
//! It fetches nothing from elsewhere and may run nothing but its own scripts. The page is open, since it
//! holds nothing but a sentence, and that only for who may call; a token becomes a cookie that no script
//! can read and no other site can send.

mod difference;
mod document;
mod evidence_log;
mod figures;
mod live;
mod question;
mod rows;

use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde::Deserialize;

pub(super) use evidence_log::EvidenceLog;
pub(super) use live::{follow, now};
pub(super) use question::ask;

use super::access::Access;
use super::api::{Environment, Service};
use super::body::Body;
use super::caller::Caller;
use super::path::Word;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;

const PAGE: &str = include_str!("dashboard/page.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The parts of the page: name, type, text.
const PARTS: [(&str, &str, &str); 21] = [
    ("style.css", "text/css; charset=utf-8", include_str!("dashboard/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    ("actions.js", SCRIPT, include_str!("dashboard/actions.js")),
    ("api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("app.js", SCRIPT, include_str!("dashboard/app.js")),
    ("band.js", SCRIPT, include_str!("dashboard/band.js")),
    ("charts.js", SCRIPT, include_str!("dashboard/charts.js")),
    ("connection.js", SCRIPT, include_str!("dashboard/connection.js")),
    ("dialog.js", SCRIPT, include_str!("dashboard/dialog.js")),
    ("dom.js", SCRIPT, include_str!("dashboard/dom.js")),
    ("environments.js", SCRIPT, include_str!("dashboard/environments.js")),
    ("format.js", SCRIPT, include_str!("dashboard/format.js")),
    ("help.js", SCRIPT, include_str!("dashboard/help.js")),
    ("journal.js", SCRIPT, include_str!("dashboard/journal.js")),
    ("login.js", SCRIPT, include_str!("dashboard/login.js")),
    ("marks.js", SCRIPT, include_str!("dashboard/marks.js")),
    ("questions.js", SCRIPT, include_str!("dashboard/questions.js")),
    ("rollout.js", SCRIPT, include_str!("dashboard/rollout.js")),
    ("rows.js", SCRIPT, include_str!("dashboard/rows.js")),
    ("shares.js", SCRIPT, include_str!("dashboard/shares.js")),
    ("timeline.js", SCRIPT, include_str!("dashboard/timeline.js")),
];

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Tells whether a page that is open is still that of the program.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut all = digest::Context::new(&digest::SHA256);
    PARTS.iter().for_each(|(_, _, text)| all.update(text.as_bytes()));
    all.update(PAGE.as_bytes());
    URL_SAFE_NO_PAD.encode(&all.finish().as_ref()[..9])
});

/// The page, with what goes on in the first service for who may know: readable before any script has run.
pub(super) async fn page(
    State(admin): State<Admin>,
    Extension(access): Extension<Arc<Access>>,
    headers: HeaderMap,
) -> Response {
    let caller = access.check(&headers).ok();
    let views = caller.as_ref().map(|_| admin.controller.view()).unwrap_or_default();
    let service = views.first().map(|view| admin.described(view));
    answer("text/html; charset=utf-8", filled(caller.as_ref(), service.as_ref()))
}

/// The page with its places filled.
fn filled(caller: Option<&Caller>, service: Option<&Service>) -> String {
    let state = service.map(|service| service.state).unwrap_or_default();
    let known = |text: &str| if service.is_some() { escaped(text) } else { String::new() };
    let said = |text: fn(&Service) -> &String| service.map_or("", |service| text(service));
    let title = service.map_or_else(
        || "Cyan".to_owned(),
        |service| format!("{} {} · {}", state.glyph(), state.word().to_lowercase(), service.name),
    );
    [
        ("title", escaped(&title)),
        ("digest", DIGEST.clone()),
        ("role", caller.map(|caller| caller.role.to_string()).unwrap_or_default()),
        ("who", escaped(caller.and_then(|caller| caller.token.as_deref()).unwrap_or_default())),
        ("state", known(state.code())),
        ("glyph", known(state.glyph())),
        ("word", known(state.word())),
        ("sentence", escaped(said(|service| &service.explanation))),
        ("next", escaped(said(|service| &service.next))),
        ("shares", service.map(shares).unwrap_or_default()),
    ]
    .into_iter()
    .fold(PAGE.to_owned(), |page, (place, text)| page.replace(&format!("{{{{{place}}}}}"), &text))
}

/// A line for each environment.
fn shares(service: &Service) -> String {
    let line = |environment: &Environment| {
        let version = environment.version.as_deref().unwrap_or_default();
        let role = environment.role.as_deref().unwrap_or_default();
        let (name, weight) = (&environment.name, environment.weight_percent);
        format!("<li>{name} {weight} % {} {}</li>", escaped(version), escaped(role))
    };
    service.environments.iter().map(line).collect()
}

/// A part of it.
pub(super) async fn part(Word(name): Word) -> Result<Response, Problem> {
    let part = PARTS.into_iter().find(|(part, _, _)| *part == name);
    let (_, kind, text) = part.ok_or_else(|| {
        Problem::new(ProblemKind::NotFound, format!("the dashboard has no part `{name}`"))
    })?;
    Ok(answer(kind, text.to_owned()))
}

/// Anybody may send it, so that it may hold a place only for a moment.
const ENTRY_BYTES_MAX: usize = 4096;

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
    Body(entry): Body<Entry, ENTRY_BYTES_MAX>,
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
