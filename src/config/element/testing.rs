//! What the tables of tests share: texts in, configs or lines of errors out.

use std::io;
use std::path::Path;

use super::super::{Config, ConfigErrors, Surroundings, from_text};
use crate::model::environment::EnvironmentSpec;
use crate::model::service::ServiceSpec;

const LISTEN: &str = "listen.http = \"127.0.0.1:80\"\n";
const BLUE: &str = "[environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n";

/// Reads `text` as `a.toml`, with `TOKEN` for a variable and no files but these.
pub(in super::super) fn with_files(
    text: &str,
    files: &[(&str, &str)],
) -> Result<Config, ConfigErrors> {
    let variable = |name: &str| (name == "TOKEN").then(|| "secret-token".to_owned());
    let file = |path: &Path| {
        let found = files.iter().find(|(name, _)| path == Path::new(name));
        found.map(|(_, content)| content.as_bytes().to_vec()).ok_or(io::ErrorKind::NotFound.into())
    };
    from_text(text, "a.toml", &Surroundings { variable: &variable, file: &file, has_otlp: true })
}

pub(in super::super) fn try_config(text: &str) -> Result<Config, ConfigErrors> {
    with_files(text, &[])
}

pub(in super::super) fn config(text: &str) -> Config {
    try_config(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The errors of a text, one line each.
pub(in super::super) fn errors(text: &str) -> Vec<String> {
    try_config(text).map_or_else(|errors| errors.lines().collect(), |_| Vec::new())
}

/// A service with these keys and one environment.
pub(super) fn service(keys: &str) -> ServiceSpec {
    config(&format!("{LISTEN}{keys}\n{BLUE}")).services.remove(0)
}

/// What is wrong with these keys of a service, without file and line.
pub(super) fn service_errors(keys: &str) -> Vec<String> {
    without_position(&errors(&format!("{LISTEN}{keys}\n{BLUE}")), "")
}

/// An environment with these keys.
pub(super) fn environment(keys: &str) -> EnvironmentSpec {
    config(&format!("{LISTEN}{BLUE}{keys}")).services.remove(0).environments.remove(0)
}

/// What is wrong with these keys of an environment, without file, line and its name.
pub(super) fn environment_errors(keys: &str) -> Vec<String> {
    without_position(&errors(&format!("{LISTEN}{BLUE}{keys}")), "environment.blue.")
}

fn without_position(lines: &[String], prefix: &str) -> Vec<String> {
    let field = |line: &String| {
        let field = line.splitn(3, ':').nth(2).map(str::trim_start).unwrap_or_default();
        field.strip_prefix(prefix).unwrap_or(field).to_owned()
    };
    lines.iter().map(field).collect()
}
