//! `cyan check --diff`: what a reload with this file would change of the Cyan that runs.

use std::path::Path;

use super::check::{show_warnings, verdict, warnings};
use super::exit_code;
use super::failure::Failure;
use super::session::{Globals, Session};
use super::wait;
use crate::admin::api::Service;
use crate::admin::api::config::RunningConfig;
use crate::config::settings::settings;
use crate::config::{Config, Diff, diff};

/// Compares and prints.
pub(super) fn run(path: &Path, config: &Config, globals: &Globals) -> Result<(), Failure> {
    let mut globals = globals.clone();
    // The file that is checked says where its Cyan is, unless somebody else does.
    globals.config.get_or_insert_with(|| path.to_owned());
    let session = Session::open(globals)?;
    let (running, services) = wait(ask(&session)).map_err(explained)?;
    let mut found = diff(&running.tables, &settings(config));
    found.lines.iter_mut().for_each(|line| mark_overridden(line, &services));
    if session.globals.json {
        return session.terminal.json(&serde_json::json!({
            "schema": 1, "valid": true, "errors": [], "warnings": warnings(config),
            "has_file": running.has_file,
            "changes": found.lines, "secrets_not_compared": found.secrets,
        }));
    }
    session.terminal.line(&verdict(path, config))?;
    show_warnings(config);
    session.terminal.print(&text(&found, running.has_file))
}

async fn ask(session: &Session) -> Result<(RunningConfig, Vec<Service>), Failure> {
    let running = session.client.get("/v1/config").await?;
    Ok((running, session.services().await?))
}

fn explained(failure: Failure) -> Failure {
    match failure.exit_code {
        exit_code::UNREACHABLE => {
            let message = format!(
                "the file is valid, and there is nothing to compare it with: {}",
                failure.message
            );
            let hint = "start Cyan, name the address with --admin, or leave out --diff";
            Failure { exit_code: failure.exit_code, message, hint: Some(hint.to_owned()) }
        }
        _ => failure,
    }
}

/// A field that the API has changed does not follow the file.
fn mark_overridden(line: &mut String, services: &[Service]) {
    for service in services {
        for environment in &service.environments {
            let table = format!("service.{}.environment.{}.", service.name, environment.name);
            let field = line.strip_prefix(&table).and_then(|rest| rest.split_once(": "));
            let is_overridden =
                field.is_some_and(|(field, _)| environment.overridden.iter().any(|o| o == field));
            if is_overridden {
                line.push_str("; set by the API, stays until `cyan config reset`");
                return;
            }
        }
    }
}

fn text(found: &Diff, has_file: bool) -> String {
    let mut text = found.lines.iter().fold(String::new(), |text, line| text + line + "\n");
    text += &match found.lines.len() {
        0 => "a reload would change nothing\n".to_owned(),
        1 => "1 field differs\n".to_owned(),
        count => format!("{count} fields differ\n"),
    };
    if !found.secrets.is_empty() {
        let secrets = found.secrets.join(", ");
        text += &format!("note: secrets are not compared: {secrets}\n");
    }
    if !has_file {
        text += "note: the running Cyan has no config file and cannot reload\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_differs() {
        let diff = |lines: &[&str], secrets: &[&str]| Diff {
            lines: lines.iter().map(ToString::to_string).collect(),
            secrets: secrets.iter().map(ToString::to_string).collect(),
        };
        for (found, has_file, expected) in [
            (diff(&[], &[]), true, "a reload would change nothing\n"),
            (diff(&["a: 1 -> 2"], &[]), true, "a: 1 -> 2\n1 field differs\n"),
            (
                diff(&[], &["admin.token"]),
                false,
                "a reload would change nothing\nnote: secrets are not compared: admin.token\n\
                 note: the running Cyan has no config file and cannot reload\n",
            ),
        ] {
            assert_eq!(text(&found, has_file), expected);
        }
    }
}
