//! From a file to values: as written, as resolved, and errors that name file, line, field and remedy.
//!
//! A reading is all or nothing, and tells everything that is wrong at once. It is a pure function of
//! the text and its `Surroundings` (variables, other files): what it returns needs no check later.

mod admin_part;
mod diff;
mod element;
mod entries;
mod error;
mod expand;
mod nearest;
pub mod overrides;
mod reader;
#[cfg(test)]
mod reference;
mod source;
#[cfg(test)]
mod specimen;
mod surroundings;
mod value;
mod without_a_file;

pub use crate::model::duration;
pub mod keys;
pub mod resolved;
pub mod settings;
pub mod size;
pub mod watch;

use std::collections::BTreeSet;
use std::path::Path;

use toml::de::DeTable;

pub use admin_part::AdminPart;
pub use diff::{Diff, diff};
pub use error::{ConfigErrors, Finding};
pub use resolved::Config;
pub use surroundings::{HAS_OTLP, Surroundings, read_file};
pub use without_a_file::{Arguments, listener_in_full, quoted, upstream_in_full, without_a_file};

use error::ConfigError;
use reader::{Reader, Section};
use source::{Place, Source};

/// Reads the config file at `path`; `env` gives the value of a variable.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let content = read_file(path).map_err(|error| unread(&name, &error))?;
    let text = String::from_utf8(content).map_err(|_| {
        ConfigErrors::of_file(&name, "is not UTF-8; save it as UTF-8 text".to_owned())
    })?;
    let surroundings = Surroundings { variable: env, file: &read_file, has_otlp: HAS_OTLP };
    from_text(&text, &name, &surroundings)
}

fn unread(name: &str, error: &std::io::Error) -> ConfigErrors {
    ConfigErrors::of_file(name, format!("cannot be read: {error}; check the path"))
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
    let files = reader.files();
    let (errors, hidden, asked) = reader.finish();
    match config {
        Some(config) if errors.is_empty() => (Ok(config), asked),
        _ => (Err(ConfigErrors::new(source, errors, hidden).naming(files)), asked),
    }
}

fn syntax_error(error: &toml::de::Error) -> ConfigError {
    let place = Place { field: String::new(), span: error.span().unwrap_or(0..0) };
    let problem = error.message().lines().collect::<Vec<_>>().join(", ");
    let sentence = format!("{problem}; {}", remedy(&problem));
    ConfigError { place, sentence, related: Vec::new() }
}

/// What mends a document, as far as the parser's words tell.
fn remedy(problem: &str) -> &'static str {
    let known = [
        ("duplicate key", "each stands once, remove one or join them"),
        ("unclosed table", "close the name of the table with `]`"),
        ("invalid basic string", "close the text with `\"` on the line where it begins"),
        ("string values must be quoted", "put a value after `=`, and texts in quotes"),
    ];
    let found = known.into_iter().find(|(words, _)| problem.starts_with(words));
    found.map_or("mend the TOML", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::element::testing::{errors, try_config};
    use super::*;

    const TWO_ERRORS: &str = "\
[listen]
http = \"127.0.0.1:8080\"
[service.chat]
stiky = [\"bearer\"]
[service.chat.environment.blue]
upstreams = [\"http://127.0.0.1:8001\"]
weight = 75           # blue
[service.chat.environment.green]
upstreams = [\"http://127.0.0.1:8002\"]
weight = 35           # green
";

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let errors = try_config(TWO_ERRORS).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "a.toml:4: service.chat: unknown key `stiky`, did you mean `sticky`?\n\
             a.toml:10: service.chat.environment.green.weight: 75 + 35 = 110, must be 100; write 25, or leave one weight out and it takes the rest\n\
             2 errors; nothing was changed"
        );
        assert_eq!(
            errors.render_excerpts(),
            "a.toml:4: service.chat: unknown key `stiky`, did you mean `sticky`?\n    \
             4 | stiky = [\"bearer\"]\n      \
             | ^^^^^\n\
             a.toml:10: service.chat.environment.green.weight: 75 + 35 = 110, must be 100\n    \
             7 | weight = 75           # blue\n   \
             10 | weight = 35           # green\n      \
             |          ^^\n\
             hint: write 25, or leave one weight out and it takes the rest\n\
             2 errors; nothing was changed"
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        for (text, expected) in [
            (
                "a = 1\na = 2\n",
                "a.toml:2: duplicate key; each stands once, remove one or join them",
            ),
            (
                "[listen]\n[listen]\n",
                "a.toml:2: duplicate key; each stands once, remove one or join them",
            ),
            (
                "\nhttp = \n",
                "a.toml:2: string values must be quoted, expected literal string; put a value after `=`, and texts in quotes",
            ),
        ] {
            assert_eq!(errors(text), [expected]);
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let expected = "a.toml:1: state_dir: variable `HOME_OF_CYAN` is not set; set it in the environment of Cyan, or write the value here";
        let errors = errors("state_dir = \"${HOME_OF_CYAN}\"\n");
        assert!(errors.iter().any(|error| error == expected), "{errors:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cyan.toml");
        let problem = |path: &Path| {
            let line = load(path, &|_| None).unwrap_err().lines().next().unwrap();
            line.strip_prefix(&format!("{}:1: ", path.display())).unwrap().to_owned()
        };
        assert_eq!(
            problem(&path),
            "cannot be read: No such file or directory (os error 2); check the path"
        );
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(problem(&path), "is not UTF-8; save it as UTF-8 text");
        std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
        assert_eq!(problem(&path), "cannot be read: it has more than 1 MiB; check the path");
    }

    proptest! {
        /// Whatever a slip makes of a file: an answer, and never a panic.
        #[test]
        fn no_text_makes_the_reader_panic(at in 0..2000_usize, cut in 0..40_usize, put in ".{0,12}") {
            let text = include_str!("../../config/canary.toml");
            let kept: String = text.chars().take(at).collect();
            let rest: String = text.chars().skip(at + cut).collect();
            let slipped = format!("{kept}{put}{rest}");
            if let Err(errors) = try_config(&slipped) {
                prop_assert!(errors.render_excerpts().ends_with("nothing was changed"));
            }
        }
    }
}
