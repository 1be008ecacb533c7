//! Calls about the whole process: its state, what happens in it, its config, and how it is asked.

use serde_json::{Map, Value};

use super::super::api::config::RunningConfig;
use super::super::api::log_level::{LogLevel, SetLogLevel};
use super::super::api::{Because, Journal, Status};
use super::super::operation::{Header, Operation};
use super::super::problem::ProblemKind;
use super::super::{
    config, events, journal, log_level, openapi, probes, problem_page, reload, requests, status,
};
use super::{get, post, put};

/// What server-sent events are sent as.
const EVENTS: &str = "text/event-stream";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/v1/status", status::show, "getStatus", "Everything that `cyan status` shows")
            .answers::<Status>("The state of the whole process."),
        get("/v1/events", events::follow, "followEvents", "What happens, as server-sent events")
            .more("The `data` of each event is an `Event`, its `id` the event's `seq`. `Last-Event-ID`, or `since`, goes on after that one, as far back as events are kept.")
            .long()
            .query::<events::Since>()
            .header(Header::LastEventId)
            .answers_text("Events until one side goes; a comment every 15 s.", EVENTS)
            .problems(&[ProblemKind::TooMany]),
        get(
            "/v1/requests",
            requests::watch,
            "watchRequests",
            "Single exchanges as they end, as server-sent events",
        )
        .more("The `data` of each event `request` is a record of the access log, as docs/reference/access-log.md describes it; `requests_left_out` says how many did not come.")
        .long()
        .query::<requests::Which>()
        .answers_text("Records until one side goes; a comment every 15 s.", EVENTS)
        .problems(&[ProblemKind::NotFound, ProblemKind::TooMany]),
        get("/v1/journal", journal::page, "getJournal", "Who changed what, when and why")
            .query::<journal::Which>()
            .answers::<Journal>("A page, newest first; `next_before` is the `before` of the next one.")
            .problems(&[ProblemKind::StoreUnavailable]),
        get("/v1/config", config::show, "getConfig", "The config in force, without its secrets")
            .more("Arguments, bodies, prompts and paths in which a variable was replaced count as secrets.")
            .answers::<RunningConfig>("Every key that is set, and which keys hold a secret."),
        post("/v1/reload", reload::reload, "reload", "Read the config file anew, all of it or nothing")
            .body::<Because>()
            .changes()
            .problems(&[ProblemKind::ConfigInvalid]),
        get("/v1/log-level", log_level::show, "getLogLevel", "What the program's own log holds")
            .answers::<LogLevel>("Its level.")
            .problems(&[ProblemKind::Conflict]),
        put("/v1/log-level", log_level::set, "setLogLevel", "Set what the program's own log holds")
            .more("Until the process ends. Requests are in the access log and not in this one.")
            .header(Header::Actor)
            .needs::<SetLogLevel>()
            .answers::<LogLevel>("Its level now.")
            .problems(&[ProblemKind::Conflict]),
        get("/v1/openapi.json", openapi::show, "getOpenApi", "This document")
            .open()
            .answers::<Map<String, Value>>("The OpenAPI 3.1 document."),
        get("/livez", probes::live, "isAlive", "Whether the control plane answers")
            .open()
            .answers_text("It does.", "text/plain"),
        get("/readyz", probes::ready, "isProcessReady", "Whether requests are served")
            .open()
            .answers_text("They are.", "text/plain")
            .or_text(503, "They are not yet, or no more.", "text/plain"),
        get("/problems/{kind}", problem_page::show, "explainProblem", "What a kind of error means")
            .open()
            .answers_text("The page behind the `type` of an error.", "text/plain"),
    ]
}
