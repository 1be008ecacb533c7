//! A bug on purpose: in a build with debug assertions a request for the path in this variable panics, so
//! that tests see what a bug costs. No release has it.

use std::sync::OnceLock;

const VARIABLE: &str = "CYAN_TEST_PANIC_PATH";

/// Panics at the chosen path.
pub(super) fn strike(path: &str) {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok());
    assert!(chosen.as_deref() != Some(path), "a bug on purpose at {path}");
}
