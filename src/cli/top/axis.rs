//! Distributions of times as one row of blocks each, all on the same logarithmic axis, which never moves:
//! two looks can be compared, and so can two environments.

use crate::admin::api::stats::Buckets;

/// Both ends of the axis in milliseconds, as in the dashboard.
const SHORTEST_MS: f64 = 1.0;
const LONGEST_MS: f64 = 60_000.0;

const TICKS: [(f64, &str); 6] = [
    (1.0, "1 ms"),
    (10.0, "10 ms"),
    (100.0, "100 ms"),
    (1e3, "1 s"),
    (1e4, "10 s"),
    (6e4, "1 min"),
];

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BLOCKS: [char; 8] = ['_', '-', '=', '+', 'o', 'x', 'X', '#'];

/// The cell of a time, of `cells`.
fn cell(ms: f64, cells: usize) -> usize {
    let place = (ms.clamp(SHORTEST_MS, LONGEST_MS) / SHORTEST_MS).ln();
    let place = place / (LONGEST_MS / SHORTEST_MS).ln() * to_f64(cells);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of cells"
    )]
    let cell = place as usize;
    cell.min(cells.saturating_sub(1))
}

#[expect(clippy::cast_precision_loss, reason = "columns of a terminal, counts on a screen")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

/// The names of times above their cells; one that would touch the name before it is left out.
pub(super) fn ticks(cells: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for (ms, name) in TICKS {
        let width = name.chars().count();
        // The last name ends where the axis does.
        let at = cell(ms, cells).min(cells.saturating_sub(width));
        let is_free = at > length || length == 0;
        if is_free && at + width <= cells {
            line.push_str(&" ".repeat(at - length));
            line.push_str(name);
            length = at + width;
        }
    }
    line
}

/// The share of values in each cell.
pub(super) fn shares(buckets: &Buckets, cells: usize) -> Vec<f64> {
    let mut shares = vec![0.0; cells];
    let all = buckets.count.max(1);
    for bucket in &buckets.buckets {
        let us = f64::midpoint(number(bucket.from), number(bucket.to));
        if let Some(share) = shares.get_mut(cell(us / 1000.0, cells)) {
            *share += number(bucket.count) / number(all);
        }
    }
    shares
}

#[expect(clippy::cast_precision_loss, reason = "microseconds and counts, drawn in eight steps")]
fn number(value: u64) -> f64 {
    value as f64
}

/// Shares as blocks, the highest of them at `top`. What is there is never drawn as nothing.
pub(super) fn blocks(shares: &[f64], top: f64, ascii: bool) -> String {
    let (blocks, nothing) = if ascii { (ASCII_BLOCKS, '.') } else { (BLOCKS, '·') };
    let block = |share: &f64| {
        let height = (share / top * 8.0).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 8"
        )]
        match height as usize {
            0 => nothing,
            height => blocks[height.min(8) - 1],
        }
    };
    shares.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::stats::Bucket;

    #[test]
    fn the_axis_is_named_as_far_as_there_is_room() {
        assert_eq!(
            ticks(72),
            "1 ms           10 ms          100 ms         1 s            10 s   1 min"
        );
        assert_eq!(ticks(30), "1 ms  10 ms 100 ms       10 s");
        assert_eq!(ticks(8), "1 ms 1 s");
        assert_eq!(ticks(0), "");
    }

    #[test]
    fn times_fall_into_their_cells_and_beyond_the_ends_into_the_last() {
        for (ms, expected) in [(0.0, 0), (1.0, 0), (99.0, 25), (1e3, 37), (6e4, 59), (1e9, 59)] {
            assert_eq!(cell(ms, 60), expected, "{ms}");
        }
        assert_eq!(cell(5.0, 0), 0, "no terminal is too narrow");
    }

    #[test]
    fn blocks_compare_shares_and_hide_none() {
        let bucket = |us, count| Bucket { from: us, to: us, count };
        let buckets = Buckets {
            schema: 1,
            metric: "ttft".into(),
            window: "1m".into(),
            covers_s: 60.0,
            unit: "us".into(),
            count: 101,
            sum: 0,
            buckets: vec![bucket(300_000, 80), bucket(1_000_000, 20), bucket(59_000_000, 1)],
        };
        let shares = shares(&buckets, 20);
        assert_eq!(blocks(&shares, 0.8, false), "··········█·▂······▁");
        assert_eq!(blocks(&shares, 0.8, true), "..........#.-......_");
        assert_eq!(blocks(&[0.0; 3], 0.01, false), "···");
    }
}
