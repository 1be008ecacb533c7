//! What `cyan` tells scripts by its exit code. Stable: numbers are only ever added.
//!
//! `cyan --help`, the man page and `docs/reference/cli.md` print this list; `tests/it/cli_exit_codes.rs`
//! reaches each of them.

/// Done, safe, valid.
pub const DONE: u8 = 0;
/// Something went wrong that nobody foresaw; the only failure that `cyan healthcheck` knows.
pub const UNEXPECTED: u8 = 1;
/// The command line is wrong, or a confirmation is missing.
pub const USAGE: u8 = 2;
/// The config, or another file that was named, is invalid; nothing was changed.
pub const CONFIG_INVALID: u8 = 3;
/// The admin API cannot be reached.
pub const UNREACHABLE: u8 = 4;
/// Refused by the present state; nothing was changed.
pub const REFUSED: u8 = 5;
/// Not permitted: the token is missing or wrong.
pub const NOT_PERMITTED: u8 = 6;
/// Rolled back, not safe, or not good enough.
pub const ROLLED_BACK: u8 = 10;
/// Held, or not enough data.
pub const HELD: u8 = 11;
/// A time limit passed and it is still going on.
pub const STILL_RUNNING: u8 = 12;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Every code with what it means, in words for `--help` and the reference.
pub const MEANINGS: [(u8, &str); 11] = [
    (DONE, "done, safe, valid"),
    (UNEXPECTED, "unexpected"),
    (USAGE, "usage"),
    (CONFIG_INVALID, "config invalid"),
    (UNREACHABLE, "admin API not reachable"),
    (REFUSED, "refused, nothing changed"),
    (NOT_PERMITTED, "not permitted"),
    (ROLLED_BACK, "rolled back, not safe"),
    (HELD, "held, not enough data"),
    (STILL_RUNNING, "still running when the time was up"),
    (INTERRUPTED, "Ctrl-C"),
];

/// The list in a line, as it stands below `cyan --help`.
pub fn summary() -> String {
    let codes = MEANINGS.map(|(code, meaning)| format!("{code} {meaning}"));
    format!("Exit codes: {}", codes.join(" · "))
}
