//! `[service.NAME.environment.NAME.timeouts]`: how long each part of an exchange may take.

use super::super::reader::Section;
use crate::model::timeouts::Timeouts;

pub(super) fn read(section: &Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        connect: section.duration("connect", default.connect),
        response_head: section.duration("response_head", default.response_head),
        idle: section.duration("idle", default.idle),
        first_content: section.duration_or_off("first_content", default.first_content),
        stalled: section.duration_or_off("stalled", default.stalled),
        total: section.duration_or_off("total", default.total),
        write_stall: section.duration("write_stall", default.write_stall),
        tunnel_idle: section.duration("tunnel_idle", default.tunnel_idle),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{environment, environment_errors};
    use super::*;

    #[test]
    fn limits_that_answers_can_do_without_can_be_off() {
        assert_eq!(environment("").timeouts, Timeouts::default());
        assert_eq!(environment("timeouts.total = \"off\"").timeouts.total, None);
        assert_eq!(environment("timeouts.stalled = \"off\"").timeouts.stalled, None);
        let timeouts =
            environment("timeouts.total = \"1h\"\ntimeouts.connect = \"250ms\"").timeouts;
        assert_eq!(timeouts.total, Some(Duration::from_secs(3600)));
        assert_eq!(timeouts.connect, Duration::from_millis(250));
        for (text, expected) in [
            (
                "timeouts.idle = \"off\"",
                "timeouts.idle: `off` is not a duration; write a number and a unit, e.g. 250ms, 5s, 2m, 1h30m, 7d",
            ),
            (
                "timeouts.total = \"0s\"",
                "timeouts.total: must not be zero; write \"off\" for no limit",
            ),
            (
                "timeouts.connect = 5",
                "timeouts.connect: must be a duration; write for example \"3s\"",
            ),
            ("timeouts.conect = \"5s\"", "timeouts: unknown key `conect`, did you mean `connect`?"),
        ] {
            assert_eq!(environment_errors(text), [expected]);
        }
    }
}
