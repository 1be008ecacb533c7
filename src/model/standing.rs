//! What a verdict says about the environment that earned it.

use super::verdict::Verdict;

/// What an ended exchange counts as, when environments are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Standing {
    /// As it should be.
    Good,
    /// Counts against the environment: absolutely and by comparison.
    Bad,
    /// The client's request was refused (4xx), or is to be sent again elsewhere (307, 308). Users are dealt
    /// out at random, so their mistakes are equal on both sides: it counts by comparison only.
    Refused,
    /// Never a reason to roll back, but a rise holds a rollout.
    Watched,
}

impl Standing {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [Self::Good, Self::Bad, Self::Refused, Self::Watched];

    /// The name in metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Refused => "refused",
            Self::Watched => "watched",
        }
    }

    /// The standing of an exchange with this verdict, whose answer had this status (0 for none).
    pub fn of(verdict: Verdict, status: u16) -> Self {
        match verdict {
            Verdict::Complete => Self::Good,
            Verdict::Length | Verdict::Filtered | Verdict::ClientGone | Verdict::Shed => {
                Self::Watched
            }
            Verdict::HttpError => match status {
                // 408 and 499 are a client that was too slow, or gone; 429 is a limit, not a fault.
                408 | 429 | 499 => Self::Watched,
                // A client that follows 307 or 308 asks again with what it asked; frameworks answer so to
                // a slash too many. Other redirects lead from a model to a page, whoever asks.
                307 | 308 | 400..=499 => Self::Refused,
                _ => Self::Bad,
            },
            Verdict::Empty
            | Verdict::ErrorInBand
            | Verdict::Truncated
            | Verdict::Stalled
            | Verdict::AbortedByServer
            | Verdict::ConnectError
            | Verdict::Timeout => Self::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_tell_faults_from_refusals() {
        for (status, standing) in [
            (302, Standing::Bad),
            (307, Standing::Refused),
            (400, Standing::Refused),
            (404, Standing::Refused),
            (408, Standing::Watched),
            (429, Standing::Watched),
            (499, Standing::Watched),
            (500, Standing::Bad),
            (503, Standing::Bad),
            (529, Standing::Bad),
        ] {
            assert_eq!(Standing::of(Verdict::HttpError, status), standing, "{status}");
        }
        assert_eq!(Standing::of(Verdict::Truncated, 200), Standing::Bad);
        assert_eq!(Standing::of(Verdict::Length, 200), Standing::Watched);
    }
}
