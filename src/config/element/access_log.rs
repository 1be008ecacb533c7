//! `[access_log]`: where requests are logged. The table switches it on by standing there.

use std::path::PathBuf;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::resolved::{AccessLogSpec, LogFormat};
use super::environment::one_of;

/// The log; `None` when the table is not written.
pub(super) fn read(section: &Section<'_>) -> Option<AccessLogSpec> {
    let path = section.value("path", Kind::Path).and_then(|value| value.path());
    let sample = read_share(section, "sample");
    let format =
        one_of(section, "format", &[("json", LogFormat::Json), ("logfmt", LogFormat::Logfmt)]);
    section.is_written().then(|| AccessLogSpec {
        path: path.unwrap_or_else(|| PathBuf::from("-")),
        sample: sample.unwrap_or(1.0),
        format,
    })
}

/// A share from 0 to 1.
pub(super) fn read_share(section: &Section<'_>, key: &str) -> Option<f64> {
    let value = section.value(key, Kind::Number)?;
    let share = value.number()?;
    if !(0.0..=1.0).contains(&share) {
        value.error(format!("{share} is no share; write 0 to 1, e.g. 0.1 for every tenth"));
        return None;
    }
    Some(share)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{config, errors};
    use super::*;

    const SERVED: &str =
        "listen.http = '127.0.0.1:80'\nenvironment.blue.upstreams = 'http://h:1'\n";

    #[test]
    fn the_table_switches_it_on() {
        let with = |table: &str| config(&format!("{SERVED}{table}")).access_log;
        assert_eq!(with(""), None);
        let log = AccessLogSpec { path: "-".into(), sample: 1.0, format: LogFormat::Json };
        assert_eq!(with("[access_log]"), Some(log));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            (
                "sample = 1.5",
                "access_log.sample: 1.5 is no share; write 0 to 1, e.g. 0.1 for every tenth",
            ),
            ("format = 'text'", "access_log.format: `text` is not known; write json or logfmt"),
        ] {
            let errors = errors(&format!("{SERVED}[access_log]\n{text}"));
            assert!(errors.iter().any(|error| error.ends_with(expected)), "{errors:?}");
        }
    }
}
