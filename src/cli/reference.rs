//! `docs/reference/cli.md`, printed from the tree of verbs and flags.
//!
//! It stands in the repository to be read; the test fails when it is stale. To print it anew:
//! `CYAN_WRITE_REFERENCE=1 cargo test --lib cli::reference`.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::exit_code;

const HEADER: &str = "\
# Command line

One program: `cyan serve` runs the proxy, the other verbs ask or change a running one through its admin
API. Data goes to standard output, progress and errors to standard error. Colour stands only on a
terminal, and not where `NO_COLOR` is set; with `--ascii`, or in a locale that is not UTF-8, only ASCII
characters are written. Completions: `cyan completions --help`; manual pages: `cyan man --help`.

The admin API is looked for at the first of: `--admin`, the variable `CYAN_ADMIN` unless it is empty, what
the Cyan that serves the file named by `--config` has announced (`admin.json` in its `state_dir`, for its own
user), `[admin]` of that file, `http://127.0.0.1:9901`. An error says which address it was and where it came
from. Of the file only `state_dir`, `admin.address` and the token are read, and no token where `--token-file`
names one: what is wrong elsewhere in it keeps nobody from a rollback.

A change shows what is before and after. On a terminal it then asks, unless `--yes` is given; elsewhere
it demands `--yes`. `--dry-run` shows the change and makes none. `cyan rollback` never asks.

<!-- Printed from src/cli/ by: CYAN_WRITE_REFERENCE=1 cargo test --lib cli::reference -->
";

fn markdown() -> String {
    let mut command = super::command();
    command.build();
    let mut text = HEADER.to_owned();
    text.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in exit_code::MEANINGS {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text.push_str("\n`cyan healthcheck` and `cyan demo` exit with 0 or 1, and 130 after Ctrl-C.\n");
    text.push_str("\n## Flags of every verb\n\n");
    text.push_str(&table(command.get_arguments().filter(|arg| arg.is_global_set())));
    for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
        describe(verb, &mut text);
    }
    text
}

/// A verb, or those below it.
fn describe(verb: &mut Command, text: &mut String) {
    if verb.has_subcommands() {
        let below = verb.get_subcommands_mut().filter(|verb| verb.get_name() != "help");
        return below.for_each(|verb| describe(verb, text));
    }
    let usage = verb.render_usage().to_string();
    let usage =
        usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string);
    let about = about.unwrap_or_default();
    let name = verb.get_bin_name().unwrap_or_default();
    let _ = writeln!(
        text,
        "\n## `{name}`\n\n{}.\n\n```text\n{usage}\n```",
        about.trim_end_matches('.')
    );
    let own: Vec<_> = verb.get_arguments().filter(|arg| is_own(arg)).collect();
    if !own.is_empty() {
        let _ = write!(text, "\n{}", table(own.into_iter()));
    }
    if let Some(more) = verb.get_after_help() {
        let _ = writeln!(text, "\n```text\n{more}\n```");
    }
}

fn is_own(arg: &Arg) -> bool {
    !arg.is_global_set()
        && !arg.is_hide_set()
        && !["help", "version"].contains(&arg.get_id().as_str())
}

fn table<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let mut text = "| argument | meaning |\n|---|---|\n".to_owned();
    for arg in args {
        let _ = writeln!(text, "| `{}` | {} |", written(arg), meaning(arg));
    }
    text
}

/// `--window WINDOW`, `SERVICE`
fn written(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let values = arg.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str);
    let values = values.collect::<Vec<_>>().join(" ").replace('|', "\\|");
    match arg.get_long() {
        Some(long) if arg.is_require_equals_set() => format!("--{long}[={values}]"),
        Some(long) if takes_value => format!("--{long} {values}"),
        Some(long) => format!("--{long}"),
        None => values,
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let possible = arg.get_possible_values();
    if !possible.is_empty() && arg.get_action().takes_values() {
        let names: Vec<_> =
            possible.iter().map(|value| format!("`{}`", value.get_name())).collect();
        let _ = write!(text, "; one of {}", names.join(", "));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, "; default `{}`", defaults.join(" "));
    }
    text
}

#[test]
fn the_documentation_is_as_printed() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    let printed = markdown();
    if std::env::var_os("CYAN_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == printed,
        "docs/reference/cli.md is stale; run CYAN_WRITE_REFERENCE=1 cargo test --lib cli::reference"
    );
}

#[test]
fn every_verb_and_argument_says_what_it_is_for() {
    fn check(command: &Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name}");
        let silent = command.get_arguments().find(|arg| arg.get_help().is_none());
        assert!(silent.is_none(), "{name}: {silent:?}");
        command.get_subcommands().for_each(check);
    }
    check(&super::command());
}
