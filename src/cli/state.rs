//! `cyan state recover`: puts the last good copy in place of a state file that cannot be read. No Cyan may
//! run on it.

use std::path::PathBuf;

use super::exit_code;
use super::failure::Failure;
use super::session::{Globals, actor};
use super::terminal::Terminal;
use crate::app::kept::{CopiedService, Recovery, StoreError};

/// `cyan state …`
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Put the last good copy in place of a state file that cannot be read; what is damaged is kept aside
    Recover {
        /// The `state_dir` of the config; no Cyan may run on it
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
    },
}

/// Runs the verb.
pub fn run(verb: &Verb, globals: &Globals) -> Result<(), Failure> {
    let Verb::Recover { state_dir } = verb;
    let recovery = Recovery::open(state_dir).map_err(refused)?;
    let (copied_at, services) = (recovery.copied_at().to_owned(), recovery.services());
    let mut aside = Vec::new();
    if !globals.dry_run {
        aside = recovery.put_in_place(&actor()).map_err(refused)?;
    }
    let terminal = Terminal::detect(globals.ascii);
    if globals.json {
        let is_in_place = !globals.dry_run;
        let answer = serde_json::json!({
            "copied_at": copied_at, "in_place": is_in_place, "services": services, "aside": aside,
        });
        return terminal.json(&answer);
    }
    let does = if globals.dry_run { "would take" } else { "takes" };
    terminal.line(&format!("the state of {copied_at} {does} the place of the damaged one"))?;
    for service in &services {
        terminal.line(&line(service))?;
    }
    for file in &aside {
        terminal.line(&format!("what was damaged is kept as {}", file.display()))?;
    }
    Ok(())
}

fn line(service: &CopiedService) -> String {
    let weight = |weighted: &crate::model::routing_table::Weighted| {
        format!("{} {}", weighted.environment, weighted.weight)
    };
    let weights: Vec<String> = service.weights.iter().map(weight).collect();
    let line = format!("{}: {}", service.name, weights.join(", "));
    match &service.rollout {
        Some(candidate) => format!(
            "{line}; the rollout of {candidate} takes no automatic step before `cyan unfreeze {}`",
            service.name
        ),
        None => line,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error, and reads so")]
fn refused(error: StoreError) -> Failure {
    Failure { exit_code: exit_code::REFUSED, message: error.to_string(), hint: None }
}
