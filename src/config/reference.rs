//! `config/reference.toml` and `docs/reference/config.md`, printed from the list of keys.
//!
//! Both stand in the repository to be read; the tests fail when they are stale. To print them anew:
//! `CYAN_WRITE_REFERENCE=1 cargo test --lib config::reference`.

use std::fmt::Write as _;

use super::keys::{self, Kind, TABLES};

/// Keys that a file cannot do without: their examples are active.
const NEEDED: [&str; 2] = ["listen.http", "service.NAME.environment.NAME.upstreams"];

/// Tables that switch something on by standing there: they are commented out as a whole.
const SWITCHES: [&str; 20] = [
    "listen.certificates.NAME",
    "admin.tokens.NAME",
    "access_log",
    "otlp",
    "otlp.headers",
    "hooks.NAME",
    "service.NAME.requests_per_client",
    "service.NAME.sticky.cookie",
    "service.NAME.force",
    "service.NAME.rollout.quality",
    "service.NAME.rollout.smoke.NAME",
    "service.NAME.rollout.smoke.NAME.headers",
    "service.NAME.rollout.smoke.NAME.expect",
    "service.NAME.rollout.probes",
    "service.NAME.rollout.probes.headers",
    "service.NAME.rollout.warm_up",
    "service.NAME.rollout.warm_up.headers",
    "service.NAME.rollout.warm_up.mirror",
    "service.NAME.rollout.smoke_hooks.NAME",
    "service.NAME.environment.NAME.health",
];

const TOML_HEADER: &str = "\
# Every key of Cyan. An active line shows the default, or what has to be written; `#key = …` an example.
# Printed from src/config/keys/ by: CYAN_WRITE_REFERENCE=1 cargo test --lib config::reference
# Values and their units: docs/reference/config.md. Check a file with: cyan check FILE
";

const TOML_FOOTER: &str = "
# Further environments; names are free.
[service.chat.environment.green]
upstreams = [\"http://10.0.0.2:8000\"]
weight = 5

[service.chat.environment.red]
upstreams = [\"http://10.0.0.3:8000\"]
weight = 0
";

const MARKDOWN_HEADER: &str = "\
# Config reference

Cyan reads one TOML file: `cyan serve --config cyan.toml`. `cyan check cyan.toml` tells everything that
is wrong with it. Unknown keys are errors. With a single service, the keys of `[service.NAME]` may stand
at the top of the file and `[service.NAME.environment.blue]` becomes `[environment.blue]`.

A reload (SIGHUP, or a change of the file or of one that it names) is all or nothing. It takes over what
services own; what stands before them needs a restart, TLS of `[listen]` and tokens of `[admin]` excepted.
Weights and roles in the file are those of a first start: afterwards the state in `state_dir` knows better.

<!-- Printed from src/config/keys/ by: CYAN_WRITE_REFERENCE=1 cargo test --lib config::reference -->
";

fn toml() -> String {
    let mut text = TOML_HEADER.to_owned();
    let mut table = None;
    for key in keys::all() {
        let (path, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        let is_switch = SWITCHES.contains(&path);
        if table != Some(path) {
            table = Some(path);
            text.push_str(&table_header(path, is_switch));
        }
        let is_active = !is_switch && (key.default.is_some() || NEEDED.contains(&key.path));
        text.push_str(&comment(key.doc));
        let mark = match (key.is_short_form, is_active) {
            (true, _) => "# Written: ",
            (false, true) => "",
            (false, false) => "#",
        };
        let name = match name {
            "NAME" => match path.rsplit('.').next() {
                Some("models") => "gpt-4o",
                Some("plans") => "fast",
                Some("body_max_by_path") => "'/v1/audio'",
                _ => "x-api-key",
            },
            name => name,
        };
        let value = quoted(key.default.unwrap_or(key.example));
        writeln!(text, "{mark}{name} = {value}").expect("writing to a string cannot fail");
    }
    text + TOML_FOOTER
}

fn table_header(path: &str, is_switch: bool) -> String {
    let doc = TABLES.iter().find(|(table, _)| *table == path).map_or("", |(_, doc)| doc);
    let comment = comment(doc);
    let path = keys::with_names(path);
    match (path.as_str(), is_switch) {
        ("", _) => format!("\n{comment}"),
        (path, true) => format!("\n{comment}#[{path}]\n"),
        (path, false) => format!("\n{comment}[{path}]\n"),
    }
}

/// Lines of at most 100 columns; none for no words.
fn comment(words: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < 100 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn markdown() -> String {
    let mut text = MARKDOWN_HEADER.to_owned();
    let mut table = None;
    for key in keys::all() {
        let (path, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if table != Some(path) {
            table = Some(path);
            text.push_str(&section(path));
        }
        let default = match key.default {
            Some(default) => format!("`{}`", quoted(default)),
            None => format!("none, e.g. `{}`", quoted(key.example)),
        };
        let (kind, doc) = (key.kind.name(), key.doc);
        writeln!(text, "| `{name}` | {kind} | {default} | {doc} |")
            .expect("writing to a string cannot fail");
    }
    text.push_str("\n## Values\n\n| kind | how it is written |\n|---|---|\n");
    for kind in Kind::ALL {
        writeln!(text, "| {} | {} |", kind.name(), kind.form())
            .expect("writing to a string cannot fail");
    }
    text
}

fn section(path: &str) -> String {
    let doc = TABLES.iter().find(|(table, _)| *table == path).map_or("", |(_, doc)| doc);
    let title = if path.is_empty() { "Top of the file".to_owned() } else { format!("`[{path}]`") };
    let doc = if doc.is_empty() { String::new() } else { format!("{doc}\n\n") };
    format!("\n## {title}\n\n{doc}| key | takes | default | meaning |\n|---|---|---|---|\n")
}

/// Values stand in the list with `'` for `"`.
fn quoted(value: &str) -> String {
    value.replace('\'', "\"")
}

mod tests {
    use std::path::{Path, PathBuf};

    use super::super::specimen::read_with_all_files;
    use super::super::{Config, load};
    use super::*;

    fn in_project(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// Compares, or writes when asked to.
    fn holds(path: &str, expected: &str) {
        let path = in_project(path);
        if std::env::var_os("CYAN_WRITE_REFERENCE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{} is stale; run CYAN_WRITE_REFERENCE=1 cargo test --lib config::reference",
            path.display()
        );
    }

    fn loaded(name: &str) -> Config {
        let variable = |variable: &str| match variable {
            "GREEN_URL" => Some("https://green.chat.svc:8443".to_owned()),
            "CYAN_ADMIN_TOKEN" => Some("a-long-admin-token".to_owned()),
            _ => None,
        };
        load(&in_project(name), &variable).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn files_are_as_printed() {
        holds("config/reference.toml", &toml());
        holds("docs/reference/config.md", &markdown());
    }

    #[test]
    fn the_reference_file_loads_as_it_stands_and_with_every_line_active() {
        assert_eq!(loaded("config/reference.toml").services[0].name, "chat");
        let activate = |line: &str| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        };
        let all: String = toml().lines().map(activate).collect();
        let config = read_with_all_files(&all).0.unwrap_or_else(|errors| panic!("{errors}"));
        assert!(config.access_log.is_some() && config.services[0].force.is_some());
    }

    #[test]
    fn the_other_files_load_and_mean_what_they_say() {
        let shares = |config: &Config| {
            let weights = config.services[0].initial.weights.iter();
            weights.map(|w| format!("{} {}", w.environment, w.weight)).collect::<Vec<_>>()
        };
        assert_eq!(shares(&loaded("config/minimal.toml")), ["blue 100", "green 0"]);
        assert_eq!(shares(&loaded("config/canary.toml")), ["blue 95", "green 5"]);
        let sidecar = loaded("config/sidecar.toml");
        assert_eq!(sidecar.listeners[0].address.to_string(), "0.0.0.0:8080");
        assert!(sidecar.services[0].environments[1].upstreams[0].tls);
        assert!(sidecar.admin.token.is_some());
    }
}
