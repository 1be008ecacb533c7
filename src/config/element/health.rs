//! `[service.NAME.environment.NAME.health]`: active probes, and when silence makes an upstream suspect.

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
        no_progress: section.duration_or_off("no_progress", default.no_progress),
    };
    let of_probes = ["interval", "timeout", "healthy_after", "unhealthy_after"];
    if of_probes.iter().any(|key| section.has(key)) && !section.has("path") {
        let sentence = "has no path, so nothing is probed; write path = \"/health\"";
        section.reader.error(&section.place, sentence);
    }
    spec
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{environment, environment_errors};
    use super::*;

    #[test]
    fn probes_need_a_path_and_silence_none() {
        assert_eq!(environment("").health, HealthSpec::default());
        let health =
            environment("health = { path = \"/health?deep=1\", healthy_after = 2 }").health;
        assert_eq!((health.path.as_deref(), health.healthy_after), (Some("/health?deep=1"), 2));
        let health = environment("health.no_progress = \"20s\"").health;
        assert_eq!((health.path, health.no_progress), (None, Some(Duration::from_secs(20))));
        assert_eq!(environment("health.no_progress = \"off\"").health.no_progress, None);
        for (text, expected) in [
            (
                "health.no_progress = \"0s\"",
                "health.no_progress: must not be zero; write \"off\" for no limit",
            ),
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
