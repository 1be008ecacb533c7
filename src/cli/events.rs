//! `cyan events`: follows what happens, a line per event; with `--requests`, a line per request.

use std::ops::ControlFlow;

use super::failure::Failure;
use super::session::Session;
use super::{event_reader, requests};
use crate::admin::api::Event;

/// `cyan events [--since SEQ]`, `cyan events --requests`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Begin after this number, as far as the events are still known
    #[arg(long, value_name = "SEQ", conflicts_with = "requests")]
    since: Option<u64>,
    /// End after so many lines
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Single requests as they end, instead of events
    #[arg(long)]
    requests: bool,
    #[command(flatten)]
    which: requests::Which,
}

/// Runs the verb. Ends when Cyan does, at the limit, or when nobody reads any more.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let mut left = Limit(args.limit);
    if args.requests {
        return requests::run(&args.which, &mut left, session).await;
    }
    let path = match args.since {
        Some(seq) => format!("/v1/events?since={seq}"),
        None => "/v1/events".to_owned(),
    };
    let show = |_: &str, data: &str| {
        let shown = show(session, data)?;
        Ok(left.one_more(shown))
    };
    if event_reader::follow(&session.client, &path, show).await?.is_continue() {
        session.remark("the events ended: Cyan has gone");
    }
    Ok(())
}

/// Lines that are still to be shown; `None` for all there will be.
#[derive(Debug)]
pub(super) struct Limit(Option<u64>);

impl Limit {
    /// A line was shown, unless nobody reads any more.
    pub(super) fn one_more(&mut self, shown: ControlFlow<()>) -> ControlFlow<()> {
        self.0 = self.0.map(|left| left.saturating_sub(1));
        if self.0 == Some(0) { ControlFlow::Break(()) } else { shown }
    }
}

fn show(session: &Session, data: &str) -> Result<ControlFlow<()>, Failure> {
    if session.globals.json {
        return session.terminal.next_line(data);
    }
    let event: Event = serde_json::from_str(data)
        .map_err(|error| Failure::unexpected(format!("cannot read the event {data}: {error}")))?;
    let service = event.service.map(|service| format!("{service}: ")).unwrap_or_default();
    session.terminal.next_line(&format!("{}  {service}{}", event.at, event.text))
}
