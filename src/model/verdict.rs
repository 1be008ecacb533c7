//! How an exchange ended. Every exchange has exactly one verdict.

/// The verdicts, and no others. `docs/verdicts.md` says when each is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Verdict {
    /// Whole, with content where content was to be expected.
    Complete,
    /// Cut by the maximum of tokens that the client asked for.
    Length,
    /// Refused or filtered by the model's provider.
    Filtered,
    /// A 2xx without content.
    Empty,
    /// An error object inside a 2xx.
    ErrorInBand,
    /// Ended without its terminator or finish reason.
    Truncated,
    /// No content for the stall limit after the first content.
    Stalled,
    /// The server broke the connection on purpose: reset, or a finish reason that says so.
    AbortedByServer,
    /// The client left before the end.
    ClientGone,
    /// The upstream answered 4xx or 5xx, or with a redirect where something was to be generated.
    HttpError,
    /// No connection could be made, or it was lost before any answer.
    ConnectError,
    /// A time limit passed.
    Timeout,
    /// Refused by Cyan itself: a limit, a drain, a malformed request.
    Shed,
}

impl Verdict {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Complete,
        Self::Length,
        Self::Filtered,
        Self::Empty,
        Self::ErrorInBand,
        Self::Truncated,
        Self::Stalled,
        Self::AbortedByServer,
        Self::ClientGone,
        Self::HttpError,
        Self::ConnectError,
        Self::Timeout,
        Self::Shed,
    ];

    /// The name in logs, metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Length => "length",
            Self::Filtered => "filtered",
            Self::Empty => "empty",
            Self::ErrorInBand => "error_in_band",
            Self::Truncated => "truncated",
            Self::Stalled => "stalled",
            Self::AbortedByServer => "aborted_by_server",
            Self::ClientGone => "client_gone",
            Self::HttpError => "http_error",
            Self::ConnectError => "connect_error",
            Self::Timeout => "timeout",
            Self::Shed => "shed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_list() {
        for (index, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(*verdict as usize, index);
        }
    }
}
