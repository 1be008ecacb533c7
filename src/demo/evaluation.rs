//! The evaluation that the demo's quality gate runs: questions to the candidate, and how many of its
//! answers are right. A program of its own, as an operator's would be: it knows what the gate tells it.

use std::io::Write as _;
use std::net::SocketAddr;

use serde_json::json;

use super::traffic::{Traffic, TrafficOptions};

/// Questions asked.
const CASES: u64 = 40;
/// Asked per second.
const RATE: f64 = 40.0;

/// Asks, and prints the result as the gate reads it.
///
/// # Errors
/// A sentence, when the gate has not told where to ask, or the questions cannot be asked.
pub(super) fn run() -> Result<(), String> {
    let told = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let url = told("CYAN_BASE_URL")?;
    let to: SocketAddr = url
        .trim_start_matches("http://")
        .parse()
        .map_err(|_| format!("CYAN_BASE_URL is `{url}`, not http://IP:PORT"))?;
    let options = TrafficOptions {
        rate: RATE,
        requests_max: CASES,
        header: Some((told("CYAN_FORCE_HEADER")?, told("CYAN_FORCE_VALUE")?)),
        ..TrafficOptions::towards(to)
    };
    let traffic = Traffic::start(options).map_err(|error| format!("cannot ask: {error}"))?;
    let right = traffic.complete().right();
    #[expect(clippy::cast_precision_loss, reason = "40 cases")]
    let score = right as f64 / CASES as f64;
    let result = json!({ "score": score, "passed": right, "total": CASES });
    writeln!(std::io::stdout(), "{result}").map_err(|error| format!("cannot print: {error}"))
}
