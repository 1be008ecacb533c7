//! A bug on purpose: in a build with debug assertions a change for the reason in this variable panics, so
//! that tests see what happens without a controller. No release has it.

const VARIABLE: &str = "CYAN_TEST_PANIC_REASON";

/// Panics for the chosen reason.
pub(super) fn strike(reason: Option<&str>) {
    let Some(reason) = reason else { return };
    let is_chosen = std::env::var(VARIABLE).is_ok_and(|chosen| chosen == reason);
    assert!(!is_chosen, "a bug on purpose for the reason `{reason}`");
}
