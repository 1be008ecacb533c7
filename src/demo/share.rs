//! Whether a measured share of traffic can come from the weight that was set.
//!
//! Users are spread by a hash of their key, and requests over users by chance; both scatter. A share
//! outside four standard deviations of the two together comes by chance once in 16 000 steps.

/// How many standard deviations are still chance.
const DEVIATIONS: f64 = 4.0;

/// The shares that a weight explains, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    pub(super) low_percent: f64,
    pub(super) high_percent: f64,
}

impl Bound {
    /// For a weight, drawn over `users` and `requests` of theirs.
    pub(super) fn of(weight_percent: f64, users: u64, requests: u64) -> Self {
        let weight = weight_percent / 100.0;
        let scatter =
            weight * (1.0 - weight) * (1.0 / count(users.max(1)) + 1.0 / count(requests.max(1)));
        let reach = DEVIATIONS * scatter.sqrt() * 100.0;
        Self {
            low_percent: (weight_percent - reach).max(0.0),
            high_percent: (weight_percent + reach).min(100.0),
        }
    }

    pub(super) fn contains(self, share_percent: f64) -> bool {
        (self.low_percent..=self.high_percent).contains(&share_percent)
    }
}

/// A share in percent; of nothing it is 0.
pub(super) fn percent_of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { count(part) / count(whole) * 100.0 }
}

/// As a number to reckon with.
fn count(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a demo lie far below 2^52")]
    let number = number as f64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_and_nothing_leave_no_room_for_chance() {
        for weight in [0.0, 100.0] {
            let bound = Bound::of(weight, 1000, 2000);
            assert!(bound.contains(weight));
            assert!(!bound.contains(weight + 0.05) && !bound.contains(weight - 0.05));
        }
    }

    #[test]
    fn few_users_scatter_more() {
        // 5 % of 1000 users and 2000 requests: the deviation is 0.0084, four of them are 3.4 points.
        let bound = Bound::of(5.0, 1000, 2000);
        assert!(bound.contains(1.7) && bound.contains(8.3));
        assert!(!bound.contains(1.5) && !bound.contains(8.5));
        assert!(Bound::of(5.0, 100, 2000).contains(12.0));
    }
}
