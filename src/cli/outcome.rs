//! Tells how a change went: on all cores, or who lags; on the disk, or not yet.

use super::failure::Failure;
use super::session::Session;
use crate::admin::api::Applied;

/// Prints the answer to a change.
pub fn tell(session: &Session, applied: &Applied) -> Result<(), Failure> {
    if session.globals.json {
        return session.terminal.json(applied);
    }
    session.terminal.print(&text(applied))
}

/// The answer in words, one fact a line.
fn text(applied: &Applied) -> String {
    let mut lines = vec![first_line(applied)];
    if !applied.durable {
        lines.push("not on the disk yet: a restart now would not remember it".to_owned());
    }
    lines.extend(applied.warnings.iter().map(|warning| format!("note: {warning}")));
    lines.join("\n") + "\n"
}

fn first_line(applied: &Applied) -> String {
    let generation = applied.generation;
    if !applied.changed {
        return format!("nothing to change, generation {generation}");
    }
    if applied.lagging_cores.is_empty() {
        let took = milliseconds(applied.applied_us);
        return format!("applied on all cores in {took}, generation {generation}");
    }
    let cores: Vec<_> = applied.lagging_cores.iter().map(ToString::to_string).collect();
    let cores = cores.join(", ");
    format!(
        "accepted, generation {generation}; not yet taken over by core {cores}; see `cyan status`"
    )
}

/// Microseconds as a person reads them: `0.4 ms`, `12 ms`.
fn milliseconds(us: u64) -> String {
    let (whole, tenth) = (us / 1000, us % 1000 / 100);
    if whole < 10 { format!("{whole}.{tenth} ms") } else { format!("{whole} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_a_change_can_go_is_told_apart() {
        let applied = Applied {
            generation: 8,
            changed: true,
            lagging_cores: vec![],
            applied_us: 420,
            durable: true,
            warnings: vec![],
        };
        let repeated = Applied { changed: false, ..applied.clone() };
        let lagging = Applied { lagging_cores: vec![1, 3], ..applied.clone() };
        let at_risk = Applied {
            durable: false,
            warnings: vec!["green has no healthy upstream".into()],
            applied_us: 12_345,
            ..applied.clone()
        };
        for (applied, expected) in [
            (applied, "applied on all cores in 0.4 ms, generation 8\n"),
            (repeated, "nothing to change, generation 8\n"),
            (
                lagging,
                "accepted, generation 8; not yet taken over by core 1, 3; see `cyan status`\n",
            ),
            (
                at_risk,
                "applied on all cores in 12 ms, generation 8\n\
                 not on the disk yet: a restart now would not remember it\n\
                 note: green has no healthy upstream\n",
            ),
        ] {
            assert_eq!(text(&applied), expected);
        }
    }
}
