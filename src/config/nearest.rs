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

/// How many letters have to be added, removed or changed (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, in_a) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, in_b) in b.iter().enumerate() {
            let changed = diagonal + usize::from(in_a != *in_b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
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
            ("retries", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }

    #[test]
    fn distance_counts_single_letters() {
        for (a, b, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)] {
            assert_eq!(edit_distance(a, b), distance);
        }
    }
}
