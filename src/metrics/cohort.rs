//! What became of the requests that began in the same second.
//!
//! A comparison of environments must not count by the time of the end: errors end fast and good answers
//! stream for long, so counting ends accuses every healthy environment whose traffic grows. So each
//! event of an exchange is counted for the second in which the exchange *began*, with the age it had.

/// What happened to an exchange, as its cohort counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// It entered its environment (age 0).
    Began,
    /// It left again for another environment before anything was sent: as if it had never begun.
    Withdrawn,
    /// First content of a streamed answer; last byte of any other good one.
    FirstContent,
    /// It failed before its first content.
    FailedEarly,
    /// It failed after its first content.
    FailedLate,
    /// The upstream refused the request (4xx but 408, 429, 499).
    Refused,
    /// It ended in a way that holds a rollout when it becomes more frequent.
    Watched,
    /// The client left. (It is `Watched` too.)
    Left,
    /// It ended, however.
    Ended,
}
