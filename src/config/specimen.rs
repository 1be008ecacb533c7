//! A config with every key at its example, for tests that hold the list of keys against the program.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use super::error::ConfigErrors;
use super::keys::{self, Key};
use super::resolved::Config;
use super::source::Source;
use super::surroundings::Surroundings;

/// Keys and values of a file, one line each.
#[derive(Clone)]
pub(super) struct Specimen(Vec<(String, String)>);

/// Beside `blue`, which has every key.
const OTHERS: [(&str, &str); 4] = [
    ("service.chat.environment.green.upstreams", "'http://10.0.0.2:8000'"),
    ("service.chat.environment.green.weight", "5"),
    ("service.chat.environment.red.upstreams", "'http://10.0.0.3:8000'"),
    ("service.chat.environment.red.weight", "0"),
];

impl Specimen {
    /// Every key but the short forms.
    pub(super) fn full() -> Self {
        let keys = keys::all().filter(|key| !key.is_short_form);
        let keys = keys.map(|key| (Self::field(key.path), key.example.to_owned()));
        let others = OTHERS.map(|(field, value)| (field.to_owned(), value.to_owned()));
        Self(keys.chain(others).collect())
    }

    /// Every key that can stand beside `key`.
    pub(super) fn around(key: &Key) -> Self {
        let mut specimen = Self::full();
        if key.is_short_form {
            let stem = Self::field(key.path);
            let stem = stem.strip_suffix("_file").unwrap_or(&stem);
            specimen.0.retain(|(field, _)| !field.starts_with(stem));
        }
        specimen
    }

    /// Every key, but for one that makes no sense without the example of `key`.
    pub(super) fn beside(key: &Key) -> Self {
        match key.path {
            "listen.trusted_proxies" => Self::full().without("listen.proxy_protocol"),
            _ => Self::full(),
        }
    }

    /// A key as it stands in the specimen.
    pub(super) fn field(path: &str) -> String {
        keys::with_names(path)
    }

    pub(super) fn without(mut self, path: &str) -> Self {
        let field = Self::field(path);
        self.0.retain(|(other, _)| *other != field);
        self
    }

    pub(super) fn with(self, path: &str, value: &str) -> Self {
        let mut specimen = self.without(path);
        specimen.0.push((Self::field(path), value.to_owned()));
        specimen
    }

    pub(super) fn read(&self) -> Config {
        self.try_read().0.unwrap_or_else(|errors| panic!("{errors}"))
    }

    pub(super) fn errors(&self) -> Vec<String> {
        self.try_read().0.map_or_else(|errors| errors.lines().collect(), |_| Vec::new())
    }

    /// The keys that the reader asks for.
    pub(super) fn asked(&self) -> BTreeSet<&'static str> {
        self.try_read().1
    }

    fn try_read(&self) -> (Result<Config, ConfigErrors>, BTreeSet<&'static str>) {
        let lines = self.0.iter().map(|(field, value)| format!("{field} = {value}\n"));
        read_with_all_files(&lines.collect::<String>())
    }
}

/// Reads a text in surroundings that have every variable and file of the examples.
pub(super) fn read_with_all_files(
    text: &str,
) -> (Result<Config, ConfigErrors>, BTreeSet<&'static str>) {
    // One for all readings, since what the files hold is a part of what was read.
    static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    });
    let (certificate, key) = &*PAIR;
    let file = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("crt") => Ok(certificate.clone().into_bytes()),
        Some("key") => Ok(key.clone().into_bytes()),
        None => Ok(b"a-secret-from-a-file\n".to_vec()),
        Some(_) => Err(io::ErrorKind::NotFound.into()),
    };
    let variable = |name: &str| Some(format!("a-secret-from-{name}"));
    let surroundings = Surroundings { variable: &variable, file: &file, has_otlp: true };
    super::read_source(Source::new("specimen.toml", text), &surroundings)
}
