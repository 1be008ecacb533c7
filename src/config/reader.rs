//! Reads typed values out of a parsed document, and collects everything that is wrong on the way.
//!
//! A value that is wrong is reported and read as if it were not written, so that one look at the file
//! tells about all its errors. A section refuses keys that `keys` does not list when it is opened, and
//! panics in tests when the program asks for a key, or a kind, that is not listed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::expand::expand;
use super::keys::{self, Kind};
use super::nearest::nearest;
use super::source::Place;
use super::surroundings::Surroundings;
use super::value::Value;
use super::{duration, size};
use crate::model::environment::Secret;
use crate::model::name::Name;

/// Most errors that are reported; a file of another format would have one per line.
const ERRORS_MAX: usize = 100;

/// What one reading of a file has found out.
pub(super) struct Reader<'a> {
    pub(super) surroundings: &'a Surroundings<'a>,
    errors: RefCell<Vec<ConfigError>>,
    hidden: RefCell<Vec<Range<usize>>>,
    asked: RefCell<BTreeSet<&'static str>>,
    from_variables: RefCell<BTreeSet<String>>,
    files: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(surroundings: &'a Surroundings<'a>) -> Self {
        Self {
            surroundings,
            errors: RefCell::default(),
            hidden: RefCell::default(),
            asked: RefCell::default(),
            from_variables: RefCell::default(),
            files: RefCell::default(),
        }
    }

    /// Takes note of an error; `sentence` reads `problem; remedy`.
    pub(super) fn error(&self, place: &Place, sentence: impl fmt::Display) {
        self.error_with(place, sentence, Vec::new());
    }

    /// Takes note of an error that is about other values too.
    pub(super) fn error_with(
        &self,
        place: &Place,
        sentence: impl fmt::Display,
        related: Vec<Range<usize>>,
    ) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < ERRORS_MAX {
            let sentence = sentence.to_string();
            errors.push(ConfigError { place: place.clone(), sentence, related });
        }
    }

    /// Covers bytes of the text in whatever is shown of it.
    pub(super) fn hide(&self, span: Range<usize>) {
        self.hidden.borrow_mut().push(span);
    }

    /// The text of this place with every variable replaced.
    pub(super) fn expanded(&self, place: &Place, text: &str) -> Option<String> {
        let value_of = |name: &str| {
            self.from_variables.borrow_mut().insert(place.field.clone());
            (self.surroundings.variable)(name)
        };
        expand(text, &value_of).map_err(|error| self.error(place, error)).ok()
    }

    /// The fields in which a variable was replaced: what it holds may be a secret.
    pub(super) fn fields_from_variables(&self) -> BTreeSet<String> {
        self.from_variables.take()
    }

    /// What the file at `path` holds.
    pub(super) fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.borrow_mut().insert(path.to_owned());
        (self.surroundings.file)(path)
    }

    /// The files that were read, or should have been.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        self.files.borrow().clone()
    }

    /// Errors, covered bytes and the paths of the keys that were asked for.
    pub(super) fn finish(self) -> (Vec<ConfigError>, Vec<Range<usize>>, BTreeSet<&'static str>) {
        (self.errors.into_inner(), self.hidden.into_inner(), self.asked.into_inner())
    }
}

/// One table of the document, or the place where it could stand.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// The table itself, for errors about it as a whole.
    pub(super) place: Place,
    /// Its path in `keys`.
    pattern: String,
    table: Option<&'a DeTable<'a>>,
}

impl<'a> Section<'a> {
    /// The top of the document, where the keys of a single service may stand too.
    pub(super) fn root(reader: &'a Reader<'a>, table: &'a DeTable<'a>) -> Self {
        let place = Place { field: String::new(), span: 0..0 };
        let root = Self { reader, place, pattern: String::new(), table: Some(table) };
        let mut known = keys::children("");
        known.extend(keys::children(SERVICE));
        root.refuse_unknown_keys(&known);
        root
    }

    /// The top of a document of which only a part is read; whatever else stands there is not looked at.
    pub(super) fn lenient_root(reader: &'a Reader<'a>, table: &'a DeTable<'a>) -> Self {
        let place = Place { field: String::new(), span: 0..0 };
        Self { reader, place, pattern: String::new(), table: Some(table) }
    }

    /// A document of its own that holds a table which `keys` lists as `pattern`, and of it only the keys
    /// in `known`.
    pub(super) fn only(
        reader: &'a Reader<'a>,
        table: &'a DeTable<'a>,
        pattern: &str,
        known: &[&'static str],
    ) -> Self {
        let place = Place { field: String::new(), span: 0..0 };
        let section = Self { reader, place, pattern: pattern.to_owned(), table: Some(table) };
        section.refuse_unknown_keys(known);
        section
    }

    /// The top of the document read as the service whose keys stand there; `None` when none do.
    pub(super) fn as_only_service(&self) -> Option<Self> {
        let of_a_service = keys::children(SERVICE);
        let written = self.written_keys();
        let first = written.into_iter().find(|(key, _)| of_a_service.contains(key))?;
        let place = Place { field: String::new(), span: first.1 };
        Some(Self { place, pattern: SERVICE.to_owned(), ..self.clone() })
    }

    /// The table `key` of this one; empty when it is not written.
    pub(super) fn section(&self, key: &str) -> Self {
        self.section_listed_as(key, key)
    }

    /// The tables in the table `key`, with their names, in the order of the file.
    pub(super) fn named_sections(&self, key: &str) -> Vec<(Name, Self)> {
        let parent = self.section(key);
        let mut sections = Vec::new();
        for (written, span) in parent.written_keys() {
            let section = parent.section_listed_as(written, "NAME");
            match Name::new(written) {
                Ok(name) => sections.push((name, section)),
                Err(error) => self.reader.error(&parent.place_at(written, span), error),
            }
        }
        sections
    }

    /// Whether anything of this table is written.
    pub(super) fn is_written(&self) -> bool {
        self.table.is_some()
    }

    /// The keys that are written in it, in the order of the file.
    pub(super) fn written_keys(&self) -> Vec<(&'a str, Range<usize>)> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let mut keys: Vec<_> =
            entries.map(|(key, _)| (key.get_ref().as_ref(), key.span())).collect();
        keys.sort_by_key(|(_, span)| span.start);
        keys
    }

    /// The value of `key`, which `keys` lists with this kind.
    pub(super) fn value(&self, key: &str, kind: Kind) -> Option<Value<'a>> {
        self.value_listed_as(key, key, kind)
    }

    /// Every value of a table whose keys the operator chooses.
    pub(super) fn chosen_values(&self, kind: Kind) -> Vec<(&'a str, Value<'a>)> {
        let _listed = self.value_listed_as("NAME", "NAME", kind);
        let written = self.written_keys().into_iter();
        written
            .filter_map(|(key, _)| Some((key, self.value_listed_as(key, "NAME", kind)?)))
            .collect()
    }

    /// Where `key` is written, or should be.
    pub(super) fn place_of(&self, key: &str) -> Place {
        let span = self.find(key).map_or(self.place.span.clone(), Spanned::span);
        self.place_at(key, span)
    }

    /// Whether `key` is written, as whatever it may be.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether `key` is written and is a table.
    pub(super) fn has_table(&self, key: &str) -> bool {
        self.find(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)))
    }

    fn section_listed_as(&self, key: &str, listed: &str) -> Self {
        let found = self.find(key);
        // The span of a table is its header, that of its key only the last word in it.
        let span = found.map_or(self.place.span.clone(), Spanned::span);
        let place = self.place_at(key, span);
        let table = match found.map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            Some(_) => {
                self.reader.error(&place, format!("must be a table; write [{}]", place.field));
                None
            }
            None => None,
        };
        let pattern = join(&self.pattern, listed);
        let section = Self { reader: self.reader, place, pattern, table };
        section.refuse_unknown_keys(&keys::children(&section.pattern));
        section
    }

    fn value_listed_as(&self, key: &str, listed: &str, kind: Kind) -> Option<Value<'a>> {
        let pattern = join(&self.pattern, listed);
        let known = keys::find(&pattern);
        debug_assert!(
            known.is_some_and(|known| known.kind == kind),
            "`{pattern}` is read as {kind:?}, but `config::keys` lists {known:?}"
        );
        let known = known?;
        self.reader.asked.borrow_mut().insert(known.path);
        let value = self.find(key)?;
        Some(Value::new(self.reader, self.place_at(key, value.span()), value.get_ref(), known))
    }

    fn find(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(key)
    }

    fn place_at(&self, key: &str, span: Range<usize>) -> Place {
        // A path as a key is written in quotes.
        let key = if key.contains('/') { format!("'{key}'") } else { key.to_owned() };
        Place { field: join(&self.place.field, &key), span }
    }

    fn refuse_unknown_keys(&self, known: &[&'static str]) {
        if known.contains(&"NAME") {
            return;
        }
        for (key, span) in self.written_keys() {
            if known.contains(&key) {
                continue;
            }
            let place = Place { field: self.place.field.clone(), span };
            let hint = match nearest(key, known.iter().copied()) {
                Some(meant) => format!(", did you mean `{meant}`?"),
                None => format!("; known here: {}", known.join(", ")),
            };
            self.reader.error(&place, format!("unknown key `{key}`{hint}"));
        }
    }
}

/// Values with a default, one line each for those who read a table.
impl Section<'_> {
    /// A text that `T` understands.
    pub(super) fn parsed<T>(&self, key: &str) -> Option<T>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        self.value(key, Kind::Text)?.parsed()
    }

    /// A duration of at least a millisecond.
    pub(super) fn duration(&self, key: &str, default: Duration) -> Duration {
        let Some(value) = self.value(key, Kind::Duration) else { return default };
        match value.with_text(duration::parse) {
            Some(Duration::ZERO) => {
                value.error("must not be zero; write at least 1ms");
                default
            }
            duration => duration.unwrap_or(default),
        }
    }

    /// A duration of at least a millisecond; `off`, which is `None`, is no limit.
    pub(super) fn duration_or_off(&self, key: &str, default: Option<Duration>) -> Option<Duration> {
        let Some(value) = self.value(key, Kind::DurationOrOff) else { return default };
        let limit = value.with_text(|text| match text {
            "off" => Ok(None),
            text => duration::parse(text).map(Some),
        });
        if limit == Some(Some(Duration::ZERO)) {
            value.error("must not be zero; write \"off\" for no limit");
        }
        limit.unwrap_or(default)
    }

    /// A duration for which zero means something.
    pub(super) fn duration_or_zero(&self, key: &str, default: Duration) -> Duration {
        let value = self.value(key, Kind::Duration);
        value.and_then(|value| value.with_text(duration::parse)).unwrap_or(default)
    }

    /// A number of bytes in `range`.
    pub(super) fn size(
        &self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let Some(value) = self.value(key, Kind::Size) else { return default };
        let Some(bytes) = value.size() else { return default };
        if range.contains(&bytes) {
            return bytes;
        }
        let (least, most) = (size::print(*range.start()), size::print(*range.end()));
        value.error(format!("{} is out of range; write {least} to {most}", size::print(bytes)));
        default
    }

    /// A whole number in `range`.
    pub(super) fn whole(&self, key: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        self.value(key, Kind::Whole)?.whole(range)
    }

    /// The texts of a list, or the only one, each with its place.
    pub(super) fn texts(&self, key: &str) -> Vec<(Place, String)> {
        self.value(key, Kind::Texts).map(|value| value.texts()).unwrap_or_default()
    }

    /// A text that is not printed.
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        self.value(key, Kind::Secret)?.secret()
    }

    /// A path and what the file holds.
    pub(super) fn file(&self, key: &str) -> Option<(PathBuf, Vec<u8>)> {
        let value = self.value(key, Kind::Path)?;
        let path = PathBuf::from(value.text()?);
        let content = value.file(Path::new(&path))?;
        Some((path, content))
    }
}

/// The table of a service in `keys`.
const SERVICE: &str = "service.NAME";

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
