//! `[service.NAME.environment.NAME.ejection]`: failures of connections that take an upstream out.

use super::super::reader::Section;
use crate::model::upstream::EjectionSpec;

pub(super) fn read(section: &Section<'_>) -> EjectionSpec {
    let default = EjectionSpec::default();
    let spec = EjectionSpec {
        failures: section.whole("failures", 0..=1000).unwrap_or(default.failures),
        backoff: section.duration("backoff", default.backoff),
        backoff_max: section.duration("backoff_max", default.backoff_max),
    };
    if spec.backoff_max < spec.backoff {
        let sentence = "the longest time out is shorter than the first; write at least `backoff`";
        section.reader.error(&section.place_of("backoff_max"), sentence);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::super::testing::{environment, environment_errors};
    use super::*;

    #[test]
    fn back_off_ends_where_it_may() {
        assert_eq!(environment("").ejection, EjectionSpec::default());
        assert_eq!(environment("ejection.failures = 0").ejection.failures, 0);
        let errors = environment_errors("ejection = { backoff = \"5s\", backoff_max = \"1s\" }");
        assert_eq!(
            errors,
            [
                "ejection.backoff_max: the longest time out is shorter than the first; write at least `backoff`"
            ]
        );
    }
}
