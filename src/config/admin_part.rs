//! What leads to a running Cyan, read from a file of which nothing else need be right.
//!
//! The Cyan that runs has read the file as it was. Somebody may have saved a typo since, or may ask from
//! where variables and keys of other sections cannot be read: neither may keep anybody from a way back, nor
//! make a healthy container unhealthy.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::element::{address, admin_token};
use super::error::ConfigErrors;
use super::keys::Kind;
use super::reader::{Reader, Section};
use super::resolved::{ADMIN_ADDRESS, STATE_DIR};
use super::source::Source;
use super::surroundings::{HAS_OTLP, Surroundings, read_file};
use super::{syntax_error, unread};
use crate::model::environment::Secret;
use crate::model::listener::ListenAddress;

/// A config file, of which each call reads one thing.
pub struct AdminPart<'a> {
    source: Source,
    surroundings: Surroundings<'a>,
}

impl<'a> AdminPart<'a> {
    /// The file at `path`; `env` gives the value of a variable.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(
        path: &Path,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let content = read_file(path).map_err(|error| unread(&name, &error))?;
        Ok(Self::of(Source::new(&name, &String::from_utf8_lossy(&content)), env))
    }

    /// A file that says nothing.
    pub fn empty(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self::of(Source::new("", ""), env)
    }

    fn of(source: Source, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let surroundings = Surroundings { variable: env, file: &read_file, has_otlp: HAS_OTLP };
        Self { source, surroundings }
    }

    /// `state_dir`. Also of a file that is no TOML, as far as it can be told: what is in it speaks for itself.
    pub fn state_dir(&self) -> PathBuf {
        let written = self.read(&["state_dir"], |root| {
            root.value("state_dir", Kind::Path).and_then(|value| value.path())
        });
        written.ok().flatten().unwrap_or_else(|| STATE_DIR.into())
    }

    /// `admin.address`, or its default.
    ///
    /// # Errors
    /// When it cannot be used, or the file is no TOML: a table whose name is broken would read as the default,
    /// and another Cyan may be there.
    pub fn address(&self) -> Result<ListenAddress, ConfigErrors> {
        let (_, broken) = DeTable::parse_recoverable(self.source.text());
        if !broken.is_empty() {
            let errors = broken.iter().map(syntax_error).collect();
            return Err(ConfigErrors::new(self.source.clone(), errors, Vec::new()));
        }
        self.address_as_far_as_known()
    }

    /// The same, also of a file that is no TOML.
    ///
    /// # Errors
    /// When it is written and cannot be used.
    pub fn address_as_far_as_known(&self) -> Result<ListenAddress, ConfigErrors> {
        let written = self.read(&["admin.address"], |root| {
            let value = root.section("admin").value("address", Kind::Text);
            value.and_then(|value| value.with_text(address::parse))
        })?;
        Ok(written.unwrap_or(ListenAddress::Tcp(ADMIN_ADDRESS)))
    }

    /// The token without a name.
    ///
    /// # Errors
    /// When it is written and cannot be read from here.
    pub fn token(&self) -> Result<Option<Secret>, ConfigErrors> {
        self.read(&["admin.token", "admin.token_file"], |root| {
            admin_token::read_unnamed(&root.section("admin"))
        })
    }

    /// What `read` makes of the file, with what is wrong in `fields` and nowhere else.
    fn read<T>(
        &self,
        fields: &[&str],
        read: impl FnOnce(&Section<'_>) -> T,
    ) -> Result<T, ConfigErrors> {
        let (document, _) = DeTable::parse_recoverable(self.source.text());
        let reader = Reader::new(&self.surroundings);
        let found = read(&Section::lenient_root(&reader, document.get_ref()));
        let (mut errors, hidden, _) = reader.finish();
        errors.retain(|error| fields.contains(&error.place.field.as_str()));
        if errors.is_empty() {
            return Ok(found);
        }
        Err(ConfigErrors::new(self.source.clone(), errors, hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> AdminPart<'_> {
        let surroundings = Surroundings {
            variable: &|name| (name == "TOKEN").then(|| "secret-token".to_owned()),
            file: &|_| Err(std::io::ErrorKind::PermissionDenied.into()),
            has_otlp: false,
        };
        AdminPart { source: Source::new("a.toml", text), surroundings }
    }

    fn token(part: &AdminPart<'_>) -> Option<String> {
        part.token().unwrap().map(|token| token.expose().to_owned())
    }

    #[test]
    fn what_is_wrong_elsewhere_is_not_looked_at() {
        let text = "state_dir = '/s'\nstiky = 1\n[listen]\nhttps = '127.0.0.1:443'\n\
                    key_file = '/nowhere/key'\n[otlp]\nendpoint = '${NONE}'\n[admin]\nadress = 1\n\
                    address = '0.0.0.0:9'\ntoken = '${TOKEN}'\n[admin.tokens.ana]\ntoken = '${NONE}'\n";
        let part = part(text);
        assert_eq!(part.state_dir(), Path::new("/s"));
        assert_eq!(part.address().unwrap().to_string(), "0.0.0.0:9");
        assert_eq!(token(&part).as_deref(), Some("secret-token"));
        let empty = self::part("");
        assert_eq!(empty.address().unwrap().to_string(), "127.0.0.1:9901");
        assert_eq!((empty.state_dir(), token(&empty)), ("./cyan-state".into(), None));
    }

    #[test]
    fn what_is_wrong_in_it_is_told_where_it_is_asked_for() {
        let part = part("[admin]\naddress = ':9'\ntoken_file = '/nowhere/token'\n");
        let address = part.address().unwrap_err().to_string();
        assert!(address.starts_with("a.toml:2: admin.address: `:9` does not say "), "{address}");
        assert!(!address.contains("token"), "{address}");
        let token = part.token().unwrap_err().to_string();
        assert!(token.starts_with("a.toml:3: admin.token_file: "), "{token}");
        assert!(!token.contains("address"), "{token}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_read_as_far_as_it_goes() {
        for typo in ["[listen", "x = ", "x = 'open", "= 1", "[[", "y = 1 2", "}"] {
            let text = format!(
                "state_dir = '/s'\n[admin]\naddress = '127.0.0.1:9'\ntoken = '${{TOKEN}}'\n{typo}\n\
                 [listen]\nhttp = '127.0.0.1:1'\n"
            );
            let part = part(&text);
            assert_eq!(part.state_dir(), Path::new("/s"), "{typo}");
            assert_eq!(
                part.address_as_far_as_known().unwrap().to_string(),
                "127.0.0.1:9",
                "{typo}"
            );
            assert_eq!(token(&part).as_deref(), Some("secret-token"), "{typo}");
            let refused = part.address().unwrap_err().to_string();
            assert!(refused.starts_with("a.toml:5: "), "{refused}");
        }
    }
}
