//! Every key that a config may have: the one list.
//!
//! The reader refuses what is not in it, and may not read what is not in it; `config/reference.toml` and
//! `docs/reference/config.md` are printed from it (`reference`). Tests hold it against the truth: a
//! default written out changes nothing, an example changes something, every key is read.
//!
//! `NAME` in a path stands for a name that the operator chooses. Values are TOML, with `'` for `"`.

mod environment;
mod process;
mod rollout;
mod service;
mod tables;
mod warm_up;

pub use tables::TABLES;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A text.
    Text,
    /// A text, or a list of texts.
    Texts,
    /// A file or directory.
    Path,
    /// `5s`.
    Duration,
    /// `5s`, or `off`.
    DurationOrOff,
    /// `32MiB`.
    Size,
    /// A whole number.
    Whole,
    /// A number that may have a fraction.
    Number,
    /// A text that is never printed.
    Secret,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Text,
        Self::Texts,
        Self::Path,
        Self::Duration,
        Self::DurationOrOff,
        Self::Size,
        Self::Whole,
        Self::Number,
        Self::Secret,
    ];

    /// Its name in errors and documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "text or list of texts",
            Self::Path => "path",
            Self::Duration => "duration",
            Self::DurationOrOff => "duration or `off`",
            Self::Size => "size",
            Self::Whole => "whole number",
            Self::Number => "number",
            Self::Secret => "secret",
        }
    }

    /// How it is written, in one sentence.
    pub fn form(self) -> &'static str {
        match self {
            Self::Text => {
                "A string; `${VAR}` is taken from the environment, `$$` is a dollar sign."
            }
            Self::Texts => "One string, or a list of strings in brackets.",
            Self::Path => "A string; relative paths begin at the working directory.",
            Self::Duration => {
                "A string of numbers with units `d`, `h`, `m`, `s`, `ms`: `\"1h30m\"`."
            }
            Self::DurationOrOff => "As a duration; `\"off\"` for no limit.",
            Self::Size => {
                "A string with unit `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`, or bytes."
            }
            Self::Whole => "An integer.",
            Self::Number => "An integer, or a number with a decimal point.",
            Self::Secret => {
                "A string, or where it stands: `{ file = \"/run/secrets/key\" }`, `{ env = \"KEY\" }`."
            }
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `service.NAME.environment.NAME.weight`
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not written; `None` where the sentence says what happens then.
    pub default: Option<&'static str>,
    /// A value other than the default.
    pub example: &'static str,
    /// A short form of keys that are listed too, and cannot stand beside them.
    pub is_short_form: bool,
    /// One sentence: meaning, unit, range.
    pub doc: &'static str,
}

const fn preset(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { path, kind, default: Some(default), example, is_short_form: false, doc }
}

const fn unset(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default: None, example, is_short_form: false, doc }
}

const fn short(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default: None, example, is_short_form: true, doc }
}

/// Every key, in the order of the documentation. Keys of one table stand together.
pub fn all() -> impl Iterator<Item = &'static Key> + Clone {
    let parts = [process::KEYS, service::KEYS, rollout::KEYS, warm_up::KEYS, environment::KEYS];
    parts.into_iter().flatten()
}

/// The key with this path.
pub fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// The path with names that an operator could have chosen.
#[cfg(test)]
pub fn with_names(path: &str) -> String {
    let path =
        path.replace("headers.NAME", "headers.x-api-key").replace("smoke.NAME", "smoke.ready");
    let path =
        path.replace("smoke_hooks.NAME", "smoke_hooks.own").replace("hooks.NAME", "hooks.page");
    let path = path.replace("body_max_by_path.NAME", "body_max_by_path.'/v1/audio'");
    path.replacen("NAME", "chat", 1).replacen("NAME", "blue", 1)
}

/// What may follow `table` in a path: keys and tables in it, each once, in order.
pub fn children(table: &str) -> Vec<&'static str> {
    let mut children = Vec::new();
    for key in all() {
        let below = match table {
            "" => Some(key.path),
            table => key.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')),
        };
        if let Some(child) = below.and_then(|rest| rest.split('.').next())
            && !children.contains(&child)
        {
            children.push(child);
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::specimen::Specimen;
    use super::*;

    #[test]
    fn every_key_is_listed_once_and_its_table_is_described() {
        for (index, key) in all().enumerate() {
            assert!(all().take(index).all(|other| other.path != key.path), "{}", key.path);
            let table = key.path.rsplit_once('.').map_or("", |(table, _)| table);
            let described = TABLES.iter().any(|(path, _)| *path == table);
            assert!(described || table.ends_with(".cookie"), "{table}");
            assert!(key.doc.ends_with('.'), "{}", key.path);
        }
    }

    #[test]
    fn children_are_keys_and_tables() {
        assert_eq!(children("access_log"), ["path", "sample", "format"]);
        assert_eq!(children("service.NAME.environment.NAME.set_headers"), ["NAME"]);
        assert!(children("").starts_with(&["state_dir", "workers", "listen"]));
        assert_eq!(children("service.NAME.sticky"), ["sources", "body_max", "cookie"]);
        assert!(children("workers").is_empty());
    }

    #[test]
    fn every_key_is_read_and_no_other() {
        let asked = Specimen::full().asked();
        let listed: BTreeSet<_> = all().map(|key| key.path).collect();
        assert!(listed.is_superset(&asked));
        let missing: Vec<_> = listed.difference(&asked).collect();
        let only_in_short_form = ["service.NAME.sticky", "service.NAME.sticky.cookie"];
        assert!(missing.iter().all(|key| only_in_short_form.contains(*key)), "{missing:?}");
    }

    #[test]
    fn every_key_refuses_what_it_does_not_take() {
        for key in all() {
            let errors = Specimen::around(key).with(key.path, "1979-05-27").errors();
            let field = Specimen::field(key.path);
            let expected = format!(": {field}: must be a {}", key.kind.name());
            assert!(errors.iter().any(|error| error.contains(&expected)), "{field}: {errors:?}");
        }
    }

    #[test]
    fn a_default_written_out_changes_nothing_and_its_example_does() {
        for key in all() {
            let Some(default) = key.default else { continue };
            let full = || Specimen::beside(key);
            let unwritten = full().without(key.path).read();
            let default = full().with(key.path, default).read();
            assert!(unwritten == default, "{} is not the default", key.path);
            assert!(default != full().read(), "the example of {} is", key.path);
        }
    }

    #[test]
    fn short_forms_are_read() {
        for key in all().filter(|key| key.is_short_form) {
            let specimen = Specimen::around(key).with(key.path, key.example);
            assert_ne!(specimen.read(), Specimen::around(key).read(), "{}", key.path);
        }
    }
}
