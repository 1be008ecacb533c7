//! `cyan events --requests`: single requests as they end, a line each; to see that traffic flows to
//! green, and how it fares there.

use std::ops::ControlFlow;

use super::event_reader;
use super::events::Limit;
use super::failure::Failure;
use super::session::Session;
use super::status::mark;
use super::terminal::{Ink, Terminal, say};
use crate::admin::api::{RequestSeen, RequestsLeftOut};
use crate::model::name::Name;
use crate::model::printable::printable;
use crate::model::verdict::Verdict;

/// Which requests.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// With --requests: only of this service
    #[arg(long, value_name = "NAME", value_parser = Name::new, requires = "requests")]
    service: Option<Name>,
    /// With --requests: only of this environment, or served by it
    #[arg(long, value_name = "NAME", value_parser = Name::new, requires = "requests")]
    environment: Option<Name>,
    /// With --requests: only those that ended in one of these ways, with commas in between
    #[arg(long, value_name = "VERDICT", value_parser = verdict, requires = "requests",
        value_delimiter = ',')]
    verdict: Vec<Verdict>,
}

/// Follows requests until Cyan ends, or the limit is reached.
pub(super) async fn run(which: &Which, left: &mut Limit, session: &Session) -> Result<(), Failure> {
    let is_json = session.globals.json;
    let mut is_first = session.terminal.redraws && !is_json;
    let show = |event: &str, data: &str| {
        if event == "requests_left_out" {
            say(&left_out(parsed(data)?));
            return Ok(ControlFlow::Continue(()));
        }
        if std::mem::take(&mut is_first) {
            session.terminal.line(HEADER.trim_end())?;
        }
        let shown = if is_json {
            session.terminal.next_line(data)?
        } else {
            session.terminal.next_line(&line(&parsed(data)?, session.terminal))?
        };
        Ok(left.one_more(shown))
    };
    if event_reader::follow(&session.client, &which.path(), show).await?.is_continue() {
        session.remark("the requests ended: Cyan has gone");
    }
    Ok(())
}

impl Which {
    /// Names and verdicts need no escape in a query.
    fn path(&self) -> String {
        let verdicts: Vec<_> = self.verdict.iter().map(|verdict| verdict.label()).collect();
        let mut query = Vec::new();
        query.extend(self.service.iter().map(|name| format!("service={name}")));
        query.extend(self.environment.iter().map(|name| format!("environment={name}")));
        if !verdicts.is_empty() {
            query.push(format!("verdict={}", verdicts.join(",")));
        }
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/v1/requests{mark}{}", query.join("&"))
    }
}

fn verdict(label: &str) -> Result<Verdict, String> {
    let known = Verdict::ALL.into_iter().find(|verdict| verdict.label() == label);
    known.ok_or_else(|| format!("there are: {}", Verdict::ALL.map(Verdict::label).join(", ")))
}

fn parsed<'d, T: serde::Deserialize<'d>>(data: &'d str) -> Result<T, Failure> {
    serde_json::from_str(data)
        .map_err(|error| Failure::unexpected(format!("cannot read the request {data}: {error}")))
}

/// Above the lines on a terminal; the widths are those of `line`.
const HEADER: &str = "time           environment    verdict            status       ttft      total  \
                      tokens  request";

fn line(seen: &RequestSeen, terminal: Terminal) -> String {
    let environment = seen.environment.as_ref().map_or("-", Name::as_str);
    let environment = match &seen.served_by {
        Some(by) => format!("{environment}>{by}"),
        None => environment.to_owned(),
    };
    let (ink, glyph) = match &seen.environment {
        Some(name) => mark(name.as_str(), 0, terminal.ascii),
        None => (Ink::Plain, " "),
    };
    let environment = terminal.paint(ink, &format!("{glyph} {environment:<11}"));
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let method = seen.method.as_deref().map_or_else(|| "-".into(), printable);
    let path = seen.path.as_deref().map_or_else(|| "-".into(), printable);
    format!(
        "{}  {environment}  {:<17}  {:>6}  {:>9}  {:>9}  {:>6}  {method} {path}  {}",
        time_of_day(&seen.time),
        seen.verdict,
        number(seen.status.map(u64::from)),
        seen.ttft_ms.map_or("-".to_owned(), duration),
        duration(seen.total_ms),
        number(seen.tokens_out),
        printable(&seen.request_id),
    )
}

/// `14:21:07.042Z` of `2026-11-21T14:21:07.042Z`.
fn time_of_day(time: &str) -> &str {
    time.split_once('T').map_or(time, |(_, time)| time)
}

/// Three digits that count, and the unit.
fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms if ms < 100_000.0 => format!("{:.2} s", ms / 1000.0),
        ms => format!("{:.0} s", ms / 1000.0),
    }
}

fn left_out(left_out: RequestsLeftOut) -> String {
    let RequestsLeftOut { over_rate, unread } = left_out;
    let mut why = Vec::new();
    if over_rate > 0 {
        why.push(format!("{over_rate} beyond 1000 a second"));
    }
    if unread > 0 {
        why.push(format!("{unread} because this terminal was too slow"));
    }
    format!("left out: {}; the access log has every request", why.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Terminal = Terminal { colour: false, ascii: true, redraws: false, can_ask: false };

    fn seen() -> RequestSeen {
        serde_json::from_str(
            r#"{"time":"2026-11-21T14:21:07.042Z","request_id":"r-1","service":"chat",
                "environment":"green","served_by":null,"method":"POST",
                "path":"/v1/chat/completions","status":200,"verdict":"complete",
                "tokens_out":7,"ttft_ms":12.345,"total_ms":1234.5}"#,
        )
        .unwrap()
    }

    #[test]
    fn columns_stand_below_their_names() {
        let mut sparse = seen();
        (sparse.status, sparse.ttft_ms, sparse.tokens_out) = (None, None, None);
        (sparse.environment, sparse.method, sparse.path) = (None, None, None);
        sparse.verdict = "aborted_by_server".to_owned();
        for (seen, expected) in [
            (
                seen(),
                "14:21:07.042Z  ^ green        complete              200    12.3 ms     1.23 s       7  POST /v1/chat/completions  r-1",
            ),
            (
                sparse,
                "14:21:07.042Z    -            aborted_by_server       -          -     1.23 s       -  - -  r-1",
            ),
        ] {
            let line = line(&seen, PLAIN);
            assert_eq!(line, expected);
            for word in ["environment", "verdict", "request"] {
                let at = HEADER.find(word).unwrap();
                assert_eq!(&line[at - 2..at], "  ", "{word}: {line}");
            }
            for word in ["status", "ttft", "total", "tokens"] {
                let end = HEADER.find(word).unwrap() + word.len();
                assert_eq!(&line[end..end + 2], "  ", "{word}: {line}");
            }
        }
    }

    #[test]
    fn nothing_a_client_wrote_moves_the_cursor() {
        let mut evil = seen();
        evil.path = Some("/\u{1b}[2J\u{9b}1A\u{202e}".to_owned());
        let line = line(&evil, PLAIN);
        assert!(line.contains("/\\u001b[2J\\u009b1A\\u202e"), "{line}");
    }

    #[test]
    fn times_have_three_digits() {
        for (ms, expected) in [
            (0.254, "0.25 ms"),
            (12.345, "12.3 ms"),
            (345.6, "346 ms"),
            (1234.5, "1.23 s"),
            (600_000.0, "600 s"),
        ] {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn what_is_asked_for_stands_in_the_path() {
        let name = |text| Some(Name::new(text).unwrap());
        let verdict = vec![Verdict::Stalled, Verdict::Empty];
        let which = Which { service: name("chat"), environment: name("green"), verdict };
        let path = "/v1/requests?service=chat&environment=green&verdict=stalled,empty";
        assert_eq!(which.path(), path);
        let all = Which { service: None, environment: None, verdict: Vec::new() };
        assert_eq!(all.path(), "/v1/requests");
    }
}
