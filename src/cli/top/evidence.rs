//! The evidence against a candidate as a number and a bar: logarithmic, from 0.1 to the 100 at which it is
//! rolled back, with the 20 at which it is held.

use crate::admin::api::rollout::Rollout;

/// Cells of the bar.
const CELLS: usize = 21;
/// What is named on the scale, at its cell.
const NAMES: [(usize, &str); 2] = [(12, "5"), (16, "20")];

/// The number, where the judge has one.
pub(super) fn of(rollout: &Rollout) -> Option<f64> {
    rollout.judge.as_ref()?.details["explanation"]["evidence"].as_f64()
}

/// `evidence 1.4 of 100`
pub(super) fn words(evidence: f64) -> String {
    let number = if evidence < 9.95 { format!("{evidence:.1}") } else { format!("{evidence:.0}") };
    format!("evidence {number} of 100")
}

/// `▕███████·····5···20···▏100`
pub(super) fn bar(evidence: f64, ascii: bool) -> String {
    let (full, empty, open, close) =
        if ascii { ('#', '.', '|', '|') } else { ('█', '·', '▕', '▏') };
    let filled = filled(evidence);
    let mut cells: Vec<char> = vec![empty; CELLS];
    for (at, name) in NAMES {
        cells.splice(at..at + name.len(), name.chars());
    }
    cells[..filled].fill(full);
    let cells: String = cells.into_iter().collect();
    format!("{open}{cells}{close}100")
}

fn filled(evidence: f64) -> usize {
    let cells = (evidence.clamp(0.1, 100.0).log10() + 1.0) / 3.0 * 21.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of cells"
    )]
    let filled = cells as usize;
    filled.min(CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_reaches_what_the_number_says() {
        for (evidence, ascii, expected) in [
            (0.0, true, "|............5...20...|100"),
            (1.4, false, "▕████████····5···20···▏100"),
            (20.0, true, "|################20...|100"),
            (131.0, true, "|#####################|100"),
        ] {
            assert_eq!(bar(evidence, ascii), expected, "{evidence}");
        }
        assert_eq!(words(1.44), "evidence 1.4 of 100");
        assert_eq!(words(130.7), "evidence 131 of 100");
    }
}
