//! What happened: events, the journal, single requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::name::Name;

/// One server-sent event of `GET /v1/events`. `seq` is also its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Rises with every event, over restarts and takeovers too.
    pub seq: u64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The service it concerns; none for the process.
    pub service: Option<Name>,
    /// A stable code: `weights_set`, `drained`, `upstream_down`.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// The numbers of the sentence.
    pub details: Value,
}

/// `GET /v1/journal`, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// The entries.
    pub entries: Vec<JournalEntry>,
    /// `?before=` of the next page; none at the beginning of the journal.
    pub next_before: Option<i64>,
}

/// Who changed what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// Rises with every entry.
    pub id: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The service; none for the process.
    pub service: Option<String>,
    /// The service's generation after it.
    pub generation: u64,
    /// Who.
    pub actor: String,
    /// A stable code.
    pub kind: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// One sentence for people.
    pub text: String,
    /// The service's record before.
    pub before: Value,
    /// The service's record after.
    pub after: Value,
    /// The numbers of the sentence.
    pub details: Value,
}

/// The event `request` of `GET /v1/requests`: the record of one exchange, as in the access log. Only the
/// fields that the command line shows in columns; docs/reference/access-log.md has all of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RequestSeen {
    /// When it ended, in RFC 3339.
    pub time: String,
    /// The id of the request.
    pub request_id: String,
    /// The service.
    pub service: Option<Name>,
    /// The environment it counts for.
    pub environment: Option<Name>,
    /// The environment that served it, where that is another one.
    pub served_by: Option<Name>,
    /// The method.
    pub method: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// How it ended.
    pub verdict: String,
    /// Tokens that were generated.
    pub tokens_out: Option<u64>,
    /// Request head to first content.
    pub ttft_ms: Option<f64>,
    /// Request head to the end.
    pub total_ms: f64,
}

/// The event `requests_left_out` of `GET /v1/requests`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestsLeftOut {
    /// Because there were more than are shown in a second.
    pub over_rate: u64,
    /// Because this watcher had not read those before.
    pub unread: u64,
}
