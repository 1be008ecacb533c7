//! `cyan rollout list`: what was released, and what became of it.

use super::failure::Failure;
use super::session::Session;
use crate::admin::api::rollouts::{PastRollout, Rollouts};

/// `cyan rollout list [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service, unless there is only one
    service: Option<String>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Only rollouts before this one
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let service = session.service(args.service.as_deref()).await?;
    let before = args.before.map(|id| format!("&before={id}")).unwrap_or_default();
    let path = format!("/v1/services/{}/rollouts?limit={}{before}", service.name, args.limit);
    let list: Rollouts = session.client.get(&path).await?;
    if session.globals.json {
        return session.terminal.json(&list);
    }
    if list.rollouts.is_empty() {
        session.remark(&format!("{} has had no rollout", service.name));
        return Ok(());
    }
    session.terminal.print(&text(&list.rollouts))
}

/// A line each, newest first; times in UTC, as the journal has them.
fn text(rollouts: &[PastRollout]) -> String {
    let head = ["id", "candidate", "version", "started (UTC)", "ended (UTC)", "end"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(rollouts.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(rollout: &PastRollout) -> [String; 6] {
    let end = rollout.end.replace('_', " ");
    let cause = rollout.cause.as_ref().map(|cause| format!(": {}", cause.code.replace('_', " ")));
    [
        rollout.id.to_string(),
        rollout.candidate.clone(),
        rollout.version.clone().unwrap_or_else(|| "-".to_owned()),
        to_the_minute(&rollout.started),
        rollout.ended.as_deref().map_or_else(|| "-".to_owned(), to_the_minute),
        end + &cause.unwrap_or_default(),
    ]
}

/// `2026-11-21 14:02` of an RFC 3339 time.
fn to_the_minute(at: &str) -> String {
    at.get(..16).unwrap_or(at).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::rollouts::PastCause;

    #[test]
    fn a_list_is_a_table_with_the_newest_first() {
        let first = PastRollout {
            id: 9,
            candidate: "green".into(),
            base: "blue".into(),
            version: Some("v42".into()),
            started_by: "cli:ana".into(),
            started: "2026-11-21T14:02:11.042Z".into(),
            ended: Some("2026-11-21T14:09:00.000Z".into()),
            end: "rolled_back".into(),
            cause: Some(PastCause { code: "error_limit".into(), text: "…".into() }),
            has_records: true,
        };
        let second = PastRollout {
            id: 10,
            version: None,
            ended: None,
            end: "ramp".into(),
            cause: None,
            ..first.clone()
        };
        let expected = "\
id  candidate  version  started (UTC)     ended (UTC)       end
10  green      -        2026-11-21 14:02  -                 ramp
9   green      v42      2026-11-21 14:02  2026-11-21 14:09  rolled back: error limit
";
        assert_eq!(text(&[second, first]), expected);
    }
}
