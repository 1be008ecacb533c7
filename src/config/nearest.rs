//! The known word that somebody who wrote an unknown one most likely meant.

/// The nearest of `known`, if it is near enough to be a slip: at most a third of the letters differ.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = |word: &&'a str| {
        let distance = edit_distance(written, word);
        (distance <= written.chars().count().max(3) / 3).then_some((distance, *word))
    };
    let known = known.into_iter().filter_map(|word| near(&word));
    known.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// How many letters have to be added, removed or changed, or swapped with their neighbour (the optimal
/// string alignment form of Damerau's distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let changed = rows[i][j] + usize::from(a[i] != b[j]);
            let mut least = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["sticky", "hosts", "paths", "candidate", "fallback"];
        for (written, meant) in [
            ("stiky", Some("sticky")),
            ("host", Some("hosts")),
            ("canidate", Some("candidate")),
            ("fall_back", Some("fallback")),
            ("hsots", Some("hosts")),
            ("retries", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }

    #[test]
    fn distance_counts_single_letters() {
        for (a, b, distance) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("idel", "idle", 1)]
        {
            assert_eq!(edit_distance(a, b), distance);
        }
    }
}
