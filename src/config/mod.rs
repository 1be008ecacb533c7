//! From a file to values: as written, as resolved, and errors that name file, line, field and remedy.
//!
//! A reading is all or nothing, and tells everything that is wrong at once. It is a pure function of
//! the text and its `Surroundings` (variables, other files): what it returns needs no check later.

mod diff;
mod element;
mod entries;
mod error;
mod expand;
mod nearest;
mod reader;
#[cfg(test)]
mod reference;
mod source;
#[cfg(test)]
mod specimen;
mod surroundings;
mod value;
mod without_a_file;

pub mod duration;
pub mod keys;
pub mod resolved;
pub mod size;
pub mod watch;

use std::collections::BTreeSet;
use std::path::Path;

use toml::de::DeTable;

pub use diff::diff;
pub use error::ConfigErrors;
pub use resolved::Config;
pub use surroundings::{Surroundings, read_file};
pub use without_a_file::without_a_file;

use error::ConfigError;
use reader::{Reader, Section};
use source::{Place, Source};

/// Reads the config file at `path`; `env` gives the value of a variable.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let file_error = |problem: String| ConfigErrors::of_file(&name, problem);
    let content = read_file(path)
        .map_err(|error| file_error(format!("cannot be read: {error}; check the path")))?;
    let text = String::from_utf8(content)
        .map_err(|_| file_error("is not UTF-8; save it as UTF-8 text".to_owned()))?;
    from_text(&text, &name, &Surroundings { variable: env, file: &read_file })
}

/// Reads a config text that goes by `name` in errors.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn from_text(
    text: &str,
    name: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Config, ConfigErrors> {
    read_source(Source::new(name, text), surroundings).0
}

/// Also tells which keys were asked for, which a test holds against `keys`.
fn read_source(
    source: Source,
    surroundings: &Surroundings<'_>,
) -> (Result<Config, ConfigErrors>, BTreeSet<&'static str>) {
    let text = source.text().to_owned();
    let (document, broken) = DeTable::parse_recoverable(&text);
    if !broken.is_empty() {
        let errors = broken.iter().map(syntax_error).collect();
        return (Err(ConfigErrors::new(source, errors, Vec::new())), BTreeSet::new());
    }
    let reader = Reader::new(surroundings);
    let config = element::process::read(&Section::root(&reader, document.get_ref()));
    let (errors, hidden, asked) = reader.finish();
    match config {
        Some(config) if errors.is_empty() => (Ok(config), asked),
        _ => (Err(ConfigErrors::new(source, errors, hidden)), asked),
    }
}

fn syntax_error(error: &toml::de::Error) -> ConfigError {
    let place = Place { field: String::new(), span: error.span().unwrap_or(0..0) };
    let problem = error.message().lines().collect::<Vec<_>>().join(", ");
    ConfigError { place, sentence: format!("{problem}; mend the TOML"), related: Vec::new() }
}
