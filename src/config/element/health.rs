//! `[service.NAME.environment.NAME.health]`: active probes.

use super::super::reader::Section;
use super::endpoint;
use crate::model::environment::HealthSpec;

pub(super) fn read(section: &Section<'_>) -> HealthSpec {
    let default = HealthSpec::default();
    let path = section.parsed::<String>("path");
    if let Some(path) = &path
        && endpoint::parse_path(path.split('?').next().unwrap_or_default()).is_none()
    {
        let sentence = format!("`{path}` is no path; write for example /health");
        section.reader.error(&section.place_of("path"), sentence);
    }
    let spec = HealthSpec {
        path: path.map(Into::into),
        interval: section.duration("interval", default.interval),
        timeout: section.duration("timeout", default.timeout),
        healthy_after: section.whole("healthy_after", 1..=100).unwrap_or(default.healthy_after),
        unhealthy_after: section
            .whole("unhealthy_after", 1..=100)
            .unwrap_or(default.unhealthy_after),
    };
    if section.is_written() && !section.has("path") {
        let sentence = "has no path, so nothing is probed; write path = \"/health\"";
        section.reader.error(&section.place, sentence);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::super::testing::{environment, environment_errors};
    use super::*;

    #[test]
    fn probes_need_a_path() {
        assert_eq!(environment("").health, HealthSpec::default());
        let health =
            environment("health = { path = \"/health?deep=1\", healthy_after = 2 }").health;
        assert_eq!((health.path.as_deref(), health.healthy_after), (Some("/health?deep=1"), 2));
        for (text, expected) in [
            (
                "health.interval = \"2s\"",
                "health: has no path, so nothing is probed; write path = \"/health\"",
            ),
            (
                "health.path = \"health\"",
                "health.path: `health` is no path; write for example /health",
            ),
            (
                "health = { path = \"/h\", unhealthy_after = 0 }",
                "health.unhealthy_after: 0 is out of range; write 1 to 100",
            ),
        ] {
            assert_eq!(environment_errors(text), [expected]);
        }
    }
}
