//! One written value and the ways to understand it. Each reports what is wrong and answers `None` then.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::Key;
use super::reader::Reader;
use super::size;
use super::source::Place;
use crate::model::environment::Secret;

/// A value, where it stands, and what the list of keys says about it.
pub(super) struct Value<'a> {
    reader: &'a Reader<'a>,
    pub(super) place: Place,
    written: &'a DeValue<'a>,
    key: &'static Key,
}

impl<'a> Value<'a> {
    pub(super) fn new(
        reader: &'a Reader<'a>,
        place: Place,
        written: &'a DeValue<'a>,
        key: &'static Key,
    ) -> Self {
        Self { reader, place, written, key }
    }

    /// Takes note of an error about this value.
    pub(super) fn error(&self, sentence: impl fmt::Display) {
        self.reader.error(&self.place, sentence);
    }

    /// A string, with variables replaced.
    pub(super) fn text(&self) -> Option<String> {
        match self.written {
            DeValue::String(text) => self.expanded(text),
            _ => self.wrong_kind(),
        }
    }

    /// What `understand` makes of the string.
    pub(super) fn with_text<T, E: fmt::Display>(
        &self,
        understand: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        understand(&self.text()?).map_err(|error| self.error(error)).ok()
    }

    /// What `T` makes of the string.
    pub(super) fn parsed<T>(&self) -> Option<T>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        self.with_text(str::parse)
    }

    /// The strings of a list, or the only one, each with its place.
    pub(super) fn texts(&self) -> Vec<(Place, String)> {
        match self.written {
            DeValue::String(_) => {
                self.text().map(|text| (self.place.clone(), text)).into_iter().collect()
            }
            DeValue::Array(items) => items.iter().filter_map(|item| self.item(item)).collect(),
            _ => {
                let _reported: Option<()> = self.wrong_kind();
                Vec::new()
            }
        }
    }

    /// A whole number in `range`.
    pub(super) fn whole(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(integer) = self.written else { return self.wrong_kind() };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let in_range = number.filter(|number| range.contains(number));
        if in_range.is_none() {
            let (least, most) = range.into_inner();
            self.error(format!("{integer} is out of range; write {least} to {most}"));
        }
        in_range
    }

    /// A number, with or without a fraction.
    pub(super) fn number(&self) -> Option<f64> {
        let number = match self.written {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong_kind())
    }

    /// A number of bytes: a string with a unit, or an integer.
    pub(super) fn size(&self) -> Option<u64> {
        match self.written {
            DeValue::Integer(integer) if integer.radix() == 10 => {
                size::parse(integer.as_str()).map_err(|error| self.error(error)).ok()
            }
            DeValue::String(_) => self.with_text(size::parse),
            _ => self.wrong_kind(),
        }
    }

    /// A string, or the content of a file or a variable without the line's end.
    pub(super) fn secret(&self) -> Option<Secret> {
        let text = match self.written {
            DeValue::String(text) => {
                self.reader.hide(self.place.span.clone());
                self.expanded(text)?
            }
            DeValue::Table(table) => self.secret_elsewhere(table)?,
            _ => return self.wrong_kind(),
        };
        self.checked_secret(&text)
    }

    fn checked_secret(&self, text: &str) -> Option<Secret> {
        let text = text.trim_end_matches(['\r', '\n']);
        // Secrets go into headers: what cannot stand there would only fail later, and request by request.
        if text.is_empty() || text.bytes().any(|b| b < b' ' || b == 0x7f) {
            self.error("must be one line of text and not empty; look at what it holds");
            return None;
        }
        Some(Secret::new(text))
    }

    /// A path.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = self.text()?;
        if path.is_empty() {
            self.error("is an empty path; write one, or leave the key out");
            return None;
        }
        Some(PathBuf::from(path))
    }

    /// Whether it is a list without items.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.written, DeValue::Array(items) if items.is_empty())
    }

    /// The content of the file that the string names, without the line's end.
    pub(super) fn secret_in_file(&self) -> Option<Secret> {
        let text = self.file_text(&self.path()?)?;
        self.checked_secret(&text)
    }

    /// What the file at `path` holds.
    pub(super) fn file(&self, path: &Path) -> Option<Vec<u8>> {
        let read = self.reader.file(path);
        let unreadable = |error| {
            self.error(format!(
                "cannot read `{}`: {error}; check the path and who may read it",
                path.display()
            ));
        };
        read.map_err(unreadable).ok()
    }

    fn file_text(&self, path: &Path) -> Option<String> {
        let content = self.file(path)?;
        let not_text = |_| self.error("the file is not UTF-8; look at what it holds");
        String::from_utf8(content).map_err(not_text).ok()
    }

    fn secret_elsewhere(&self, table: &DeTable<'a>) -> Option<String> {
        let mut entries = table.iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else {
            return self.wrong_kind();
        };
        let DeValue::String(text) = value.get_ref() else { return self.wrong_kind() };
        let text = self.expanded(text)?;
        match key.get_ref().as_ref() {
            "file" => self.file_text(Path::new(&text)),
            "env" => {
                let value = (self.reader.surroundings.variable)(&text);
                if value.is_none() {
                    self.error(format!(
                        "variable `{text}` is not set; set it in the environment of Cyan"
                    ));
                }
                value
            }
            _ => self.wrong_kind(),
        }
    }

    fn item(&self, item: &Spanned<DeValue<'a>>) -> Option<(Place, String)> {
        let place = Place { field: self.place.field.clone(), span: item.span() };
        let DeValue::String(text) = item.get_ref() else {
            self.reader.error(&place, self.wrong_kind_sentence());
            return None;
        };
        let text = self.reader.expanded(&place, text)?;
        Some((place, text))
    }

    fn expanded(&self, text: &str) -> Option<String> {
        self.reader.expanded(&self.place, text)
    }

    fn wrong_kind<T>(&self) -> Option<T> {
        self.error(self.wrong_kind_sentence());
        None
    }

    fn wrong_kind_sentence(&self) -> String {
        let example = self.key.example.replace('\'', "\"");
        format!("must be a {}; write for example {example}", self.key.kind.name())
    }
}
