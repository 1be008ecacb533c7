//! What callers of the admin API send.

#[path = "../../src/admin/api/change.rs"]
pub mod change;
#[path = "../../src/admin/api/reason.rs"]
pub mod reason;
#[path = "../../src/admin/api/rollout_change.rs"]
pub mod rollout_change;
