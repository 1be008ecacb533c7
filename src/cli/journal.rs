//! `cyan journal`: who changed what, when and why; the newest last, as a log reads.

use super::failure::Failure;
use super::session::Session;
use crate::admin::api::{Journal, JournalEntry};

/// `cyan journal [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this service
    service: Option<String>,
    /// How many entries
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only entries older than this one
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let service = match &args.service {
        Some(name) => format!("&service={}", session.service(Some(name)).await?.name),
        None => String::new(),
    };
    let before = args.before.map(|id| format!("&before={id}")).unwrap_or_default();
    let path = format!("/v1/journal?limit={}{service}{before}", args.limit);
    let journal: Journal = session.client.get(&path).await?;
    for entry in journal.entries.iter().rev() {
        if session.globals.json {
            session.terminal.json(entry)?;
        } else {
            session.terminal.line(&line(entry))?;
        }
    }
    if journal.entries.is_empty() {
        session.remark("nothing was changed yet");
    }
    Ok(())
}

fn line(entry: &JournalEntry) -> String {
    let service = entry.service.as_ref().map(|s| format!("{s}: ")).unwrap_or_default();
    let reason = entry.reason.as_ref().map(|r| format!(": \"{r}\"")).unwrap_or_default();
    format!("{:>5}  {}  {service}{} ({}{reason})", entry.id, entry.at, entry.text, entry.actor)
}
